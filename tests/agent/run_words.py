"""Words for tests of runs: a process, a model that is held, an agent that must ask a person."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import anyio

from agent.live_run import LiveRun, Said
from agent.model import ChatModel, Completion, OnText, Parsed, Prompt
from agent.models.scripted import ScriptedModel
from agent.outside import ToolSource, no_tools
from agent.runs import Runs
from memory import agents, runs
from memory.records import Agent
from memory.runs import Run, StepTaken
from memory.store import MemoryStore
from tests.agent.harness import PERSON, runs_on

AT_ONCE = 1e-9
"""Minutes for an approval: over before it is stored."""

ASKS = {"type": "requires_approval", "tool_name": "core_memory_append"}


class HeldModel(ScriptedModel):
    """Thinks until it is let go. begun, broken_off: how many answers were."""

    def __init__(self, script: Iterable[Parsed]) -> None:
        super().__init__(script)
        self.begun = self.broken_off = 0
        self._thinking, self._free = anyio.Event(), anyio.Event()

    async def thinks(self) -> None:
        await self._thinking.wait()
        self._thinking = anyio.Event()

    def let_go(self) -> None:
        self._free.set()

    async def complete(
        self, prompt: Prompt, max_tokens: int, on_text: OnText | None = None
    ) -> Completion:
        self.begun += 1
        self._thinking.set()
        try:
            await self._free.wait()
        except anyio.get_cancelled_exc_class():
            self.broken_off += 1
            raise
        return await super().complete(prompt, max_tokens, on_text)


@asynccontextmanager
async def process(
    store: MemoryStore, model: ChatModel, source: ToolSource = no_tools
) -> AsyncIterator[Runs]:
    """The runs of one process, which ends with the block as a process does."""
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            found = runs_on(store, model, source)
            await found.begin(tasks)
            try:
                yield found
            finally:
                tasks.cancel_scope.cancel()


def said(text: str, agent: str = "ada", run_id: str | None = None) -> Said:
    return Said(agent, text, "host:test", run_id)


def set_to(store: MemoryStore, agent: Agent, **settings: Any) -> None:
    with store.write(PERSON) as transaction:
        agents.update_agent(transaction, agent, {"settings": settings})


def stored_run(store: MemoryStore, run_id: str) -> Run:
    with store.read() as reader:
        return runs.find_run(reader, run_id)[1]


def stored_steps(store: MemoryStore, run_id: str) -> list[StepTaken]:
    with store.read() as reader:
        return runs.list_steps(reader, run_id)


async def settled(found: Runs) -> None:
    """Return once nobody thinks: what is left waits for a person, or behind one that does."""
    while thinking := [live for live in found.all() if not (live.is_finished or live.place)]:
        await thinking[0].finished()


async def ended(live: LiveRun) -> Run:
    await live.finished()
    return live.run
