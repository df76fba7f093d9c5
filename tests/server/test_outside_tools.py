"""Agents of a whole process use tools outside of memory, in the sandbox of this machine.

Real code in real processes; skipped, with the reason, where nothing can be isolated.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from typing import Any

import anyio
import pytest

from agent.live_run import Said
from agent.loop import AgentLoop
from agent.model import Reply
from agent.models.scripted import ScriptedModel
from agent.runs import Runs
from memory.records import Agent
from memory.store import MemoryStore
from memory.tools import NewTool, attach_tool, create_tool
from server.outside_tools import OutsideTools
from tests.agent.harness import PERSON, block_value, call, calls, new_agent, stored_messages
from tests.agent.run_words import set_to

SOURCE = '''
def note(city: str) -> dict:
    """Note a city."""
    seen = memory.read_block(label="human")
    memory.append(label="human", content=f"Was in {city}.")
    memory.archive(content=f"{city} is wet.", tags=["city"])
    with open("cities.txt", "a") as file:
        file.write(city + "\\n")
    return {"before": seen, "now": memory.read_block(label="human")}
'''
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


@asynccontextmanager
async def running(store: MemoryStore) -> AsyncIterator[OutsideTools]:
    """The outside tools of a process; skips where nothing can be isolated."""
    outside = OutsideTools(store, None)
    with anyio.fail_after(120):
        async with anyio.create_task_group() as tasks:
            outside.begin(tasks)
            found = await outside.sandbox.availability()
            if found.tier is None:
                await outside.aclose()
                pytest.skip(f"nothing can be isolated here: {found.cause}")
            try:
                yield outside
            finally:
                await outside.aclose()


def attached(store: MemoryStore, agent: Agent, **fields: Any) -> None:
    new = NewTool(
        **{"name": "note", "description": "d", "source": SOURCE, "schema": SCHEMA} | fields
    )
    with store.write(PERSON) as transaction:
        attach_tool(transaction, agent, create_tool(transaction, new))


def runs_with(store: MemoryStore, model: ScriptedModel, outside: OutsideTools) -> Runs:
    loop = AgentLoop(store, model, outside.source)
    return Runs(store, lambda _: nullcontext(loop))


async def test_a_stored_tool_runs_writes_memory_and_keeps_files_from_call_to_call() -> None:
    methods = ["memory.read_block", "memory.append", "memory.archive"]
    with MemoryStore(None, None) as store:
        agent = new_agent(store, "ada")
        attached(store, agent, policy={"methods": methods})
        set_to(store, agent, tools=["core_memory_append", "run_code"])
        step = calls(call("note", city="Oslo"))
        look = calls(call("run_code", code="print('hi')\nopen('cities.txt').read()"))
        model = ScriptedModel([step, look, Reply("Noted.")])
        async with running(store) as outside:
            done = await runs_with(store, model, outside).message(Said("ada", "Go.", "person:me"))
        assert done.reply == "Noted."
        noted, looked = [m.content for m in stored_messages(store, agent) if m.role == "tool"]
        assert noted.startswith('{"before":"Name: Sam","now":"Name: Sam\\nWas in Oslo."}')
        assert noted.endswith("Block human is now:\nName: Sam\nWas in Oslo.")
        assert looked == "hi\nOslo\n"
        assert block_value(store, agent) == "Name: Sam\nWas in Oslo."


async def test_what_a_tool_wrote_before_it_failed_is_gone_and_the_model_reads_where() -> None:
    source = SOURCE.replace("    return", "    raise ValueError('no more')\n    return")
    with MemoryStore(None, None) as store:
        agent = new_agent(store, "ada")
        methods = ["memory.read_block", "memory.append", "memory.archive"]
        attached(store, agent, source=source, policy={"methods": methods})
        model = ScriptedModel([calls(call("note", city="Oslo")), Reply("Hm.")])
        async with running(store) as outside:
            await runs_with(store, model, outside).message(Said("ada", "Go.", "person:me"))
        (result,) = [m.content for m in stored_messages(store, agent) if m.role == "tool"]
        assert result.startswith("Error: ValueError: no more (line 9)")
        assert block_value(store, agent) == "Name: Sam"


async def test_a_run_that_is_stopped_ends_the_process_of_its_call() -> None:
    source = "def note(city: str) -> str:\n    while True:\n        pass\n"
    with MemoryStore(None, None) as store:
        agent = new_agent(store, "ada")
        attached(store, agent, source=source, policy={"wall_s": 100, "cpu_s": 100})
        model = ScriptedModel([calls(call("note", city="Oslo"))])
        async with running(store) as outside, anyio.create_task_group() as tasks:
            runs = runs_with(store, model, outside)
            await runs.begin(tasks)
            live = await runs.start(Said("ada", "Go.", "person:me"))
            while live.doing != "calling note":
                await live.change()
            assert (await runs.cancel(live.run.id)).status == "cancelled"
            tasks.cancel_scope.cancel()
        assert stored_messages(store, agent) == []


async def test_a_tool_finds_no_method_that_it_was_not_granted() -> None:
    with MemoryStore(None, None) as store:
        agent = new_agent(store, "ada")
        attached(store, agent, policy={"methods": ["memory.read_block"]})
        model = ScriptedModel([calls(call("note", city="Oslo")), Reply("Hm.")])
        async with running(store) as outside:
            await runs_with(store, model, outside).message(Said("ada", "Go.", "person:me"))
        (result,) = [m.content for m in stored_messages(store, agent) if m.role == "tool"]
        assert result.startswith("Error: ")
        assert block_value(store, agent) == "Name: Sam"
