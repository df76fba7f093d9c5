"""MCP servers of others over HTTP: a real one, and peers that answer what no server should."""

import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import anyio
import anyio.abc
import pytest

from memory.errors import InvalidValue
from memory.tool_server_records import Launch, ToolServer
from server.external.addresses import check_headers, check_url
from server.external.errors import ExternalServerError, ServerUnreachable
from server.external.servers import ExternalServers
from tests.server.external.conftest import TOY

Reply = Callable[[anyio.abc.SocketStream], AsyncIterator[bytes]]


def stored(url: str, **more: object) -> ToolServer:
    now = datetime.now(UTC)
    launch = Launch("http", url=url, **{"connect_timeout_s": 10.0, **more})  # type: ignore[arg-type]
    return ToolServer(1, "server-1", "web", launch, True, (), None, now, now)


@pytest.fixture
def url() -> Iterator[str]:
    """The address of a real server."""
    process = subprocess.Popen([sys.executable, TOY, "http"], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/mcp"
    finally:
        process.kill()
        process.communicate()


@asynccontextmanager
async def peer(answer: bytes, endless: bytes = b"") -> AsyncIterator[tuple[str, list[bytes]]]:
    """An HTTP server that answers everything in the same way; the requests that it got."""
    requests: list[bytes] = []

    async def serve(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            try:
                requests.append(await stream.receive())
                await stream.send(answer)
                while endless:
                    await stream.send(endless)
                if not answer:
                    await anyio.sleep_forever()
            except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
                return

    async with (
        await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(listener.serve, serve)
        port = listener.extra(anyio.abc.SocketAttribute.local_port)  # noqa: S610
        yield f"http://127.0.0.1:{port}/mcp", requests
        tasks.cancel_scope.cancel()


async def test_a_server_over_http_lists_and_answers(servers: ExternalServers, url: str) -> None:
    server = stored(url, headers={"X-Key": "$secret:files"})
    names = [tool.offered for tool in await servers.list_tools("web", "1", server.launch)]
    assert "web__add" in names
    assert (await servers.call(server, "say", {"text": "hé"})).text == "hé"
    assert (await servers.call(server, "fail", {})).failed


async def test_headers_carry_secrets_and_nothing_of_the_environment(
    servers: ExternalServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    async with peer(b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n") as (url, requests):
        with pytest.raises(ServerUnreachable):
            await servers.call(stored(url, headers={"X-Key": "k $secret:files"}), "act", {})
    assert b"x-key: k s3cr3t-value" in requests[0].lower()


async def test_no_redirect_to_another_origin_is_followed(servers: ExternalServers) -> None:
    async with peer(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n") as (elsewhere, requests):
        moved = f"HTTP/1.1 307 Moved\r\nlocation: {elsewhere}\r\ncontent-length: 0\r\n\r\n"
        async with peer(moved.encode()) as (url, _):
            with anyio.fail_after(20), pytest.raises(ServerUnreachable, match="not followed"):
                await servers.call(stored(url), "act", {})
    assert requests == []


@pytest.mark.parametrize(
    ("answer", "endless"),
    [
        (b"", b""),
        (b"nonsense\r\n\r\n", b""),
        (b"HTTP/1.1 401 No\r\ncontent-length: 0\r\n\r\n", b""),
        (b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n", b"[" * 65_536),
        (b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n", b": x\n\n" * 10_000),
        (b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n", b"data: x\n\n" * 10_000),
        (b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n", b"data: " + b"x" * 65_536),
        (
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\n\r\n",
            b"\x1f\x8b",
        ),
    ],
)
async def test_a_peer_that_is_no_server_is_told_apart_in_time(
    servers: ExternalServers, answer: bytes, endless: bytes
) -> None:
    async with peer(answer, endless) as (url, _):
        with anyio.fail_after(30), pytest.raises(ExternalServerError):
            await servers.call(stored(url, connect_timeout_s=2.0), "act", {})


async def test_nobody_there_is_said_at_once(servers: ExternalServers) -> None:
    async with peer(b"") as (url, _):
        pass
    with anyio.fail_after(20), pytest.raises(ServerUnreachable, match="cannot be used"):
        await servers.call(stored(url), "act", {})


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/mcp",
        "ftp://127.0.0.1/",
        "https://user:word@example.com/",
        "https://example.com/?key=$secret:files",
        "file:///etc/passwd",
        "https://",
        "https://a b/",
        "https://example.com:99999/",
        "http://127.0.0.1.example.com/",
        "http://localhost.example.com/",
        "nonsense",
    ],
)
def test_urls_that_others_could_read_are_refused(url: str) -> None:
    with pytest.raises(InvalidValue):
        check_url(url)


@pytest.mark.parametrize(
    "url",
    ["https://example.com/mcp", "http://127.0.0.1:8000/mcp", "http://[::1]/", "http://localhost/"],
)
def test_https_and_this_machine_are_taken(url: str) -> None:
    check_url(url)


@pytest.mark.parametrize(
    "headers", [{"Host": "x"}, {"a b": "x"}, {"X": "a\r\nB: c"}, {"X": "é"}, {"": "x"}]
)
def test_headers_that_cannot_be_are_refused(headers: dict[str, str]) -> None:
    with pytest.raises(InvalidValue):
        check_headers(headers)
