"""Importing: many passages in one transaction, each of which the archive holds once.

So an import that ended halfway is repeated as a whole, whatever ended it: what is there already is
passed over. There is nothing to remember about an import, and nothing to clean up after one.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from memory.archival import check_passage, columns_of, insert_passages
from memory.errors import InvalidValue
from memory.records import Agent, NewPassage, Passage
from memory.transaction import Transaction, to_json

MAX_PASSAGES = 1_000
MAX_CHARS = 1_000_000
"""Of one transaction, texts together: other writers wait some tenths of a second for it."""

Same = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Imported:
    """A passage to be imported. copy: how many like it come before it in what is imported."""

    passage: NewPassage
    copy: int = 0


def import_passages(
    transaction: Transaction, agent: Agent, imported: Sequence[Imported]
) -> list[Passage]:
    """Archive those passages that the archive does not hold yet, and return them.

    It holds one if text, author, source, session and occurred_at are the same. Of such that come
    several times in an import, each is stored once: the archive then holds as many.

    Raises:
        InvalidValue: one of them cannot be stored, or they are too many; nothing was stored.
    """
    check_size([one.passage for one in imported])
    checked = [check_passage(one.passage, place) for place, one in enumerate(imported, start=1)]
    rows = [{"place": place, **columns_of(new)} for place, new in enumerate(checked)]
    found: dict[int, int] = dict(
        transaction.rows("count_same_passages", archive_key=agent.archive_key, rows=to_json(rows))
    )
    added: Counter[Same] = Counter()
    missing = []
    for place, (one, new) in enumerate(zip(imported, checked, strict=True)):
        if found.get(place, 0) + added[_same(new)] <= one.copy:
            added[_same(new)] += 1
            missing.append(new)
    return insert_passages(transaction, agent, missing)


def check_size(passages: Sequence[NewPassage]) -> None:
    """Refuse more passages than one transaction takes."""
    chars = sum(len(new.text) for new in passages)
    if len(passages) > MAX_PASSAGES or chars > MAX_CHARS:
        raise InvalidValue(
            f"{len(passages)} passages of {chars} characters are too many at once; send at most"
            f" {MAX_PASSAGES} of at most {MAX_CHARS} characters together, then the rest"
        )


def _same(new: NewPassage) -> Same:
    return new.text, new.author, new.source, new.session, new.occurred_at
