"""What code that reads or writes memory is handed: a Reader, or a Transaction.

Both run named queries (memory/sql) on one DuckDB cursor. A Transaction also knows who writes and
why, records events, and collects what others must learn after the commit (Changes).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from memory.records import Agent, Block, Message, Origin

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Pending:
    """A committed document that has no vector yet. `text` is what is embedded."""

    collection: int
    doc: int
    text: str


@dataclass(slots=True)
class Changes:
    """What a transaction did, for the caches and indexes that follow it once it is committed."""

    stale_agents: set[int] = field(default_factory=set)
    agents: dict[int, Agent] = field(default_factory=dict)
    blocks: dict[int, Block] = field(default_factory=dict)
    messages: dict[int, list[Message]] = field(default_factory=dict)
    to_embed: list[Pending] = field(default_factory=list)
    removed_docs: list[tuple[int, int]] = field(default_factory=list)
    removed_collections: list[int] = field(default_factory=list)


class Reader:
    """Runs named queries on one cursor; not for use by two threads at once."""

    def __init__(self, cursor: "DuckDBPyConnection", queries: Mapping[str, str]) -> None:
        self._cursor, self._queries = cursor, queries

    def rows(self, query: str, **parameters: object) -> list[Row]:
        """Run a query and return all its rows."""
        return self._cursor.execute(self._queries[query], parameters or None).fetchall()

    def rows_of(self, query: str, collection: int, **parameters: object) -> list[Row]:
        """Run a query on the collection's own table of the HNSW index."""
        text = self._queries[query].replace("{collection}", str(int(collection)))
        return self._cursor.execute(text, parameters or None).fetchall()

    def row(self, query: str, **parameters: object) -> Row | None:
        """Run a query and return its first row, or None."""
        return self._cursor.execute(self._queries[query], parameters or None).fetchone()

    def value(self, query: str, **parameters: object) -> Any:
        """Run a query and return the first column of its first row, or None without a row."""
        row = self.row(query, **parameters)
        return row[0] if row else None


class Transaction(Reader):
    """A Reader that also writes. Everything in it is committed together or not at all."""

    def __init__(
        self,
        cursor: "DuckDBPyConnection",
        queries: Mapping[str, str],
        origin: Origin,
        now: datetime,
    ) -> None:
        super().__init__(cursor, queries)
        self.origin = origin
        self.now = now
        self.changes = Changes()

    @property
    def now_utc(self) -> datetime:
        """`now` as the database stores times: naive, in UTC."""
        return self.now.replace(tzinfo=None)

    def run(self, query: str, **parameters: object) -> None:
        """Run a statement and ignore what it returns."""
        self._cursor.execute(self._queries[query], parameters or None)

    def record(
        self,
        action: str,
        subject: str,
        agent_id: str | None,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
    ) -> None:
        """Write the event of a change: by whom and why is known, here is what."""
        self.run(
            "insert_event",
            now=self.now_utc,
            actor=self.origin.actor,
            reason=self.origin.reason,
            request_id=self.origin.request_id,
            action=action,
            agent_id=agent_id,
            subject=subject,
            before=None if before is None else to_json(before),
            after=None if after is None else to_json(after),
        )


def to_json(value: Any) -> str:
    """Compact JSON; Unicode stays readable in the file."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
