"""MCP servers of others as memory keeps them: where they are, what they have, who has it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from memory import agents, clones, events, tool_servers
from memory.agents import NewAgent
from memory.clones import Parts
from memory.errors import InvalidValue, UnknownToolServer
from memory.records import Agent
from memory.store import MemoryStore
from memory.tool_server_records import Grants, Launch, SeenTool, ToolServer
from tests.memory.given import TEST, words_only_store

LAUNCH = Launch(
    "stdio",
    command=("mcp-files", "--root", "/data"),
    environment={"TOKEN": "$secret:files"},
    grants=Grants(paths=("/data",), network=("example.com:443",)),
)
READ = SeenTool("read", "files__read", "Read a file.", {"type": "object"}, "1")
BROKEN = SeenTool("odd", "files__odd", "", {}, "2", unusable="its schema is no object")


@pytest.fixture
def store() -> Iterator[MemoryStore]:
    with words_only_store() as store:
        yield store


@pytest.fixture
def agent(store: MemoryStore) -> Agent:
    with store.write(TEST) as transaction:
        return agents.create_agent(transaction, NewAgent("Ada"))


@pytest.fixture
def server(store: MemoryStore) -> ToolServer:
    with store.write(TEST) as transaction:
        return tool_servers.create_server(transaction, "files", LAUNCH, [READ, BROKEN])


def actions(store: MemoryStore) -> list[str]:
    with store.read() as reader:
        found = events.list_events(reader)
    return [event.action for event in found if event.action.startswith("tool_server")]


def attach(store: MemoryStore, agent: Agent, server: ToolServer, tool: str | None) -> bool:
    with store.write(TEST) as transaction:
        return tool_servers.attach(transaction, agent, server, tool)


def tools_of(store: MemoryStore, agent: Agent) -> list[str]:
    with store.read() as reader:
        return [t.name for has in tool_servers.attached(reader, agent) for t in has.tools]


def test_a_server_is_kept_as_it_was_given(tmp_path: Path) -> None:
    with MemoryStore(tmp_path / "file", None) as store, store.write(TEST) as transaction:
        made = tool_servers.create_server(transaction, "files", LAUNCH, [READ, BROKEN])
    with MemoryStore(tmp_path / "file", None) as store, store.read() as reader:
        assert tool_servers.find_server(reader, "FILES") == made
        assert tool_servers.find_server(reader, made.id).launch == LAUNCH
        assert [s.name for s in tool_servers.list_servers(reader)] == ["files"]
        assert tool_servers.list_servers(reader, after=made.key) == []


def test_a_name_is_taken_once_and_fits_before_names_of_tools(
    store: MemoryStore, server: ToolServer
) -> None:
    for name in ("Files", "", "a__b", "a b", "-a", "a_", "x" * 25, "é"):
        with pytest.raises(InvalidValue), store.write(TEST) as transaction:
            tool_servers.create_server(transaction, name, LAUNCH)
    with pytest.raises(UnknownToolServer, match="servers: files"), store.read() as reader:
        tool_servers.find_server(reader, "no")


def test_an_agent_has_single_tools_or_all(
    store: MemoryStore, agent: Agent, server: ToolServer
) -> None:
    assert attach(store, agent, server, "read")
    assert not attach(store, agent, server, "read")
    assert tools_of(store, agent) == ["read"]
    with pytest.raises(InvalidValue, match="no object"):
        attach(store, agent, server, "odd")
    with pytest.raises(InvalidValue, match="tools: read, odd"):
        attach(store, agent, server, "gone")
    assert attach(store, agent, server, None)
    assert tools_of(store, agent) == ["read", "odd"]
    with store.read() as reader:
        assert tool_servers.users(reader, server) == {"Ada": ["", "read"]}


def test_what_is_detached_is_gone(store: MemoryStore, agent: Agent, server: ToolServer) -> None:
    attach(store, agent, server, None)
    with pytest.raises(InvalidValue, match="as a whole"), store.write(TEST) as transaction:
        tool_servers.detach(transaction, agent, server, "read")
    with store.write(TEST) as transaction:
        assert tool_servers.detach(transaction, agent, server, None)
        assert not tool_servers.detach(transaction, agent, server, None)
        assert not tool_servers.detach(transaction, agent, server, "read")
    assert tools_of(store, agent) == []


def test_what_a_server_lists_anew_is_what_agents_have(
    store: MemoryStore, agent: Agent, server: ToolServer
) -> None:
    attach(store, agent, server, None)
    new = SeenTool("write", "files__write", "", {}, "3")
    with store.write(TEST) as transaction:
        changed = tool_servers.set_tools(transaction, server, [new])
        tool_servers.set_tools(transaction, changed, [new])
        assert not tool_servers.set_enabled(transaction, changed, False).enabled
    assert tools_of(store, agent) == ["write"]
    assert actions(store)[2:] == ["tool_server.update"] * 2


def test_a_server_that_is_removed_is_taken_from_every_agent(
    store: MemoryStore, agent: Agent, server: ToolServer
) -> None:
    attach(store, agent, server, "read")
    with store.write(TEST) as transaction:
        assert tool_servers.delete_server(transaction, server) == ["Ada"]
    assert tools_of(store, agent) == []
    assert actions(store) == [
        f"tool_server.{what}" for what in ("create", "attach", "detach", "delete")
    ]


def test_an_agent_that_is_deleted_has_nothing_any_more(
    store: MemoryStore, agent: Agent, server: ToolServer
) -> None:
    attach(store, agent, server, None)
    with store.write(TEST) as transaction:
        agents.delete_agent(transaction, agent)
        assert tool_servers.users(transaction, server) == {}


def test_a_clone_has_what_the_other_has(
    store: MemoryStore, agent: Agent, server: ToolServer
) -> None:
    attach(store, agent, server, "read")
    with store.write(TEST) as transaction:
        clone = clones.clone_agent(transaction, agent, "Bea", Parts())
        attached = tool_servers.attached(transaction, clone)
    assert [(has.whole, has.names) for has in attached] == [(False, ("read",))]
