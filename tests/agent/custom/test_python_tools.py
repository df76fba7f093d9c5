"""Stored tools as tools of an agent: what the sandbox is given, and what the model reads of it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from agent.approval import Decision
from agent.custom.python_tools import CustomTools
from agent.custom.run_code import CodeRunner
from agent.custom.surroundings import Surroundings
from agent.model import Reply
from agent.models.scripted import ScriptedModel
from agent.outside import Done, OutsideCall
from memory.errors import InvalidValue, MemoryStoreError
from memory.records import Agent
from memory.store import MemoryStore
from memory.tools import (
    NewTool,
    StoredTool,
    attach_tool,
    create_tool,
    delete_tool,
    list_tools,
    update_tool,
)
from sandbox.errors import SandboxUnavailable
from sandbox.protocol import MethodRefused, Outcome, ToolRun
from tests.agent.harness import PERSON, block_value, call, calls, stored_events, stored_messages
from tests.agent.run_words import process, said, set_to
from tests.agent.scripted_sandbox import Answer, ScriptedSandbox, failed, ok

SOURCE = "def weather(city: str, days: int = 1) -> str:\n    return f'Rain in {city}'\n"
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1}},
    "required": ["city"],
    "additionalProperties": False,
}
VALUES = {"KEY": 'hush"hush'}


def secrets(names: Sequence[str]) -> Mapping[str, str]:
    if missing := [name for name in names if name not in VALUES]:
        raise InvalidValue(f"there is no secret {missing[0]}; set it with `mnemon secrets`")
    return {name: VALUES[name] for name in names}


async def packages(tool: StoredTool) -> Path | None:
    return Path("/packages") / "-".join(tool.requirements) if tool.requirements else None


def redaction(values: Mapping[str, str]) -> Callable[[str], str]:
    def redact(text: str) -> str:
        for name, value in values.items():
            text = text.replace(value, f"[secret {name}]")
        return text

    return redact


async def workspace(agent_id: str) -> Path:
    return Path("/work") / agent_id


AROUND = Surroundings(secrets, workspace, packages, redaction)


def stored(store: MemoryStore, agent: Agent, **fields: Any) -> StoredTool:
    new = NewTool(
        **{"name": "weather", "description": "d", "source": SOURCE, "schema": SCHEMA} | fields
    )
    with store.write(PERSON) as transaction:
        tool = create_tool(transaction, new)
        attach_tool(transaction, agent, tool)
    return tool


@pytest.fixture(autouse=True)
def without_tools(store: MemoryStore) -> Iterator[None]:
    """Tools belong to nobody, so they would outlive the agents of a test."""
    yield
    with store.write(PERSON) as transaction:
        for tool in list_tools(transaction):
            delete_tool(transaction, tool)


async def use(
    store: MemoryStore, agent: Agent, answer: Answer, arguments: Mapping[str, Any] | None = None
) -> tuple[Done, ToolRun]:
    """One call of the agent's tool, and the run that the sandbox was asked for."""
    sandbox = ScriptedSandbox([answer])
    (tool,) = CustomTools(store, sandbox, AROUND).source(store.agent_state(agent.id)).values()
    done = await tool.run(OutsideCall(agent, {"city": "Oslo"} if arguments is None else arguments))
    return done, sandbox.runs[0]


# What the sandbox is given


async def test_a_tool_gets_its_arguments_its_secrets_and_nothing_else(
    store: MemoryStore, agent: Agent
) -> None:
    policy = {"wall_s": 5, "secrets": ["KEY"], "methods": ["memory.search"]}
    stored(store, agent, policy=policy, requirements=("requests",))
    _, run = await use(store, agent, ok("Rain"), {"city": "Oslo", "days": 2})
    assert (run.source, run.function) == (SOURCE, "weather")
    assert run.arguments == {"city": "Oslo", "days": 2}
    assert run.environment == VALUES
    assert (run.workspace, run.packages) == (Path("/work") / agent.id, Path("/packages/requests"))
    assert (run.policy.wall_s, list(run.methods)) == (5.0, ["memory.search"])


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({}, "city"),
        ({"city": 7}, "city is integer, not string; weather takes city, days"),
        ({"city": "Oslo", "days": 0}, "below minimum 1"),
        ({"city": "Oslo", "agent_id": "agent-2"}, "agent_id"),
        ({"city": float("nan")}, "the arguments of weather are no JSON"),
        ({"city": "\ud800"}, "the arguments of weather are no JSON"),
        ({"city": "x" * 300_000}, "the limit is 262144"),
    ],
)
async def test_arguments_that_do_not_fit_are_refused_before_anything_runs(
    store: MemoryStore, agent: Agent, arguments: dict[str, Any], problem: str
) -> None:
    stored(store, agent)
    sandbox = ScriptedSandbox([])
    (tool,) = CustomTools(store, sandbox, AROUND).source(store.agent_state("ada")).values()
    with pytest.raises(InvalidValue) as caught:
        await tool.run(OutsideCall(agent, arguments))
    assert problem in str(caught.value)
    assert sandbox.runs == []


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"policy": {"secrets": ["TOKEN"]}}, "there is no secret TOKEN"),
        ({"policy": {"root": True}}, "a tool's policy has no 'root'"),
        ({"schema": {"type": "string"}}, "of type 'string', not object"),
    ],
)
async def test_a_tool_that_cannot_be_run_as_stored_says_why_and_hinders_no_other(
    store: MemoryStore, agent: Agent, fields: dict[str, Any], problem: str
) -> None:
    stored(store, agent, **fields)
    stored(store, agent, name="other")
    found = CustomTools(store, ScriptedSandbox([ok("Sun")]), AROUND).source(
        store.agent_state("ada")
    )
    with pytest.raises(MemoryStoreError) as caught:
        await found["weather"].run(OutsideCall(agent, {"city": "Oslo"}))
    assert problem in str(caught.value)
    assert (await found["other"].run(OutsideCall(agent, {"city": "Oslo"}))).text == "Sun"


# What the model reads


@pytest.mark.parametrize(
    ("outcome", "text", "is_failed"),
    [
        (ok("Rain\nand wind"), "Rain\nand wind", False),
        (ok({"t": [1, 2.5, "ü", None]}), '{"t":[1,2.5,"ü",null]}', False),
        (ok(0), "0", False),
        (ok(""), "The tool returned an empty text.", False),
        (ok(None, stdout="printed\n"), "printed", False),
        (ok("said", stdout="printed"), "said", False),
        (ok(None), "The tool ended without a result.", False),
        (failed("ValueError: no (line 3)"), "ValueError: no (line 3)", True),
        (
            failed("ValueError: no", stdout="one\n", stderr="two"),
            "ValueError: no\n[stdout]\none\n[stderr]\ntwo",
            True,
        ),
        (Outcome("timeout", "namespaces"), "it ended with status timeout", True),
    ],
)
async def test_an_outcome_is_told_as_text(
    store: MemoryStore, agent: Agent, outcome: Outcome, text: str, is_failed: bool
) -> None:
    stored(store, agent)
    done, _ = await use(store, agent, outcome)
    assert (done.text, done.failed, done.tier) == (text, is_failed, "namespaces")


async def test_a_weaker_tier_stands_before_the_result_and_no_limit_cuts_it_off(
    store: MemoryStore, agent: Agent
) -> None:
    stored(store, agent, return_limit_chars=100)
    done, _ = await use(store, agent, Outcome("ok", "none", "x" * 500))
    assert (done.text[:17], done.tier) == ("[sandbox: none]\nx", "none")
    assert len(done.text) == 100
    assert done.text.endswith(" more characters; the tool's return limit is 100]")


async def test_secrets_are_taken_out_of_all_that_is_told(store: MemoryStore, agent: Agent) -> None:
    stored(store, agent, policy={"secrets": ["KEY"]})
    leaky = [
        ok({"deep": ["it is " + VALUES["KEY"]]}),
        ok({VALUES["KEY"]: 1}),
        ok(VALUES["KEY"]),
        ok(None, stdout=VALUES["KEY"]),
        failed(VALUES["KEY"], stdout=VALUES["KEY"], stderr=VALUES["KEY"]),
    ]
    for outcome in leaky:
        done, _ = await use(store, agent, outcome)
        assert "hush" not in done.text
        assert "[secret KEY]" in done.text


# Memory


async def write(run: ToolRun) -> Outcome:
    await run.methods["memory.append"]({"label": "human", "content": "Likes tea."})
    return ok("noted")


async def test_what_a_tool_writes_is_kept_with_the_step_in_its_name(
    store: MemoryStore, agent: Agent
) -> None:
    tool = stored(store, agent, policy={"methods": ["memory.append"]})
    custom = CustomTools(store, ScriptedSandbox([write]), AROUND)
    model = ScriptedModel([calls(call("weather", city="Oslo")), Reply("Noted.")])
    async with process(store, model, custom.source) as runs:
        await runs.message(said("Go."))
    assert block_value(store, agent) == "Name: Sam\nLikes tea."
    (event,) = [e for e in stored_events(store, agent) if e.action == "block.update"]
    assert (event.actor, event.reason) == (f"tool:{tool.name}", "weather")


async def test_what_a_tool_wrote_before_it_failed_is_not_kept(
    store: MemoryStore, agent: Agent
) -> None:
    async def break_off(run: ToolRun) -> Outcome:
        await write(run)
        return failed("ValueError: no")

    stored(store, agent, policy={"methods": ["memory.append"]})
    done, _ = await use(store, agent, break_off)
    assert (done.failed, done.commit) == (True, None)


async def test_a_tool_asks_for_no_more_than_it_was_granted(
    store: MemoryStore, agent: Agent
) -> None:
    async def look_around(run: ToolRun) -> Outcome:
        with pytest.raises(MethodRefused):
            await run.methods["memory.read_block"]({"label": "human", "agent_id": "agent-2"})
        return ok(list(run.methods))

    stored(store, agent, policy={"methods": ["memory.read_block"]})
    done, _ = await use(store, agent, look_around)
    assert done.text == '["memory.read_block"]'


# In the loop


async def test_a_sandbox_that_refuses_is_read_by_the_model(
    store: MemoryStore, agent: Agent
) -> None:
    stored(store, agent)
    refusing = ScriptedSandbox([SandboxUnavailable("there is no bubblewrap", "Install it.")])
    model = ScriptedModel([calls(call("weather", city="Oslo")), Reply("Sad.")])
    async with process(store, model, CustomTools(store, refusing, AROUND).source) as runs:
        assert (await runs.message(said("Go."))).reply == "Sad."
    result = stored_messages(store, agent)[2].content
    assert result == "Error: no tool code is run: there is no bubblewrap. Install it."


async def test_a_yes_is_for_the_tool_that_was_shown(store: MemoryStore, agent: Agent) -> None:
    tool = stored(store, agent, requires_approval=True)
    sandbox = ScriptedSandbox([])
    model = ScriptedModel([calls(call("weather", city="Oslo")), Reply("I see.")])
    async with process(store, model, CustomTools(store, sandbox, AROUND).source) as runs:
        live = await runs.message(said("Go."))
        assert live.run.status == "waiting"
        with store.write(PERSON) as transaction:
            update_tool(transaction, tool, {"source": SOURCE.replace("Rain", "Rm")})
        await runs.decide(live.run.id, Decision(True))
    assert sandbox.runs == []
    assert "the tool was changed after they were asked" in stored_messages(store, agent)[2].content


async def test_a_yes_holds_when_only_the_tags_of_a_tool_have_changed(
    store: MemoryStore, agent: Agent
) -> None:
    tool = stored(store, agent, requires_approval=True)
    sandbox = ScriptedSandbox([ok("Rain")])
    model = ScriptedModel([calls(call("weather", city="Oslo")), Reply("I see.")])
    async with process(store, model, CustomTools(store, sandbox, AROUND).source) as runs:
        live = await runs.message(said("Go."))
        with store.write(PERSON) as transaction:
            update_tool(transaction, tool, {"tags": ("sky",)})
        await runs.decide(live.run.id, Decision(True))
    assert stored_messages(store, agent)[2].content == "Rain"


async def test_a_yes_runs_the_tool(store: MemoryStore, agent: Agent) -> None:
    stored(store, agent, requires_approval=True)
    sandbox = ScriptedSandbox([ok("Rain")])
    model = ScriptedModel([calls(call("weather", city="Oslo")), Reply("I see.")])
    async with process(store, model, CustomTools(store, sandbox, AROUND).source) as runs:
        live = await runs.message(said("Go."))
        await runs.decide(live.run.id, Decision(True))
    assert stored_messages(store, agent)[2].content == "Rain"


# run_code


async def test_run_code_is_offered_to_agents_that_are_set_to_it_and_runs_a_script(
    store: MemoryStore, agent: Agent
) -> None:
    sandbox = ScriptedSandbox([ok({"repr": "{1, 2}"}, stdout="hello\n")])
    runner = CodeRunner(sandbox, AROUND)
    assert runner.source(store.agent_state("ada")) == {}
    set_to(store, agent, tools=["core_memory_append", "run_code"])
    model = ScriptedModel([calls(call("run_code", code="print('hello')\n{1, 2}")), Reply("Done.")])
    async with process(store, model, runner.source) as runs:
        await runs.message(said("Go."))
    assert [spec.name for spec in model.prompts[0].tools] == ["core_memory_append", "run_code"]
    (run,) = sandbox.runs
    assert (run.source, run.function) == ("print('hello')\n{1, 2}", None)
    assert (run.workspace, run.environment, run.methods) == (Path("/work") / agent.id, {}, {})
    assert stored_messages(store, agent)[2].content == "hello\n{1, 2}"
