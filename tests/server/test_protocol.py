"""The registry seen through the SDK's own client, in both protocol eras."""

import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Literal

import anyio
import pytest
from mcp.client.client import Client
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult, Implementation, TextContent
from pydantic import ConfigDict, RootModel

from agent.memory_tools import Arguments
from server.protocol import build_server
from server.registry import Tool, Toolset
from tests.server.toy_server import Journal, toy_registry

Era = Literal["legacy", "auto"]

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["legacy", "auto"])
def era(request: pytest.FixtureRequest) -> Era:
    return request.param  # type: ignore[no-any-return]


@asynccontextmanager
async def connected(era: Era, journal: Journal | None = None) -> AsyncIterator[Client]:
    server = build_server(toy_registry(journal))
    client = Client(server, mode=era, client_info=Implementation(name="toy-host", version="9"))
    with anyio.fail_after(20):
        async with client:
            yield client


def text_of(result: CallToolResult) -> str:
    (content,) = result.content
    assert isinstance(content, TextContent)
    return content.text


async def test_tools_are_listed_in_the_order_of_the_table(era: Era) -> None:
    async with connected(era) as client:
        first = [tool.name for tool in (await client.list_tools()).tools]
    assert first == [tool.name for tool in toy_registry().tools]


async def test_every_tool_says_what_it_does_to_the_world(era: Era) -> None:
    async with connected(era) as client:
        tools = {tool.name: tool.annotations for tool in (await client.list_tools()).tools}
    hints = {
        name: (a.read_only_hint, a.destructive_hint, a.idempotent_hint, a.open_world_hint)
        for name, a in tools.items()
        if a is not None
    }
    # What is not said is the default: it writes, and a repeat does more.
    assert hints["add"] == (True, None, None, False)
    assert hints["echo"] == (None, False, True, False)
    assert hints["fail"] == (None, True, None, False)
    assert set(hints) == set(tools)


async def test_schemas_are_strict_and_carry_no_titles_of_their_own(era: Era) -> None:
    async with connected(era) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    echo = tools["echo"].input_schema
    assert echo["additionalProperties"] is False
    assert echo["properties"]["style"]["properties"] == {
        "title": {"type": "string", "default": "plain"}
    }
    assert "$defs" not in json.dumps(echo)
    assert tools["add"].output_schema == {
        "type": "object",
        "properties": {"sum": {"type": "integer"}},
    }


async def test_a_cursor_that_was_never_handed_out_is_refused(era: Era) -> None:
    async with connected(era) as client:
        for listing in (client.list_tools, client.list_resource_templates, client.list_resources):
            with pytest.raises(MCPError, match="unknown cursor") as caught:
                await listing(cursor="bogus")
            assert caught.value.code == -32602


async def test_a_result_is_structured_and_its_text_is_compact(era: Era) -> None:
    async with connected(era) as client:
        result = await client.call_tool("add", {"left": 1, "right": 2})
    assert not result.is_error
    assert result.structured_content == {"sum": 3}
    assert text_of(result) == '{"sum":3}'


async def test_a_recursive_result_fits_its_own_schema(era: Era) -> None:
    async with connected(era) as client:
        await client.list_tools()
        result = await client.call_tool("tree", {})
    assert result.structured_content == {"children": [{"children": []}]}


async def test_a_tool_knows_its_host_its_request_and_can_report_progress(era: Era) -> None:
    seen: list[tuple[float, float | None, str | None]] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        seen.append((progress, total, message))

    async with connected(era) as client:
        result = await client.call_tool("who", {}, progress_callback=on_progress)
        without = await client.call_tool("who", {})
    assert seen == [(1, 2, "half"), (2, 2, "done")]
    assert text_of(result) == text_of(without) == "you are toy-host"
    assert result.structured_content is not None
    assert result.structured_content["request_id"] not in ("", "None")


async def test_a_host_that_gives_no_name_is_unknown() -> None:
    server = build_server(toy_registry())
    nameless = Implementation(name="\x00 \n", version="9")
    async with Client(server, client_info=nameless) as client:
        assert text_of(await client.call_tool("who", {})) == "you are unknown"


async def test_an_unknown_tool_is_a_protocol_error_that_names_the_known_ones(era: Era) -> None:
    async with connected(era) as client:
        with pytest.raises(MCPError, match="unknown tool 'ad'; known: add, echo") as caught:
            await client.call_tool("ad", {})
    assert caught.value.code == -32602


async def test_wrong_arguments_are_a_failed_call_in_one_line(era: Era) -> None:
    async with connected(era) as client:
        result = await client.call_tool("add", {"left": 1, "rigth": 2, "right": 3})
    assert result.is_error
    assert text_of(result) == (
        "add: unknown argument 'rigth' (did you mean 'right'?). Required: left, right."
    )


async def test_json_inside_a_string_is_read_where_no_text_is_taken(era: Era) -> None:
    sent = {"text": "[1]", "note": '{"a":1}', "tags": '["t"]', "style": '{"title":"T"}'}
    async with connected(era) as client:
        result = await client.call_tool("echo", sent)
    assert result.structured_content == {
        "text": "[1]",
        "note": '{"a":1}',
        "tags": ["t"],
        "title": "T",
    }


async def test_odd_characters_come_back_as_they_were(era: Era) -> None:
    text = "a\0b\u2028\u200b\U0001f600\r\n"
    async with connected(era) as client:
        result = await client.call_tool("echo", {"text": text})
    assert result.structured_content is not None
    assert result.structured_content["text"] == text


async def test_an_unpaired_surrogate_is_a_failed_call_and_the_next_call_works(era: Era) -> None:
    async with connected(era) as client:
        result = await client.call_tool("echo", {"text": "\ud800"})
        assert result.is_error
        assert "must be valid Unicode" in text_of(result)
        assert not (await client.call_tool("echo", {"text": "x"})).is_error


async def test_a_mistake_of_the_caller_is_told_to_the_model(era: Era) -> None:
    async with connected(era) as client:
        result = await client.call_tool("fail", {"how": "mistake"})
    assert result.is_error
    assert text_of(result) == "there is no toy 'x'; there are: y, z"


@pytest.mark.parametrize("how", ["bug", "wrong result", "bad text"])
async def test_a_bug_is_logged_with_its_traceback_and_told_without_detail(
    era: Era, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with connected(era) as client:
        result = await client.call_tool("fail", {"how": how})
    assert result.is_error
    assert text_of(result) == "internal error in fail; see the server's log"
    (record,) = [record for record in caplog.records if record.name == "server.tool_calls"]
    assert record.exc_info is not None


async def test_a_reply_that_is_too_long_is_logged_as_a_bug_of_the_tool(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)
    async with connected("auto") as client:
        assert not (await client.call_tool("fail", {"how": "long text"})).is_error
    assert "the reply of fail has" in caplog.text


async def test_resources_come_page_by_page(era: Era) -> None:
    uris: list[str] = []
    async with connected(era) as client:
        page = await client.list_resources()
        uris += [str(found.uri) for found in page.resources]
        while page.next_cursor is not None:
            page = await client.list_resources(cursor=page.next_cursor)
            uris += [str(found.uri) for found in page.resources]
        (template,) = (await client.list_resource_templates()).resource_templates
    assert uris == [f"toy://notes/{number}" for number in range(5)]
    assert template.uri_template == "toy://notes/{number}"


async def test_a_resource_is_read_and_an_unknown_one_is_invalid(era: Era) -> None:
    async with connected(era) as client:
        read = await client.read_resource("toy://notes/3")
        with pytest.raises(MCPError, match="unknown resource 'toy://notes/9'") as unknown:
            await client.read_resource("toy://notes/9")
        with pytest.raises(MCPError) as bug:
            await client.read_resource("toy://notes/bug")
    assert read.contents[0].model_dump()["text"] == "text of note 3"
    assert (unknown.value.code, unknown.value.data) == (-32602, {"uri": "toy://notes/9"})
    assert bug.value.code == -32603
    assert "secret" not in bug.value.message


async def test_a_server_without_resources_does_not_claim_any(era: Era) -> None:
    server = build_server(replace(toy_registry(), resources=None))
    async with Client(server, mode=era) as client:
        assert client.server_capabilities.resources is None
        with pytest.raises(MCPError, match="Method not found"):
            await client.list_resources()


async def test_clients_are_promised_the_notices_that_they_get(era: Era) -> None:
    async with connected(era) as client:
        capabilities = client.server_capabilities
    assert capabilities.resources is not None and capabilities.resources.list_changed
    assert capabilities.resources.subscribe
    if era == "legacy":
        assert capabilities.tools is not None and not capabilities.tools.list_changed


async def test_heavy_imports_wait_for_the_second_message(era: Era) -> None:
    journal = Journal()
    async with connected(era, journal) as client:
        if era == "auto":
            assert journal.events == []
        await client.list_tools()
        await client.list_resources()
        assert journal.events == ["second message"]


async def test_two_tools_of_one_name_are_refused() -> None:
    registry = toy_registry()
    with pytest.raises(ValueError, match="two tools of one name"):
        build_server(replace(registry, tools=registry.tools[:1] * 2))


async def test_more_tools_are_made_when_one_of_them_is_called_and_only_once(era: Era) -> None:
    registry, made = toy_registry(), list[str]()

    def more() -> tuple[Tool, ...]:
        made.append("more")
        return tuple(replace(tool, toolsets=frozenset[Toolset]()) for tool in registry.tools[1:])

    first = replace(registry, tools=registry.tools[:1], more_tools=more)
    async with Client(build_server(first), mode=era) as client:
        assert [tool.name for tool in (await client.list_tools()).tools] == ["add"]
        assert not (await client.call_tool("add", {"left": 1, "right": 2})).is_error
        assert made == []
        for _ in range(2):
            assert not (await client.call_tool("who", {})).is_error
    assert made == ["more"]


async def test_more_tools_are_listed_behind_the_first_in_the_toolsets_that_list_them(
    era: Era,
) -> None:
    registry = toy_registry()
    more = tuple(replace(tool, toolsets=frozenset[Toolset]()) for tool in registry.tools[1:])
    full = replace(registry, tools=registry.tools[:1], more_tools=lambda: more, toolset="full")
    async with Client(build_server(full), mode=era) as client:
        listed = [tool.name for tool in (await client.list_tools()).tools]
    assert listed == [tool.name for tool in registry.tools]


async def test_a_tool_of_the_default_toolset_cannot_be_among_more_tools() -> None:
    registry = toy_registry()
    hidden = replace(registry, tools=(), more_tools=lambda: registry.tools[:1])
    async with Client(build_server(hidden), mode="legacy") as client:
        with pytest.raises(MCPError):
            await client.call_tool("add", {"left": 1, "right": 2})


async def test_a_result_without_named_fields_is_refused() -> None:
    registry = toy_registry()
    bare = replace(registry.tools[0], result=RootModel[list[int]])
    with pytest.raises(TypeError, match="result of add"):
        build_server(replace(registry, tools=(bare,)))


async def test_arguments_that_would_drop_unknown_ones_are_refused() -> None:
    class Lax(Arguments):
        model_config = ConfigDict(extra="ignore")

    registry = toy_registry()
    lax = replace(registry.tools[0], arguments=Lax)
    with pytest.raises(TypeError, match="arguments of add must forbid unknown ones"):
        build_server(replace(registry, tools=(lax,)))


async def test_building_a_server_leaves_logging_to_the_program() -> None:
    before = (logging.getLogger().handlers[:], logging.getLogger().level)
    build_server(toy_registry())
    assert (logging.getLogger().handlers, logging.getLogger().level) == before
