"""Words for tests of outside tools: tools that are plain functions, and one that is held."""

from collections.abc import Awaitable, Callable
from typing import Any

import anyio

from agent.memory_tools import Scope
from agent.outside import Done, OutsideCall, OutsideTool, ToolSource
from memory import blocks, core_memory

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def tool(
    name: str, run: Callable[[OutsideCall], Awaitable[Done]], /, **settings: Any
) -> OutsideTool:
    return OutsideTool(name, f"What {name} does.", SCHEMA, run, f"tool:{name}", **settings)


def source(*tools: OutsideTool) -> ToolSource:
    """Every agent has these."""
    return lambda _: {one.name: one for one in tools}


def answering(text: str, log: list[str] | None = None) -> Callable[[OutsideCall], Awaitable[Done]]:
    """Says its text and the city; enters the city in the log."""

    async def run(call: OutsideCall) -> Done:
        if log is not None:
            log.append(str(call.arguments.get("city")))
        return Done(f"{text} in {call.arguments.get('city')}")

    return run


def appending(content: str) -> Callable[[OutsideCall], Awaitable[Done]]:
    """Adds to the agent's block human when its call ends well."""

    def commit(scope: Scope) -> None:
        core_memory.edit_block(
            scope.transaction, scope.agent, "human", lambda block: blocks.append(block, content)
        )

    async def run(call: OutsideCall) -> Done:
        return Done("done", commit=commit)

    return run


class Held:
    """A tool's function that goes on when it is let go. at_once: how many calls ran together."""

    def __init__(self) -> None:
        self.running = self.at_once = self.broken_off = self.ended = 0
        self._changed, self._free = anyio.Event(), anyio.Event()

    async def run(self, call: OutsideCall) -> Done:
        self.running += 1
        self.at_once = max(self.at_once, self.running)
        self._changed.set()
        self._changed = anyio.Event()
        try:
            await self._free.wait()
        except anyio.get_cancelled_exc_class():
            self.broken_off += 1
            raise
        finally:
            self.running -= 1
        self.ended += 1
        return Done(f"seen {call.arguments['city']}")

    async def until(self, running: int) -> None:
        """Wait until so many calls run."""
        while self.running < running:
            await self._changed.wait()

    def let_go(self) -> None:
        self._free.set()
