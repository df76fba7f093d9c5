"""Agents of a whole process use tools outside of memory, in the sandbox of this machine.

Real code in real processes; skipped, with the reason, where nothing can be isolated.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from typing import Any

import anyio
import pytest

from agent.custom.derive import derive_tool
from agent.live_run import Said
from agent.loop import AgentLoop
from agent.model import Reply
from agent.models.scripted import ScriptedModel
from agent.outside import OutsideCall, OutsideTool, ToolSource, no_tools
from agent.runs import Runs
from memory.errors import InvalidValue
from memory.records import Agent, AgentState
from memory.store import MemoryStore
from memory.tools import NewTool, attach_tool, create_tool
from sandbox.errors import SandboxUnavailable
from server.agent_changes import UNBORN, changed_settings
from server.outside_tools import OutsideTools
from tests.agent.harness import PERSON, block_value, call, calls, new_agent, stored_messages
from tests.agent.outside_words import answering, tool
from tests.agent.run_words import set_to
from tests.sandbox.sandboxes import skip_where_impossible

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
            skip_where_impossible(found)
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


SEND = """
from dataclasses import dataclass

@dataclass
class Letter:
    to: str
    copies: int = 1

async def note(letter: Letter, times: int = 2) -> str:
    'Write a letter.'
    return f"{letter.to} {letter.copies * times}"
"""


async def test_a_tool_gets_instances_of_its_classes_and_defaults_where_a_model_says_null() -> None:
    with MemoryStore(None, None) as store:
        agent = new_agent(store, "ada")
        attached(store, agent, source=SEND, schema=derive_tool(SEND, "note").schema)
        letter = {"to": "Sam", "copies": 3}
        model = ScriptedModel([calls(call("note", letter=letter, times=None)), Reply("Sent.")])
        async with running(store) as outside:
            await runs_with(store, model, outside).message(Said("ada", "Go.", "person:me"))
        (result,) = [m.content for m in stored_messages(store, agent) if m.role == "tool"]
        assert result == "Sam 6"


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


async def test_a_secret_that_nobody_set_is_named_with_what_to_do() -> None:
    with MemoryStore(None, None) as store:
        agent = new_agent(store, "ada")
        attached(store, agent, policy={"secrets": ["TOKEN"]})
        outside = OutsideTools(store, None)
        found = outside.source(store.agent_state("ada"))["note"]
        with pytest.raises(InvalidValue, match="mnemon secrets set TOKEN"):
            await found.run(OutsideCall(agent, {"city": "Oslo"}))


async def test_a_command_on_a_file_that_nobody_has_open_runs_nothing_and_says_who_does() -> None:
    with MemoryStore(None, None) as store:
        agent = new_agent(store, "ada")
        attached(store, agent)
        found = OutsideTools(store, None).source(store.agent_state("ada"))["note"]
        with pytest.raises(SandboxUnavailable, match="the process that hosts use"):
            await found.run(OutsideCall(agent, {"city": "Oslo"}))


async def test_an_agents_files_go_with_it() -> None:
    with MemoryStore(None, None) as store:
        ada, eve = new_agent(store, "ada"), new_agent(store, "eve")
        async with running(store) as outside:
            folders = [await outside.sandbox.workspace(one.id) for one in (ada, eve)]
            for folder in folders:
                assert folder is not None
                (folder / "kept").mkdir()
                (folder / "kept" / "file.txt").write_text("x")
            outside.forget(ada.id)
            assert [folder.exists() for folder in folders if folder] == [False, True]


# What an agent can be set to


def source_of(*names: str) -> ToolSource:
    def source(state: AgentState) -> dict[str, OutsideTool]:
        return {name: tool(name, answering("x")) for name in names}

    return source


def test_rules_may_name_outside_tools_that_the_agent_has() -> None:
    rules: list[dict[str, Any]] = [
        {"type": "run_first", "tool_name": "weather", "args": {"city": "Oslo"}},
        {"type": "requires_approval", "tool_name": "weather"},
    ]
    given = {"tool_rules": rules}
    assert changed_settings(UNBORN, given, source_of("weather"))["tool_rules"][0] == rules[0]
    with pytest.raises(InvalidValue, match="names 'weather', which the agent does not have"):
        changed_settings(UNBORN, given, no_tools)
    rules[0]["args"] = {"town": "Oslo"}
    with pytest.raises(InvalidValue, match="which takes city"):
        changed_settings(UNBORN, given, source_of("weather"))


def test_an_agent_may_be_set_to_run_code_and_to_no_tool_that_does_not_exist() -> None:
    given = {"tools": ["core_memory_append", "run_code"]}
    assert changed_settings(UNBORN, given, no_tools) == given
    with pytest.raises(InvalidValue, match="there is no tool 'run_coda' for agents"):
        changed_settings(UNBORN, {"tools": ["run_coda"]}, no_tools)


def test_rules_may_name_run_code_once_the_agent_is_set_to_it() -> None:
    with MemoryStore(None, None) as store:
        found = OutsideTools(store, None).source
        given: dict[str, Any] = {"tool_rules": [{"type": "exit_loop", "tool_name": "run_code"}]}
        with pytest.raises(InvalidValue, match="names 'run_code'"):
            changed_settings(UNBORN, given, found)
        both = given | {"tools": ["run_code"]}
        assert changed_settings(UNBORN, both, found)["tools"] == ["run_code"]
