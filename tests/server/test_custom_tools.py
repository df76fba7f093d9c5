"""Custom tools through the server: made from source, shown, changed, given to agents, run."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from mcp import Client

from agent.memory_tools import Scope
from agent.outside import Done, OutsideCall
from memory import blocks, core_memory, events
from memory.tools import StoredTool
from sandbox.errors import SandboxUnavailable
from server.app import App, open_app
from server.config import Settings
from tests.server.test_approvals import Person, text_of

ROLL = '''def roll(sides: int = 6) -> int:
    """Roll a die.

    Args:
        sides: How many it has.
    """
    return 4
'''
SCHEMA = {
    "type": "object",
    "properties": {
        "sides": {"type": "integer", "default": 6, "description": "How many it has."},
    },
    "additionalProperties": False,
}


@dataclass
class Host:
    app: App
    client: Client

    async def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        result = await self.client.call_tool(tool, arguments)
        assert not result.is_error, result.content
        found: dict[str, Any] | None = result.structured_content
        assert found is not None
        dumped = result.model_dump(mode="json", by_alias=True, exclude_none=True)
        assert len(json.dumps(dumped, ensure_ascii=False).encode()) <= 16_000
        return found

    async def refused(self, tool: str, **arguments: Any) -> str:
        result = await self.client.call_tool(tool, arguments)
        assert result.is_error
        return text_of(result)

    async def whole(self, **arguments: Any) -> str:
        """All pieces of what tool_get shows."""
        page = await self.call("tool_get", **arguments)
        text: str = page["text"]
        while page["next_cursor"] is not None:
            page = await self.call("tool_get", **arguments, cursor=page["next_cursor"])
            text += page["text"]
        return text


@asynccontextmanager
async def hosting(person: Person | None = None) -> AsyncIterator[Host]:
    settings = Settings(data=":memory:", embedder="none", toolset="full")
    async with (
        open_app(settings) as app,
        Client(app.server(), elicitation_callback=person) as client,
    ):
        host = Host(app, client)
        await host.call("agent_create", name="Sam")
        yield host


@pytest.fixture
async def host() -> AsyncIterator[Host]:
    async with hosting() as opened:
        yield opened


async def test_a_tool_is_made_from_its_source_and_shown_with_it(host: Host) -> None:
    made = await host.call("tool_create", source=ROLL, tags=["dice"], policy={"wall_s": 3})
    assert (made["name"], made["version"], made["requires_approval"]) == ("roll", 1, False)
    assert (made["description"], made["json_schema"]) == ("Roll a die.", SCHEMA)
    assert (made["author"][:5], made["agents"]) == ("host:", [])
    shown = await host.call("tool_get", tool_id="roll")
    assert shown == {**made, "text": ROLL}
    assert (await host.call("tool_get", tool_id=made["id"])) == shown


async def test_what_is_given_wins_over_what_is_derived(host: Host) -> None:
    made = await host.call(
        "tool_create",
        source="def f(x):\n    return x\n",
        name="echo",
        description="Say it again.",
        json_schema={"properties": {"x": {"type": "string"}}},
        return_limit_chars=100,
        requires_approval=True,
    )
    assert (made["name"], made["description"]) == ("echo", "Say it again.")
    assert made["json_schema"]["properties"] == {"x": {"type": "string"}}
    assert made["return_limit_chars"] == 100
    assert made["requires_approval"]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"source": "def f(x):\n    'D.'"}, "line 1: argument 'x' of f: it has no type hint"),
        ({"source": ROLL, "name": "memory_replace"}, "that of a tool that agents have anyway"),
        ({"source": ROLL, "name": "Run_Code"}, "that of a tool that agents have anyway"),
        ({"source": ROLL, "policy": {"wall": 1}}, "has no 'wall'; known: wall_s, cpu_s"),
        ({"source": ROLL, "policy": {"wall_s": 999}}, "wall_s of a policy cannot be '999'"),
        ({"source": ROLL, "policy": {"secrets": ["LD_PRELOAD"]}}, "how programs are loaded"),
        ({"source": ROLL, "requirements": ["-r x"]}, "is no requirement"),
        ({"source": ROLL, "json_schema": {"type": "array"}}, "arguments are an object"),
        (
            {"source": "x" * 100_001},
            "1 over the limit of 100000; make two tools of it, or",
        ),
    ],
)
async def test_what_is_no_tool_is_refused_with_what_to_do(
    host: Host, given: dict[str, Any], told: str
) -> None:
    assert told in await host.refused("tool_create", **given)
    assert (await host.call("tool_list"))["tools"] == []


async def test_a_change_is_derived_anew_and_earlier_versions_stay_readable(host: Host) -> None:
    await host.call("tool_create", source=ROLL, policy={"wall_s": 3, "cpu_s": 2})
    other = 'def roll(dice: int) -> int:\n    """Roll dice."""\n'
    changed = await host.call("tool_update", tool_id="roll", source=other, expected_version=1)
    assert (changed["version"], changed["description"]) == (2, "Roll dice.")
    assert list(changed["json_schema"]["properties"]) == ["dice"]
    merged = await host.call("tool_update", tool_id="roll", policy={"wall_s": None, "cpu_s": 4})
    assert (merged["version"], merged["policy"]) == (3, {"cpu_s": 4})
    first = await host.call("tool_get", tool_id="roll", version=1)
    assert (first["text"], first["json_schema"]) == (ROLL, SCHEMA)
    told = await host.refused("tool_update", tool_id="roll", tags=["x"], expected_version=2)
    assert "is at version 3, not 2" in told
    assert "it has 1 to 3" in await host.refused("tool_get", tool_id="roll", version=4)


async def test_what_was_given_stays_with_another_source_and_must_fit_it(host: Host) -> None:
    schema = {"properties": {"sides": {"type": "integer", "enum": [4, 6]}}}
    await host.call("tool_create", source=ROLL, description="Mine.", json_schema=schema)
    longer = f"import random\n\n\n{ROLL}"
    changed = await host.call("tool_update", tool_id="roll", source=longer)
    assert changed["description"] == "Mine."
    assert changed["json_schema"]["properties"] == schema["properties"]
    other = 'def roll(dice: int) -> int:\n    """Roll dice."""\n'
    told = await host.refused("tool_update", tool_id="roll", source=other)
    assert "the schema has 'sides', which roll does not take" in told


async def test_under_another_name_it_stays_the_same_function(host: Host) -> None:
    two = f'{ROLL}\n\ndef last() -> int:\n    """Last."""\n'
    await host.call("tool_create", source=two, name="roll")
    told = await host.refused("tool_update", tool_id="roll", name="cast")
    assert "the function 'last' of its source, no longer 'roll'" in told
    await host.call("tool_update", tool_id="roll", source=ROLL)
    assert (await host.call("tool_update", tool_id="roll", name="cast"))["name"] == "cast"


async def test_the_same_request_makes_one_tool(host: Host) -> None:
    request = {"source": ROLL, "idempotency_key": "k"}
    first = await host.call("tool_create", **request)
    assert await host.call("tool_create", **request) == first
    assert "the name 'roll' is that of another tool" in await host.refused(
        "tool_create", source=ROLL
    )


async def test_tools_are_listed_by_what_they_are_like_in_pages(host: Host) -> None:
    for number in range(30):
        source = f'def tool_{number}():\n    """{"é" * 400} {number}."""\n'
        await host.call("tool_create", source=source, tags=["even"] if number % 2 == 0 else [])
    await host.call("tool_attach", agent_id="Sam", tool_id="tool_7")

    async def listed(**arguments: Any) -> list[str]:
        names: list[str] = []
        cursor = None
        while True:
            page = await host.call("tool_list", **arguments, cursor=cursor)
            names += [tool["name"] for tool in page["tools"]]
            if (cursor := page["next_cursor"]) is None:
                return names

    assert await listed() == [f"tool_{number}" for number in range(30)]
    assert await listed(tags=["even"], limit=4) == [f"tool_{n}" for n in range(0, 30, 2)]
    assert await listed(attached_to="Sam") == ["tool_7"]
    assert await listed(query="29") == ["tool_29"]
    assert await listed(name="TOOL_2", tags=["even"], tag_match_mode="all") == [
        f"tool_{number}" for number in (2, 20, 22, 24, 26, 28)
    ]


async def test_a_tool_that_is_as_long_as_may_be_is_read_whole_in_bounded_replies(
    host: Host,
) -> None:
    source = ROLL + "".join(f"# {number} é\\\n" for number in range(8_000))[:90_000]
    wide = {
        "description": "é" * 2_000,
        "tags": [f"{number}" + "é" * 90 for number in range(50)],
        "json_schema": {"properties": {"sides": {"enum": [f"{n}é" * 5 for n in range(500)]}}},
        "policy": {"secrets": [f"SECRET_{number}" + "X" * 50 for number in range(20)]},
    }
    waiting = await host.call("tool_create", source=source, **wide)
    await host.call("approval_decide", approval_id=waiting["approval_id"], approve=True)
    assert (await host.call("tool_get", tool_id="roll"))["cut"]
    assert await host.whole(tool_id="roll") == source
    settings = await host.whole(tool_id="roll", part="settings")
    for name in ("description", "policy"):
        assert str(wide[name]).replace("'", '"').replace(", ", ",").replace(": ", ":") in settings


async def test_attaching_twice_is_once_and_a_rule_may_name_what_is_attached(host: Host) -> None:
    await host.call("tool_create", source=ROLL)
    of_roll = {"agent_id": "Sam", "tool_id": "roll"}
    rules = {"tool_rules": [{"type": "run_first", "tool_name": "roll", "args": {"sides": 4}}]}
    told = await host.refused("agent_update", agent_id="Sam", settings=rules)
    assert "names 'roll', which the agent does not have" in told
    assert (await host.call("tool_attach", **of_roll))["changed"]
    again = await host.call("tool_attach", **of_roll)
    assert (again["attached"], again["changed"]) == (True, False)
    assert (await host.call("agent_get", agent_id="Sam"))["tools"] == ["roll"]
    described = await host.call("memory_read", uri="memory://agents/Sam")
    assert "Custom tools: roll." in described["text"]
    await host.call("agent_update", agent_id="Sam", settings=rules)
    wrong = {"tool_rules": [{"type": "run_first", "tool_name": "roll", "args": {"x": 4}}]}
    told = await host.refused("agent_update", agent_id="Sam", settings=wrong)
    assert "gives 'x' to 'roll', which takes sides" in told
    for tool, more in (("tool_detach", of_roll), ("tool_delete", {"tool_id": "roll"})):
        told = await host.refused(tool, **more)
        assert "agent 'Sam' has a tool rule that names 'roll'; take the rule out first" in told
    assert "a tool rule" in await host.refused("tool_update", tool_id="roll", name="cast")
    await host.call("agent_update", agent_id="Sam", settings={"tool_rules": None})
    assert (await host.call("tool_detach", **of_roll))["changed"]
    assert not (await host.call("tool_detach", **of_roll))["changed"]


async def test_a_deleted_tool_is_gone_from_its_agents(host: Host) -> None:
    await host.call("tool_create", source=ROLL)
    await host.call("tool_attach", agent_id="Sam", tool_id="roll")
    assert (await host.call("tool_delete", tool_id="roll"))["agents"] == ["Sam"]
    assert (await host.call("tool_list", attached_to="Sam"))["tools"] == []
    assert "no tool 'roll'; tools: none yet" in await host.refused("tool_get", tool_id="roll")


@dataclass
class Running:
    """Something that runs tools, and answers what it is told to."""

    answer: Callable[[OutsideCall], Done]
    calls: list[tuple[StoredTool, OutsideCall]] = field(default_factory=list)

    async def __call__(self, tool: StoredTool, call: OutsideCall) -> Done:
        self.calls.append((tool, call))
        return self.answer(call)


async def running(host: Host, answer: Callable[[OutsideCall], Done]) -> Running:
    found = Running(answer)
    (await host.app.runtime()).run_tool = found
    await host.call("tool_create", source=ROLL)
    return found


async def test_without_a_sandbox_nothing_is_run(host: Host) -> None:
    def refuse(_: OutsideCall) -> Done:
        raise SandboxUnavailable("there is no bubblewrap", "Install it")

    await running(host, refuse)
    told = await host.refused("tool_run", agent_id="Sam", tool_id="roll")
    assert told == "no tool code is run: there is no bubblewrap. Install it"


async def test_a_tool_is_run_once_for_a_request_and_its_writes_are_its_own(host: Host) -> None:
    def write(scope: Scope) -> None:
        core_memory.edit_block(
            scope.transaction, scope.agent, "human", lambda b: blocks.append(b, "Rolled 4.")
        )

    run = await running(host, lambda call: Done(f"sides {call.arguments['sides']}", commit=write))
    request = {"agent_id": "Sam", "tool_id": "roll", "arguments": {"sides": 8}}
    ran = await host.call("tool_run", **request, idempotency_key="k")
    assert (ran["failed"], ran["text"], ran["version"]) == (False, "sides 8", 1)
    assert await host.call("tool_run", **request, idempotency_key="k") == ran
    ((tool, called),) = run.calls
    assert (tool.name, called.agent.name, called.run_id) == ("roll", "Sam", "")
    with (await host.app.runtime()).store.read() as reader:
        edit = events.list_events(reader)[-1]
    assert (edit.action, edit.actor, edit.reason) == ("block.update", "tool:roll", "tool_run")


async def test_a_failed_run_writes_nothing_and_a_long_result_comes_in_pages(host: Host) -> None:
    def write(scope: Scope) -> None:
        raise AssertionError("written")

    run = await running(host, lambda _: Done("é" * 9_000, failed=True, commit=write))
    of_roll = {"agent_id": "Sam", "tool_id": "roll"}
    first = ran = await host.call("tool_run", **of_roll)
    text: str = ran["text"]
    while (cursor := ran["next_cursor"]) is not None:
        assert ran["cut"]
        ran = await host.call("tool_run", **of_roll, cursor=cursor)
        text += ran["text"]
    assert (text, ran["failed"], ran["cut"], len(run.calls)) == ("é" * 9_000, True, False, 1)
    told = await host.refused("tool_run", **of_roll, cursor=first["next_cursor"] + "0")
    assert "start without one" in told
    assert "run the tool again" in await host.refused("tool_run", **of_roll, cursor="gone-1-2")


async def test_a_tool_that_needs_a_yes_asks_the_person_or_takes_it_passed_on() -> None:
    of_roll: dict[str, Any] = {"agent_id": "Sam", "tool_id": "roll"}
    for action, runs in (("accept", 1), ("decline", 0)):
        person = Person(action)  # type: ignore[arg-type]
        async with hosting(person) as host:
            run = await running(host, lambda _: Done("4"))
            await host.call("tool_update", tool_id="roll", requires_approval=True)
            await host.client.call_tool("tool_run", {**of_roll, "arguments": {"sides": 8}})
            assert len(run.calls) == runs
            assert person.asked == ['May tool roll run for Sam?\n{"sides":8}']
    async with hosting() as host:
        run = await running(host, lambda _: Done("4"))
        await host.call("tool_update", tool_id="roll", requires_approval=True)
        assert "ask them, then repeat it with approved true" in await host.refused(
            "tool_run", **of_roll
        )
        assert (await host.call("tool_run", **of_roll, approved=True))["text"] == "4"
        assert len(run.calls) == 1


async def test_tools_go_with_a_cloned_agent_and_not_with_a_deleted_one(host: Host) -> None:
    await host.call("tool_create", source=ROLL)
    await host.call("tool_attach", agent_id="Sam", tool_id="roll")
    await host.call("agent_clone", agent_id="Sam", name="Eva")
    asked = await host.call("agent_delete", agent_id="Sam")
    await host.call("approval_decide", approval_id=asked["approval_id"], approve=True)
    assert (await host.call("tool_get", tool_id="roll"))["agents"] == ["Eva"]
