"""Locks of packages: exactly which packages a person agreed to have installed for tools.

Only kept here: what a lock is and how it is installed is the sandbox's (requirements.py). A lock is
agreed to once, whichever tools come to have it; that is an event. Which lock a tool has stands with
the tool (tools.py).
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from memory.limits import check_filled
from memory.transaction import Reader, Row, Transaction

_MAX_TEXT_CHARS: Final = 2_000_000


@dataclass(frozen=True, slots=True)
class AgreedLock:
    """A lock that a person agreed to.

    lock: names it, 64 hex digits. text: a requirements file with hashes. python: the interpreter
    that it is for. agreed_by: through whom, as in Origin.
    """

    key: int
    lock: str
    text: str
    python: str
    agreed_by: str
    agreed_at: datetime

    @property
    def packages(self) -> list[str]:
        """`name==version` of each."""
        return [line.split()[0] for line in self.text.splitlines()]


def agree(transaction: Transaction, lock: str, text: str, python: str) -> AgreedLock:
    """Keep that a person agreed to a lock; one that is kept stays as it is.

    Raises:
        InvalidValue: it cannot be stored.
    """
    before = find_lock(transaction, lock)
    if before is not None:
        return before
    check_filled(text, "a lock", _MAX_TEXT_CHARS)
    agreed = AgreedLock(
        transaction.value("next_key"), lock, text, python, transaction.origin.actor, transaction.now
    )
    transaction.run(
        "insert_lock",
        key=agreed.key,
        lock=lock,
        text=text,
        python=python,
        agreed_by=agreed.agreed_by,
        now=agreed.agreed_at.replace(tzinfo=None),
    )
    after = {"packages": agreed.packages, "python": python}
    transaction.record("packages.agree", lock, None, after=after)
    return agreed


def find_lock(reader: Reader, lock: str) -> AgreedLock | None:
    """Return a lock that somebody agreed to; None: nobody did."""
    row = reader.row("find_lock", lock=lock)
    return None if row is None else _lock(row)


def list_locks(reader: Reader, after: int = 0, limit: int = 50) -> list[AgreedLock]:
    """Return locks in the order in which they were agreed to, those after a given key."""
    return [_lock(row) for row in reader.rows("list_locks", after=after, limit=limit)]


def locks_in_use(reader: Reader) -> set[str]:
    """Return the locks that tools have."""
    return {lock for (lock,) in reader.rows("locks_in_use")}


def tools_with_lock(reader: Reader, lock: str) -> list[str]:
    """Return the names of the tools that have a lock."""
    return [name for (name,) in reader.rows("tools_with_lock", lock=lock)]


def _lock(row: Row) -> AgreedLock:
    key, lock, text, python, agreed_by, agreed_at = row
    return AgreedLock(key, lock, text, python, agreed_by, agreed_at.replace(tzinfo=UTC))
