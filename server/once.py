"""Changing memory once, however often the request comes.

A request is known by the caller's `idempotency_key`, or by the id of the front and of its message:
when an owner dies between a commit and its answer, the front asks the next one again.
"""

import hashlib
from collections.abc import Callable
from typing import Annotated, TypeVar
from uuid import NAMESPACE_OID, uuid5

from pydantic import BaseModel, Field, WithJsonSchema

from agent.memory_tools import Arguments
from memory.requests import Request, first_result, keep_result
from memory.transaction import Transaction
from server.registry import Call

R = TypeVar("R", bound=BaseModel)


class Once(Arguments):
    """Arguments of a tool that changes memory."""

    # A repeat with the same key changes nothing and returns the first result.
    idempotency_key: Annotated[
        str | None, Field(max_length=200), WithJsonSchema({"type": "string"})
    ] = None


def request_of(call: Call, tool: str, arguments: Once) -> Request | None:
    """How this request is recognised when it comes again; None: it cannot be."""
    key, by_caller = call.request_key, False
    if arguments.idempotency_key is not None:
        # Nobody can learn of, or stumble over, another principal's keys.
        caller = call.caller
        whose = "key" if caller.agents is None else f"token:{caller.principal}"
        key, by_caller = f"{whose}:{arguments.idempotency_key}", True
    if key is None:
        return None
    given = arguments.model_dump_json(exclude={"idempotency_key"})
    return Request(key, tool, hashlib.sha256(given.encode()).hexdigest(), by_caller)


def run_of(request: Request) -> str:
    """The id of the run that answers a message: the same when the message comes again."""
    # A front's key may be a message id that its host uses twice, for different messages.
    known = request.key if request.by_caller else request.key + request.arguments
    return f"run-{uuid5(NAMESPACE_OID, known)}"


def write_once(
    transaction: Transaction, request: Request | None, result: type[R], work: Callable[[], R]
) -> R:
    """Do the work of a transaction, or return what it returned the first time.

    Raises:
        KeyReused: the caller's key belongs to another request.
    """
    kept = None if request is None else first_result(transaction, request)
    if kept is not None:
        return result.model_validate_json(kept)
    done = work()
    if request is not None:
        keep_result(transaction, request, done.model_dump_json())
    return done
