"""A caller for whom only some agents exist, through the whole server: it learns of no other."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp.shared.subscriptions import ResourceUpdated
from mcp_types import (
    CallToolResult,
    ResourceListChangedNotification,
    ResourceUpdatedNotification,
    TextContent,
)

from server.app import App, open_app
from server.config import Settings
from server.http import HttpAddress, serve_http
from server.principals import Principals, create_token, revoke_token

PERSON = "the-token-of-the-person-which-is-long-enough"


@dataclass
class Served:
    """A server over HTTP with the agents Mine and Theirs, and a token for Mine."""

    app: App
    url: str
    directory: Path
    mine: str
    theirs: str
    token: str

    @asynccontextmanager
    async def client(
        self, token: str | None = None, mode: Any = "auto", message_handler: Any = None
    ) -> AsyncIterator[Client]:
        headers = {"Authorization": f"Bearer {token or self.token}"}
        async with (
            httpx2.AsyncClient(headers=headers, timeout=30) as http,
            Client(
                streamable_http_client(self.url, http_client=http),
                mode=mode,
                message_handler=message_handler,
            ) as client,
        ):
            yield client


async def call(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    found: dict[str, Any] | None = result.structured_content
    assert found is not None
    return found


def text_of(result: CallToolResult) -> str:
    (content,) = result.content
    assert isinstance(content, TextContent)
    return content.text


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    settings = Settings(data=str(tmp_path), embedder="none", toolset="full")
    urls: list[str] = []
    started = anyio.Event()

    def note(host: str, port: int) -> None:
        urls.append(f"http://{host}:{port}/mcp")
        started.set()

    async with open_app(settings) as app, anyio.create_task_group() as tasks:
        principals = Principals(PERSON, tmp_path)
        tasks.start_soon(serve_http, app.server(), HttpAddress(), principals, note)
        await started.wait()
        found = Served(app, urls[0], tmp_path, "", "", "")
        async with found.client(PERSON) as client:
            found.mine = (await call(client, "agent_create", name="Mine"))["id"]
            found.theirs = (await call(client, "agent_create", name="Theirs"))["id"]
            fact = {"agent_id": "Theirs", "content": "A secret fact."}
            await call(client, "archival_memory_insert", **fact)
        found.token, _ = create_token(tmp_path, "laptop", [found.mine], None)
        yield found
        tasks.cancel_scope.cancel()


async def test_only_its_own_agents_are_listed_read_and_completed(served: Served) -> None:
    async with served.client() as client:
        listed = await call(client, "agent_list")
        resources = (await client.list_resources()).resources
        tools = [tool.name for tool in (await client.list_tools()).tools]
        reference: Any = {"type": "ref/resource", "uri": "memory://agents/{agent_id}"}
        completed = await client.complete(reference, {"name": "agent_id", "value": ""})
        mine = await client.read_resource(f"memory://agents/{served.mine}")
    assert [agent["name"] for agent in listed["agents"]] == ["Mine"]
    assert {str(resource.uri).split("/")[3] for resource in resources} == {served.mine}
    assert completed.completion.values == ["Mine"]
    assert "agent_create" not in tools
    assert "Agent Mine" in mine.contents[0].model_dump()["text"]


TOOLS: dict[str, dict[str, Any]] = {  # every tool that names an agent, which a test holds
    "memory_context": {},
    "core_memory_append": {"label": "human", "content": "x"},
    "core_memory_replace": {"label": "human", "old_content": "x", "new_content": "y"},
    "memory_insert": {"label": "human", "new_string": "x"},
    "memory_replace": {"label": "human", "old_string": "x", "new_string": "y"},
    "memory_rethink": {"label": "human", "new_memory": "x"},
    "archival_memory_insert": {"content": "x"},
    "archival_memory_import": {"passages": [{"content": "x"}]},
    "archival_memory_search": {"query": "secret"},
    "archival_memory_delete": {"passage_id": "passage-1"},
    "conversation_search": {"query": "secret"},
    "agent_get": {},
    "agent_update": {"description": "x"},
    "agent_delete": {},
    "agent_reset_messages": {},
    "agent_message": {"message": "Hi"},
    "agent_context": {},
    "run_list": {},
    "tool_run": {"tool_id": "roll"},
    "run_code": {"code": "1"},
    "workspace_list": {},
    "workspace_read": {"path": "a"},
    "workspace_write": {"path": "a", "content": "x"},
    "workspace_delete": {"path": "a"},
}


def test_no_tool_that_names_an_agent_is_left_out() -> None:
    registry = App(Settings(data=":memory:")).registry()
    tools = (*registry.tools, *registry.more_tools())
    named = {t.name for t in tools if "agent_id" in t.arguments.model_fields}
    for_all = {t.name for t in tools if t.for_all}  # which are refused to it
    assert named - for_all <= set(TOOLS) <= named


@pytest.mark.parametrize("tool", TOOLS)
async def test_an_agent_of_others_is_answered_as_one_that_does_not_exist(
    served: Served, tool: str
) -> None:
    answers = []
    async with served.client() as client:
        for agent in ("Theirs", served.theirs, "Nobody"):
            result = await client.call_tool(tool, {"agent_id": agent, **TOOLS[tool]})
            assert result.is_error
            answers.append(text_of(result).replace(agent, "X"))
    assert answers == ["no agent 'X'; agents: Mine"] * 3


async def test_a_token_for_one_agent_need_not_name_it(served: Served) -> None:
    both, _ = create_token(served.directory, "both", [served.mine, served.theirs], None)
    async with served.client() as client, served.client(both) as of_two:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        found = await call(client, "memory_context")
        refused = await of_two.call_tool("memory_context", {})
        orphans = await call(client, "orphan_list")
    assert found["name"] == "Mine"
    assert "agent_id" not in tools["agent_get"].input_schema.get("required", [])
    assert "'agent_id' is missing" in text_of(refused)
    assert orphans["orphans"] == []


async def test_runs_of_others_are_answered_as_ones_that_do_not_exist(served: Served) -> None:
    async with served.client(PERSON) as client:
        message = {"agent_id": "Theirs", "message": "Hi"}
        assert (await client.call_tool("agent_message", message)).is_error  # there is no model
        (run,) = (await call(client, "run_list", agent_id="Theirs"))["runs"]
    async with served.client() as client:
        assert (await call(client, "run_list", open=True))["runs"] == []
        for tool, more in (("run_get", {}), ("run_cancel", {}), ("run_approve", {"approve": True})):
            answers = [
                text_of(await client.call_tool(tool, {"run_id": id_, **more})).replace(id_, "X")
                for id_ in (run["run_id"], "run-none")
            ]
            assert answers[0] == answers[1]
            assert "X" in answers[0]


async def test_their_resources_are_as_unknown_as_any(served: Served) -> None:
    answers = []
    async with served.client() as client:
        for agent in ("Theirs", served.theirs, "Nobody"):
            uri = f"memory://agents/{agent}/blocks/human"
            with pytest.raises(MCPError) as caught:
                await client.read_resource(uri)
            answers.append((caught.value.code, caught.value.message.replace(agent, "X")))
            result = await client.call_tool("memory_read", {"uri": uri})
            assert "no agent" in text_of(result)
            with pytest.raises(MCPError, match="no agent"):
                await client.get_prompt("remember-session", {"agent_id": agent})
    assert len(set(answers)) == 1


@pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning")
async def test_a_subscriber_of_the_handshake_era_hears_of_its_own_agents_only(
    served: Served,
) -> None:
    heard: list[str] = []
    told = anyio.Event()

    async def note(message: Any) -> None:
        if isinstance(message, ResourceUpdatedNotification):
            heard.append(str(message.params.uri))
        elif isinstance(message, ResourceListChangedNotification):
            heard.append("list")
        if heard and heard[-1].endswith("Mine/blocks/human"):
            told.set()

    async with (
        served.client(PERSON) as person,
        served.client(mode="legacy", message_handler=note) as laptop,
    ):
        for agent in ("Theirs", "Mine"):
            await laptop.subscribe_resource(f"memory://agents/{agent}/blocks/human")
        await call(person, "agent_create", name="Another")
        edit = {"label": "human", "content": "Ada."}
        await call(person, "core_memory_append", agent_id="Theirs", **edit)
        with anyio.fail_after(20):
            while not told.is_set():  # its stream may open later than it subscribed
                await call(person, "core_memory_append", agent_id="Mine", **edit)
                with anyio.move_on_after(0.2):
                    await told.wait()
    assert set(heard) == {"memory://agents/Mine/blocks/human"}


async def test_a_stream_hears_of_its_own_agents_only(served: Served) -> None:
    uris = [f"memory://agents/{agent}/blocks/human" for agent in ("Theirs", "Mine")]
    async with (
        served.client(PERSON) as person,
        served.client() as laptop,
        laptop.listen(resource_subscriptions=uris, resources_list_changed=True) as events,
    ):
        await call(person, "agent_create", name="Another")
        edit = {"label": "human", "content": "Ada."}
        await call(person, "core_memory_append", agent_id="Theirs", **edit)
        await call(person, "core_memory_append", agent_id="Mine", **edit)
        with anyio.fail_after(20):
            assert await anext(events) == ResourceUpdated(uris[1])


async def test_a_message_to_an_agent_that_others_just_used_is_refused(served: Served) -> None:
    store = (await served.app.runtime()).store
    await anyio.to_thread.run_sync(store.agent_state, served.theirs)  # now in the working set
    async with served.client() as client:
        arguments = {"agent_id": served.theirs, "message": "Hi"}
        result = await client.call_tool("agent_message", arguments)
    assert text_of(result) == f"no agent {served.theirs!r}; agents: Mine"


async def test_what_would_tell_of_others_is_refused_to_it(served: Served) -> None:
    async with served.client() as client:
        created = await client.call_tool("agent_create", {"name": "Theirs"})
        renamed = await client.call_tool("agent_update", {"agent_id": "Mine", "name": "Theirs"})
        model = await client.call_tool("agent_update", {"agent_id": "Mine", "model": "/etc/passwd"})
        inside = {"agent_id": "Mine", "model": "openai:x@http://169.254.169.254/v1"}
        request = await client.call_tool("agent_update", inside)
        cloned = await client.call_tool("agent_clone", {"agent_id": "Mine", "name": "Theirs"})
    for result in (created, renamed, model, request, cloned):
        assert result.is_error
        assert "this token is for some agents only" in text_of(result)


async def test_tools_are_seen_and_run_with_the_agents_that_have_them_and_changed_by_nobody(
    served: Served,
) -> None:
    source = 'def {}() -> int:\n    """Roll a die."""\n    return 4\n'
    async with served.client(PERSON) as person:
        for name, agent in (("roll", "Mine"), ("secret", "Theirs")):
            await call(person, "tool_create", source=source.format(name))
            await call(person, "tool_attach", agent_id=agent, tool_id=name)
        await call(person, "tool_attach", agent_id="Theirs", tool_id="roll")
    async with served.client() as laptop:
        listed = await call(laptop, "tool_list")
        assert [tool["name"] for tool in listed["tools"]] == ["roll"]
        assert (await call(laptop, "tool_get", tool_id="roll"))["agents"] == ["Mine"]
        unknown = [
            await laptop.call_tool("tool_get", {"tool_id": "secret"}),
            await laptop.call_tool("tool_run", {"agent_id": "Mine", "tool_id": "secret"}),
        ]
        ran = await laptop.call_tool("tool_run", {"agent_id": "Mine", "tool_id": "roll"})
        of_roll = {"agent_id": "Mine", "tool_id": "roll"}
        refused = [
            await laptop.call_tool("tool_create", {"source": source.format("third")}),
            await laptop.call_tool("tool_update", {"tool_id": "roll", "name": "secret"}),
            await laptop.call_tool("tool_delete", {"tool_id": "roll"}),
            await laptop.call_tool("tool_packages", {"tool_id": "roll"}),
            await laptop.call_tool("tool_attach", of_roll),
            await laptop.call_tool("tool_detach", of_roll),
        ]
        names = {tool.name for tool in (await laptop.list_tools()).tools}
    assert {text_of(result) for result in unknown} == {"no tool 'secret'; tools: roll"}
    # "no tool code is run": where nothing can be isolated.
    assert text_of(ran) == "4" or text_of(ran).startswith("no tool code is run: ")
    for result in refused:
        assert "this token is for some agents only" in text_of(result)
    assert {name for name in names if name.startswith("tool_")} == {
        *("tool_list", "tool_get", "tool_run")
    }


async def test_the_keys_of_one_principal_are_nothing_to_another(served: Served) -> None:
    key = {"agent_id": "Mine", "content": "Same.", "idempotency_key": "k"}
    async with served.client(PERSON) as person, served.client() as laptop:
        first = await call(person, "archival_memory_insert", **key)
        second = await call(laptop, "archival_memory_insert", **key)
    assert first != second


async def test_what_one_asked_to_approve_no_other_can_decide(served: Served) -> None:
    async with served.client(PERSON) as person, served.client() as laptop:
        asked = await call(person, "agent_delete", agent_id="Theirs")
        decided = {"approval_id": asked["approval_id"], "approve": True}
        stolen = await laptop.call_tool("approval_decide", decided)
        assert "nothing waits for approval" in text_of(stolen)
        assert (await call(person, "approval_decide", **decided))["approved"]


@pytest.mark.parametrize("whose", ["another's", "its successor's"])
async def test_a_session_of_one_token_is_of_no_use_to_another(served: Served, whose: str) -> None:
    initialize = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": {"name": "raw", "version": "0"},
        },
    }
    accept = {"Accept": "application/json, text/event-stream"}
    async with httpx2.AsyncClient(headers=accept) as http:
        first = {"Authorization": f"Bearer {served.token if whose.startswith('its') else PERSON}"}
        begun = await http.post(served.url, json=initialize, headers=first)
        session = {"Mcp-Session-Id": begun.headers["Mcp-Session-Id"]}
        second = served.token
        if whose == "its successor's":
            revoke_token(served.directory, "laptop")
            second, _ = create_token(served.directory, "laptop", [served.mine], None)
        laptop = {"Authorization": f"Bearer {second}"}
        listing = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
        other = await http.post(served.url, json=listing, headers={**session, **laptop})
    assert other.status_code == 404


async def test_a_revoked_token_is_refused_and_its_open_streams_end(served: Served) -> None:
    accept = {"Accept": "application/json, text/event-stream"}
    headers = {"Authorization": f"Bearer {served.token}", **accept}
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    listen = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "subscriptions/listen",
        "params": {"_meta": meta, "notifications": {"resourcesListChanged": True}},
    }
    routing = {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "subscriptions/listen"}
    with anyio.fail_after(20):
        async with (
            httpx2.AsyncClient(timeout=20) as http,
            http.stream("POST", served.url, json=listen, headers={**headers, **routing}) as stream,
        ):
            assert stream.status_code == 200
            revoke_token(served.directory, "laptop")
            async for _ in stream.aiter_bytes():
                pass  # until the server ends it
            again = await http.post(served.url, json=listen, headers={**headers, **routing})
    assert again.status_code == 401


async def test_what_others_write_is_not_counted_for_it(served: Served) -> None:
    async with served.client(PERSON) as person, served.client() as laptop:
        for number in range(20):
            fact = {"agent_id": "Theirs", "content": f"Fact {number}."}
            await call(person, "archival_memory_insert", **fact)
        found = await call(laptop, "archival_memory_search", agent_id="Mine", query="fact")
    assert found["pending_vectors"] == 0
