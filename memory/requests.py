"""Requests that changed memory, so that one that comes again returns the first result.

A row is written in the transaction of the change itself: both are there or neither is.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from memory.errors import KeyReused
from memory.records import Origin
from memory.transaction import Reader, Transaction

if TYPE_CHECKING:  # hosts list the tools before DuckDB is imported
    from memory.database import Database

KEPT = timedelta(days=7)
"""Far longer than a host waits for an answer."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it is recognised.

    key: unique to it. arguments: a digest. by_caller: the caller chose the key and promises that it
    is unique; a front's keys are only as unique as its host's message ids.
    """

    key: str
    tool: str
    arguments: str
    by_caller: bool


def first_result(reader: Reader, request: Request) -> str | None:
    """Return what the request returned when it came first, or None: this is the first time.

    Raises:
        KeyReused: the caller's key was given to another request.
    """
    row = reader.row("find_request", key=request.key)
    if row is None:
        return None
    tool, arguments, result = row
    if (tool, arguments) == (request.tool, request.arguments):
        return str(result)
    if request.by_caller:
        raise KeyReused(request.tool, tool)
    return None


def keep_result(transaction: Transaction, request: Request, result: str) -> None:
    """Store what the request returns, with what it changed."""
    # A host that uses a message id twice: what it asks is new, and the old answer is long given.
    transaction.run("delete_request", key=request.key)
    transaction.run(
        "insert_request",
        key=request.key,
        tool=request.tool,
        arguments=request.arguments,
        result=result,
        now=transaction.now_utc,
    )


def forget_old(database: "Database") -> None:
    """Delete the rows of requests that nobody repeats any more."""
    before = (datetime.now(UTC) - KEPT).replace(tzinfo=None)
    with database.read() as reader:
        if not reader.value("count_requests_before", before=before):
            return
    with database.write(Origin("person:mnemon", "forget old requests")) as transaction:
        transaction.run("delete_requests_before", before=before)
