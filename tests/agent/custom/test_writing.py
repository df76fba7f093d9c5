"""Agents that write tools: for themselves, granted nothing, and a person is asked at each call."""

import pytest

from agent.custom.names import refuse_our_names
from agent.custom.revising import ToolDraft, new_tool
from agent.tools import ALL_TOOLS
from memory import agents, tools
from memory.agents import NewAgent
from memory.errors import ToolNameTaken
from memory.records import Agent, Origin
from memory.store import MemoryStore
from memory.tools import StoredTool
from tests.agent.harness import PERSON, new_agent, stored_events, use

ROLL = 'def roll(sides: int) -> int:\n    """Roll a die."""\n    return 4\n'
CAST = 'def roll(dice: int) -> int:\n    """Roll dice."""\n    return 4\n'


def held(store: MemoryStore, agent: Agent) -> list[StoredTool]:
    with store.read() as reader:
        return tools.tools_of(reader, agent)


@pytest.fixture(autouse=True)
def _no_tools_are_left(store: MemoryStore) -> None:
    with store.write(PERSON) as transaction:
        for tool in tools.list_tools(transaction):
            tools.delete_tool(transaction, tool)


def test_a_tool_of_its_own_is_attached_with_nothing_granted_and_asks_a_person(
    store: MemoryStore, agent: Agent
) -> None:
    told = use(store, agent, "tool_create", source=ROLL)
    assert told == (
        "Tool roll is kept (version 1); it takes sides. You have it from your next step on; a"
        " person is asked before it runs."
    )
    (tool,) = held(store, agent)
    assert (tool.author, tool.requires_approval) == ("agent:ada", True)
    assert (tool.source, tool.policy, tool.requirements) == (ROLL, {}, ())
    assert stored_events(store, agent)[-1].actor == "agent:ada"


def test_what_it_changes_is_granted_nothing_any_more_and_asks_again(
    store: MemoryStore, agent: Agent
) -> None:
    use(store, agent, "tool_create", source=ROLL)
    (tool,) = held(store, agent)
    trusted = {
        "requires_approval": False,
        "policy": {"secrets": ["API_KEY"]},
        "requirements": ("numpy",),
    }
    with store.write(PERSON) as transaction:
        trusted_tool = tools.update_tool(transaction, tool, trusted)
    assert "version 2" in use(store, agent, "tool_update", name="roll", source=ROLL)
    assert held(store, agent) == [trusted_tool]  # the same source is the one that was trusted
    assert "takes dice" in use(store, agent, "tool_update", name="roll", source=CAST)
    (tool,) = held(store, agent)
    assert (tool.version, tool.requires_approval) == (3, True)
    assert (tool.policy, tool.requirements, tool.description) == ({}, (), "Roll dice.")


def test_a_tool_of_somebody_else_is_not_the_agents_to_change(
    store: MemoryStore, agent: Agent
) -> None:
    bob = new_agent(store, "bob")
    use(store, bob, "tool_create", source=ROLL)
    told = use(store, agent, "tool_update", name="roll", source=CAST)
    assert told == "Error: no tool 'roll'; tools: none yet: create one with tool_create"
    (tool,) = held(store, bob)
    with store.write(PERSON) as transaction:
        tools.attach_tool(transaction, agent, tool)
    told = use(store, agent, "tool_update", name="roll", source=CAST)
    assert told == "Error: tool 'roll' is agent:bob's to change; write another one"
    assert held(store, bob) == [tool]


def test_a_name_makes_no_writer(store: MemoryStore, agent: Agent) -> None:
    use(store, agent, "tool_create", source=ROLL)
    (tool,) = held(store, agent)
    with store.write(PERSON) as transaction:
        renamed = agents.update_agent(transaction, agent, {"name": "eve"})
        namesake = agents.create_agent(transaction, NewAgent("ada"))
        tools.attach_tool(transaction, namesake, tool)
    told = use(store, namesake, "tool_update", name="roll", source=CAST)
    assert "is agent:ada's to change" in told
    assert held(store, renamed) == [tool]
    assert "version 2" in use(store, renamed, "tool_update", name="roll", source=CAST)


def test_a_tool_of_before_its_writer_was_noted_goes_by_the_name(
    store: MemoryStore, agent: Agent
) -> None:
    old = new_tool(ToolDraft(ROLL))
    with store.write(Origin("agent:ada", "an older version")) as transaction:
        tools.attach_tool(transaction, agent, tools.create_tool(transaction, old))
    assert "version 2" in use(store, agent, "tool_update", name="roll", source=CAST)


def test_names_of_tools_of_mcp_servers_are_theirs(store: MemoryStore, agent: Agent) -> None:
    told = use(store, agent, "tool_create", source=ROLL.replace("roll", "dice__roll"))
    assert "'dice__roll' is that of a tool of an MCP server" in told
    assert held(store, agent) == []


def test_what_is_no_tool_is_explained_and_leaves_nothing(
    store: MemoryStore, agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    untyped = "def f(x):\n    'D.'"
    assert "line 1: argument 'x' of f" in use(store, agent, "tool_create", source=untyped)
    ours = ROLL.replace("roll", "memory_replace")
    assert "a tool that agents have anyway" in use(store, agent, "tool_create", source=ours)
    monkeypatch.setattr(tools, "MAX_TOOLS_OF_AGENT", 0)
    assert "which is the limit" in use(store, agent, "tool_create", source=ROLL)
    with store.read() as reader:
        assert tools.list_tools(reader) == []


@pytest.mark.parametrize(
    "name", [*ALL_TOOLS, "run_code", "file_read", "send_message", "workspace_x", "MEMORY"]
)
def test_the_names_of_our_tools_are_taken(name: str) -> None:
    with pytest.raises(ToolNameTaken):
        refuse_our_names(name)
