"""The one way from a call to memory: on a thread, within what exists for its caller, written once.

Tools, resources, prompts and completions come through here, so none can forget whose agents they
may touch.
"""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import anyio.to_thread
from pydantic import BaseModel

from memory.records import AgentState, Origin
from memory.requests import first_result
from memory.transaction import Reader, Transaction
from server.once import Once, request_of, write_once
from server.registry import Call, Caller

if TYPE_CHECKING:  # hosts list the tools before DuckDB is imported
    from memory.store import MemoryStore
    from server.runtime import Runtime

R = TypeVar("R")
M = TypeVar("M", bound=BaseModel)

GetRuntime = Callable[[], Awaitable["Runtime"]]


class MemoryAccess:
    """Reads and writes memory for callers."""

    def __init__(self, runtime: GetRuntime) -> None:
        self.runtime = runtime

    async def read(self, caller: Caller, work: Callable[["MemoryStore", Reader], R]) -> R:
        """Return what `work` makes of memory as it is now."""
        store = (await self.runtime()).store

        def run() -> R:
            with store.read(caller.agents) as reader:
                return work(store, reader)

        return await anyio.to_thread.run_sync(run)

    async def write(
        self,
        call: Call,
        tool: str,
        arguments: Once,
        result: type[M],
        work: Callable[["MemoryStore", Transaction], M],
    ) -> M:
        """Run `work` in a transaction, with the host as the author; a repeat changes nothing.

        Raises:
            KeyReused: the caller's key belongs to another request.
        """
        store = (await self.runtime()).store
        origin = Origin(f"host:{call.caller.host}", tool, call.request_id)
        request = request_of(call, tool, arguments)

        def run() -> M:
            with store.write(origin, call.caller.agents) as transaction:
                return write_once(transaction, request, result, lambda: work(store, transaction))

        return await anyio.to_thread.run_sync(run)

    async def first_result(
        self, call: Call, tool: str, arguments: Once, result: type[M]
    ) -> M | None:
        """What this request returned when it came first; None: it is new, or cannot be told."""
        request = request_of(call, tool, arguments)
        if request is None:
            return None
        kept = await self.read(call.caller, lambda _, reader: first_result(reader, request))
        return None if kept is None else result.model_validate_json(kept)

    async def state(self, caller: Caller, agent: str) -> AgentState:
        """What a turn of an agent needs."""
        store = (await self.runtime()).store
        return await anyio.to_thread.run_sync(store.agent_state, agent, caller.agents)
