"""What code that reads or writes memory is handed: a Reader, or a Transaction.

Both run named queries (memory/sql) on one DuckDB cursor and see one moment of the database. A
Transaction also knows who writes and why, records events, and collects what others must learn after
the commit (Changes).
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from memory.errors import InvalidValue
from memory.records import Agent, Block, Message, Origin, View

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection
    from numpy.typing import NDArray

Row = tuple[Any, ...]


Queries = Callable[[], Mapping[str, str]]
"""Gives the named queries for the width of vectors that the database has now."""


CommittedBlocks = Callable[[int], tuple[Block, ...] | None]
"""Gives the blocks of the agent with this key, as they were committed, where that is known."""


Visible = frozenset[str] | None
"""The ids of the agents that whoever asks may know of; None: all."""


@dataclass(frozen=True, slots=True)
class Change:
    """One change of memory, as those who watch it learn of it.

    action and subject are those of its event; "message.append" and "run.wait" have none. before and
    after are the event's, and empty where it has none.
    """

    action: str
    agent_id: str | None
    subject: str
    before: Mapping[str, Any] = field(default_factory=dict)
    after: Mapping[str, Any] = field(default_factory=dict)

    def values_of(self, name: str) -> list[Any]:
        """What a field held before and holds now, where it is known, without repeats."""
        known = (values[name] for values in (self.before, self.after) if name in values)
        return list(dict.fromkeys(known))


@dataclass(slots=True)
class Changes:
    """What a transaction did, for the caches and indexes that follow it once it is committed.

    newest_docs: the last document written to each collection. all: in order, for the watchers.
    views: with the start of the window, by agent.
    copied_vectors: collections whose documents came with their vectors; then all documents up to
    newest_embedded have theirs.
    """

    all: list[Change] = field(default_factory=list)

    stale_agents: set[int] = field(default_factory=set)
    agents: dict[int, Agent] = field(default_factory=dict)
    views: dict[int, tuple[int, View]] = field(default_factory=dict)
    blocks: dict[int, Block] = field(default_factory=dict)
    messages: dict[int, list[Message]] = field(default_factory=dict)
    newest_docs: dict[int, int] = field(default_factory=dict)
    removed_docs: list[tuple[int, int]] = field(default_factory=list)
    removed_collections: list[int] = field(default_factory=list)
    copied_vectors: list[int] = field(default_factory=list)
    newest_embedded: int = 0


class Reader:
    """Runs named queries on one cursor; not for use by two threads at once.

    visible: what agents.py finds and lists through this reader; all else is absent.
    """

    def __init__(
        self, cursor: "DuckDBPyConnection", queries: Queries, visible: Visible = None
    ) -> None:
        self._cursor, self._queries = cursor, queries
        self.visible = visible

    def known_blocks(self, agent: Agent) -> tuple[Block, ...] | None:
        """The agent's blocks if they are known without a query; None: they are not."""
        return None

    @property
    def visible_ids(self) -> str | None:
        """`visible` as queries take it: the ids in one text; None: all."""
        return None if self.visible is None else " ".join(sorted(self.visible))

    def rows(self, query: str, **parameters: object) -> list[Row]:
        """Run a query and return all its rows."""
        return self._execute(self._queries()[query], parameters).fetchall()

    def arrays(self, query: str, **parameters: object) -> "Mapping[str, NDArray[Any]]":
        """Run a query and return its columns, which must hold no NULL, as numpy arrays."""
        return self._execute(self._queries()[query], parameters).fetchnumpy()

    def rows_of(self, query: str, collection: int, **parameters: object) -> list[Row]:
        """Run a query on the collection's own table of the HNSW index."""
        text = self._queries()[query].replace("{collection}", str(int(collection)))
        return self._execute(text, parameters).fetchall()

    def row(self, query: str, **parameters: object) -> Row | None:
        """Run a query and return its first row, or None."""
        return self._execute(self._queries()[query], parameters).fetchone()

    def value(self, query: str, **parameters: object) -> Any:
        """Run a query and return the first column of its first row, or None without a row."""
        row = self.row(query, **parameters)
        return row[0] if row else None

    def renew(self) -> None:
        """See what is committed now, rather than when this reader was made."""
        self._cursor.execute("ROLLBACK")
        self._cursor.execute("BEGIN TRANSACTION READ ONLY")

    def _execute(self, text: str, parameters: Mapping[str, object]) -> "DuckDBPyConnection":
        try:
            return self._cursor.execute(text, parameters or None)
        except RuntimeError as error:
            # All that DuckDB's binding says of a string that is not Unicode.
            raise InvalidValue("a text holds a lone surrogate; send valid Unicode") from error


class Transaction(Reader):
    """A Reader that also writes. Everything in it is committed together or not at all."""

    def __init__(
        self,
        cursor: "DuckDBPyConnection",
        queries: Queries,
        origin: Origin,
        now: datetime,
        visible: Visible = None,
    ) -> None:
        super().__init__(cursor, queries, visible)
        self.origin = origin
        self.now = now
        self.changes = Changes()
        self.committed_blocks: CommittedBlocks = lambda agent_key: None

    def known_blocks(self, agent: Agent) -> tuple[Block, ...] | None:
        """As they are in this transaction."""
        if agent.key in self.changes.stale_agents:
            return None
        committed = self.committed_blocks(agent.key)
        if committed is None:
            return None
        return tuple(self.changes.blocks.get(block.key, block) for block in committed)

    @contextmanager
    def acting(self, origin: Origin) -> Iterator[None]:
        """Let events of the block name another origin, as of a tool that an agent called."""
        before, self.origin = self.origin, origin
        try:
            yield
        finally:
            self.origin = before

    @property
    def now_utc(self) -> datetime:
        """`now` as the database stores times: naive, in UTC."""
        return self.now.replace(tzinfo=None)

    def run(self, query: str, **parameters: object) -> None:
        """Run a statement and ignore what it returns."""
        self._execute(self._queries()[query], parameters)

    def renew(self) -> None:
        """Nothing to do: a transaction sees what is committed and what it wrote itself."""

    def record(
        self,
        action: str,
        subject: str,
        agent_id: str | None,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
    ) -> None:
        """Write the event of a change: by whom and why is known, here is what."""
        self.record_all(action, agent_id, [(subject, before, after)])

    def record_all(
        self,
        action: str,
        agent_id: str | None,
        changes: Sequence[tuple[str, Mapping[str, Any] | None, Mapping[str, Any] | None]],
    ) -> None:
        """Write the events of several changes of one kind: subject, before and after of each."""
        rows = [
            {
                "subject": subject,
                "before": None if before is None else to_json(before),
                "after": None if after is None else to_json(after),
            }
            for subject, before, after in changes
        ]
        self.run(
            "insert_events",
            now=self.now_utc,
            actor=self.origin.actor,
            reason=self.origin.reason,
            request_id=self.origin.request_id,
            action=action,
            agent_id=agent_id,
            rows=to_json(rows),
        )
        self.changes.all += [
            Change(action, agent_id, subject, before or {}, after or {})
            for subject, before, after in changes
        ]


def to_json(value: Any) -> str:
    """Compact JSON, and valid Unicode whatever it is made of; letters stay readable in the file."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    # A model may write half a surrogate pair into a tool call; as an escape it can be stored.
    return text if _is_unicode(text) else json.dumps(value, separators=(",", ":"))


def _is_unicode(text: str) -> bool:
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)
