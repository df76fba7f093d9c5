"""The agent that a connection means where a tool is told of none."""

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp_types import TextContent

from memory.store import MemoryStore
from server.app import open_server
from server.callers import Principal
from server.config import Settings
from tests.memory.given import MemoryOf
from tests.server.processes import INITIALIZE, Run, raw_process


async def told(agent: str, tool: str, **arguments: Any) -> tuple[str, dict[str, Any]]:
    """What a tool says on a connection with this agent, where there is Sam; and its schema."""
    settings = Settings(data=":memory:", embedder="none", toolset="full", agent=agent)
    async with open_server(settings) as server, Client(server) as client:
        await client.call_tool("agent_create", {"name": "Sam"})
        schemas = {found.name: found.input_schema for found in (await client.list_tools()).tools}
        (content,) = (await client.call_tool(tool, arguments)).content
    assert isinstance(content, TextContent)
    return content.text, schemas[tool]


async def test_the_agent_may_be_left_out_and_the_schema_says_so() -> None:
    said, schema = await told("Sam", "memory_context")
    assert said.startswith("Agent Sam (")
    assert "required" not in schema
    assert "may be left out" in schema["properties"]["agent_id"]["description"]
    said, schema = await told("Sam", "core_memory_append", label="human", content="Ada.")
    assert said == "Memory updated. Block human is now:\nAda."
    assert schema["required"] == ["label", "content"]


async def test_what_is_asked_of_all_agents_is_not_narrowed_to_one() -> None:
    said, _ = await told("Eva", "run_list", open=True)
    assert said == "No runs."
    said, _ = await told("Eva", "run_list")
    assert "no agent 'Eva'" in said


@pytest.mark.parametrize("given", [{}, {"agent_id": ""}, {"agent_id": None}])
async def test_an_agent_left_empty_is_left_out(given: dict[str, Any]) -> None:
    said, _ = await told("Sam", "memory_context", **given)
    assert said.startswith("Agent Sam (")


async def test_an_agent_that_is_named_is_the_one_that_is_meant() -> None:
    said, _ = await told("Nobody", "memory_context", agent_id="Sam")
    assert said.startswith("Agent Sam (")
    said, _ = await told("Sam", "memory_context", agent_id="Eva")
    assert said == "no agent 'Eva'; agents: Sam"


async def test_without_a_default_a_call_says_how_to_have_one() -> None:
    said, schema = await told("", "memory_context")
    assert "memory_context: 'agent_id' is missing. Required: agent_id." in said
    assert "start mnemon with --agent NAME" in said
    assert schema["required"] == ["agent_id"]


async def test_a_default_that_does_not_exist_yet_is_told_with_the_command_that_makes_it() -> None:
    said, _ = await told("Eva", "memory_context")
    assert "no agent 'Eva'; agents: Sam; 'Eva' is the agent this connection is for" in said
    assert "mnemon agents create 'Eva'" in said


def test_a_token_for_one_agent_means_that_one() -> None:
    assert Principal("a", "a:1", frozenset({"agent-1"})).agent == "agent-1"
    assert Principal("a", "a:1", frozenset({"agent-1", "agent-2"})).agent is None
    assert Principal("person", "person").agent is None


def test_two_hosts_on_one_memory_each_have_their_own(mnemon: str, tmp_path: Path) -> None:
    with closing(MemoryStore(tmp_path / "mnemon.duckdb", None)) as store:
        for name in ("Sam", "Eva"):
            MemoryOf.new_agent(store, name)
    given = [mnemon, "mcp", "--data", str(tmp_path), "--embedder", "none"]
    with (
        raw_process([*given, "--agent", "Sam"], tmp_path / "owner.log") as one,
        raw_process([*given, "--agent=Eva"], tmp_path / "owner.log") as other,
        raw_process(given, tmp_path / "owner.log") as third,
    ):
        answers = []
        for host in (one, other, third):
            host.send(INITIALIZE)
            host.receive_answer(0)
            host.call(1, "memory_context")
            answers.append(json.dumps(host.receive_answer(1)["result"]))
    assert ["Agent Sam" in answers[0], "Agent Eva" in answers[1]] == [True, True]
    assert "'agent_id' is missing" in answers[2]


def test_setup_writes_the_agent_into_the_entry_of_a_host(run: Run) -> None:
    shown = json.loads(run("setup", "claude-desktop", "--agent", "Sam Vimes", "--print").stdout)
    arguments = shown["mcpServers"]["mnemon"]["args"]
    assert arguments[arguments.index("--agent") + 1] == "Sam Vimes"
