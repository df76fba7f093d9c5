"""Files of an agent's workspace, as hosts read and write them, with the sandbox of this machine."""

import base64
from collections.abc import AsyncIterator
from typing import Any

import anyio.to_thread
import pytest
from mcp import Client
from mcp_types import CallToolResult, TextContent

from agent.outside import OutsideCall
from server.app import App, open_app
from server.config import Settings
from server.reply_size import MAX_REPLY_BYTES, json_bytes
from tests.sandbox.sandboxes import skip_where_impossible


class Host:
    """A host with an agent Ada."""

    def __init__(self, app: App, client: Client) -> None:
        self.app, self.client = app, client

    async def result(self, tool: str, /, **arguments: Any) -> CallToolResult:
        return await self.client.call_tool(f"workspace_{tool}", {"agent_id": "Ada", **arguments})

    async def __call__(self, tool: str, /, **arguments: Any) -> dict[str, Any]:
        result = await self.result(tool, **arguments)
        assert not result.is_error, result.content
        found: dict[str, Any] | None = result.structured_content
        assert found is not None
        assert json_bytes(result.model_dump(mode="json", by_alias=True)) < MAX_REPLY_BYTES
        return found

    async def error(self, tool: str, /, **arguments: Any) -> str:
        result = await self.result(tool, **arguments)
        assert result.is_error
        (content,) = result.content
        assert isinstance(content, TextContent)
        return content.text


@pytest.fixture
async def host() -> AsyncIterator[Host]:
    settings = Settings(data=":memory:", embedder="none", toolset="full")
    async with open_app(settings) as app, Client(app.server()) as client:
        await client.call_tool("agent_create", {"name": "Ada"})
        found = await (await app.runtime()).outside.sandbox.availability()
        skip_where_impossible(found)
        yield Host(app, client)


async def test_a_host_writes_lists_reads_and_deletes(host: Host) -> None:
    assert (await host("write", path="notes/a.txt", content="Adá"))["size_bytes"] == 4
    assert (await host("write", path="notes/a.txt", content="!", append=True))["size_bytes"] == 5
    listed = await host("list", path="notes")
    assert [(f["name"], f["kind"], f["size_bytes"]) for f in listed["files"]] == [
        ("a.txt", "file", 5)
    ]
    assert 0 < listed["used_bytes"] < listed["limit_bytes"]
    read = await host("read", path="notes/a.txt")
    assert (read["content"], read["encoding"], read["next_cursor"]) == ("Adá!", "utf-8", None)
    assert (await host("delete", path="notes"))["deleted"] == 2
    assert (await host("list"))["files"] == []


async def test_what_is_no_text_comes_and_goes_as_base64(host: Host) -> None:
    data = bytes(range(256)) * 50
    await host("write", path="a.bin", content=base64.b64encode(data).decode(), encoding="base64")
    read, cursor = b"", None
    while True:
        part = await host("read", path="a.bin", cursor=cursor)
        assert part["encoding"] == "base64"
        read += base64.b64decode(part["content"])
        cursor = part["next_cursor"]
        if cursor is None:
            break
    assert read == data
    assert "not valid base64" in await host.error(
        "write", path="a.bin", content="?", encoding="base64"
    )


@pytest.mark.parametrize("text", ["é\n" * 9_000, "\x01" * 9_000, "x" * 30_000])
async def test_a_long_text_comes_in_parts(host: Host, text: str) -> None:
    await host("write", path="a", content=text)
    read, cursor = "", None
    while True:
        part = await host("read", path="a", cursor=cursor)
        read += part["content"]
        cursor = part["next_cursor"]
        if cursor is None:
            break
    assert read == text


async def test_a_long_folder_comes_in_pages(host: Host) -> None:
    names = [f"{number:03}-{'x' * 150}" for number in range(120)]
    for name in names:
        await host("write", path=name, content="")
    found, cursor = [], None
    while True:
        page = await host("list", cursor=cursor)
        found += [file["name"] for file in page["files"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert found == names


async def test_a_repeat_of_a_write_changes_nothing(host: Host) -> None:
    for _ in range(2):
        again = await host("write", path="a", content="x", append=True, idempotency_key="k")
        assert again["size_bytes"] == 1


async def test_what_cannot_be_is_refused_with_the_reason(host: Host) -> None:
    assert "goes up" in await host.error("read", path="../../mnemon.duckdb")
    assert "absolute" in await host.error("write", path="/etc/passwd", content="x")
    assert "there is no 'a'" in await host.error("read", path="a")
    assert "no cursor" in await host.error("read", path="a", cursor="x")
    assert "no cursor" in await host.error("list", cursor="x")
    assert "no agent" in await host.error("list", agent_id="Bea")


async def test_a_host_and_the_agent_s_code_see_the_same_files(host: Host) -> None:
    await host("write", path="in.txt", content="2")
    runtime = await host.app.runtime()
    changed = await host.client.call_tool(
        "agent_update",
        {"agent_id": "Ada", "settings": {"tools": ["run_code", "file_read", "file_write"]}},
    )
    assert not changed.is_error, changed.content
    state = runtime.store.agent_state("Ada")
    tools = await anyio.to_thread.run_sync(runtime.outside.source, state)
    assert list(tools) == ["run_code", "file_read", "file_write"]

    async def use(tool: str, **arguments: Any) -> str:
        return (await tools[tool].run(OutsideCall(state.agent, arguments))).text

    assert await use("file_write", path="both.txt", content="3") == "both.txt has 1 bytes."
    code = (
        "n = int(open('in.txt').read()) * int(open('both.txt').read())\n"
        "open('out.txt', 'w').write(str(n))"
    )
    assert await use("run_code", code=code) == "1"
    assert await use("file_read", path="out.txt") == "6"
    assert (await host("read", path="out.txt"))["content"] == "6"
