"""The HTTP transport over loopback, served by a process of its own."""

import signal
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import anyio
import anyio.to_thread
import httpx2
import pytest
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client

from server.http import CannotListen, HttpAddress, serve_http
from server.principals import Principals
from server.protocol import build_server
from tests.server.processes import INITIALIZE, RawServer, toy_process, wait_for_line
from tests.server.toy_server import TOKEN, toy_registry

pytestmark = pytest.mark.anyio

SOON_S = 12.0  # an end takes 5 s at most on an idle machine
Era = Literal["legacy", "auto"]
RIGHT = {"Authorization": f"Bearer {TOKEN}"}
PERSON = Principals(TOKEN, None)
ACCEPT = {"Accept": "application/json, text/event-stream"}


@dataclass(frozen=True)
class HttpServer:
    """A toy server that answers HTTP at `url`."""

    raw: RawServer
    url: str

    @property
    def root(self) -> str:
        return self.url.removesuffix("/mcp")


@contextmanager
def started(directory: Path) -> Iterator[HttpServer]:
    with toy_process("http", directory / "journal") as raw:
        yield HttpServer(raw, wait_for_line(raw.journal, lambda line: line.startswith("http")))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[HttpServer]:
    with started(tmp_path) as found:
        yield found


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpServer]:
    with started(tmp_path_factory.mktemp("shared")) as found:
        yield found


@asynccontextmanager
async def connected(server: HttpServer, era: Era) -> AsyncIterator[Client]:
    async with (
        httpx2.AsyncClient(headers=RIGHT, timeout=30) as http,
        Client(streamable_http_client(server.url, http_client=http), mode=era) as client,
    ):
        yield client


@pytest.mark.parametrize("era", ["legacy", "auto"])
async def test_a_client_of_either_era_can_call_tools(shared: HttpServer, era: Era) -> None:
    seen: list[float] = []
    with anyio.fail_after(30):
        async with connected(shared, era) as client:
            result = await client.call_tool("add", {"left": 20, "right": 22})

            async def note(progress: float, total: float | None, message: str | None) -> None:
                seen.append(progress)

            await client.call_tool("who", {}, progress_callback=note)
    assert result.structured_content == {"sum": 42}
    assert seen == [1, 2]


@pytest.mark.parametrize("path", ["/mcp", "/", "/docs", "/.well-known/oauth-protected-resource"])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "OPTIONS"])
async def test_every_path_wants_the_token(shared: HttpServer, method: str, path: str) -> None:
    async with httpx2.AsyncClient() as http:
        bare = await http.request(method, shared.root + path)
        wrong = await http.request(
            method, shared.root + path, headers={"Authorization": "Bearer wrong"}
        )
    assert (bare.status_code, wrong.status_code) == (401, 401)
    assert bare.headers["WWW-Authenticate"] == 'Bearer realm="mnemon"'
    assert wrong.headers["WWW-Authenticate"] == 'Bearer realm="mnemon", error="invalid_token"'


async def test_health_needs_no_token_and_says_only_ok(shared: HttpServer) -> None:
    async with httpx2.AsyncClient() as http:
        health = await http.get(shared.root + "/health")
        post = await http.post(shared.root + "/health")
    assert (health.status_code, health.text) == (200, "ok")
    assert post.status_code == 401
    assert "server" not in health.headers


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "localhost"}, 200),
        ({"Host": "localhost:1"}, 200),
        ({"Host": "evil.example"}, 421),
        ({"Origin": "http://localhost:3000"}, 200),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
async def test_host_and_origin_are_checked_on_every_path(
    shared: HttpServer, headers: dict[str, str], status: int
) -> None:
    async with httpx2.AsyncClient() as http:
        health = await http.get(shared.root + "/health", headers=headers)
        call = await http.post(shared.url, json=INITIALIZE, headers={**RIGHT, **ACCEPT, **headers})
    assert (health.status_code, call.status_code) == (status, status)


async def test_a_body_above_four_mebibytes_is_refused(shared: HttpServer) -> None:
    body = b" " * (4 * 1024 * 1024 + 1)
    async with httpx2.AsyncClient() as http:
        answer = await http.post(
            shared.url,
            content=body,
            headers={**RIGHT, **ACCEPT, "Content-Type": "application/json"},
        )
    assert answer.status_code == 413


async def test_an_unpaired_surrogate_over_http_is_answered_and_serving_goes_on(
    shared: HttpServer,
) -> None:
    text = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"\\ud800"}}'
    headers = {**RIGHT, **ACCEPT, "Content-Type": "application/json"}
    async with httpx2.AsyncClient() as http:
        for version in ({}, {"MCP-Protocol-Version": "2026-07-28"}):
            answer = await http.post(shared.url, content=text, headers={**headers, **version})
            assert answer.status_code == 400
        assert (await http.get(shared.root + "/health")).text == "ok"


def assert_ends_soon(server: HttpServer, number: signal.Signals = signal.SIGTERM) -> None:
    begun = time.monotonic()
    server.raw.process.send_signal(number)
    assert server.raw.end() == 0
    assert time.monotonic() - begun < SOON_S
    assert server.raw.events()[-1] == "closed"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_an_idle_server(server: HttpServer, number: signal.Signals) -> None:
    assert_ends_soon(server, number)


@pytest.mark.parametrize("era", ["legacy", "auto"])
async def test_a_call_in_flight_is_cancelled_when_the_server_ends(
    server: HttpServer, era: Era
) -> None:
    async def call() -> None:
        with suppress(Exception):  # what a client makes of a broken connection is its own matter
            async with connected(server, era) as client:
                await client.call_tool("wait", {})

    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call)
            await anyio.to_thread.run_sync(server.raw.wait_for, "waiting")
            await anyio.to_thread.run_sync(assert_ends_soon, server)
            tasks.cancel_scope.cancel()
    assert "cancelled" in server.raw.events()


async def test_an_open_get_stream_does_not_hold_up_the_end(server: HttpServer) -> None:
    headers = {**RIGHT, **ACCEPT}
    with anyio.fail_after(30):
        async with httpx2.AsyncClient(timeout=30) as http:
            opened = await http.post(server.url, json=INITIALIZE, headers=headers)
            session = {"Mcp-Session-Id": opened.headers["Mcp-Session-Id"]}
            async with http.stream("GET", server.url, headers={**headers, **session}) as news:
                assert news.status_code == 200
                await anyio.to_thread.run_sync(assert_ends_soon, server)
                assert [chunk async for chunk in news.aiter_bytes()] == []


async def test_a_stream_that_listens_is_ended_in_order_when_the_server_ends(
    server: HttpServer,
) -> None:
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    listen = {
        "jsonrpc": "2.0",
        "id": 7,
        "method": "subscriptions/listen",
        "params": {"_meta": meta, "notifications": {"toolsListChanged": True}},
    }
    routing = {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "subscriptions/listen"}
    with anyio.fail_after(SOON_S + 10):
        async with (
            httpx2.AsyncClient(headers={**RIGHT, **ACCEPT, **routing}, timeout=30) as http,
            http.stream("POST", server.url, json=listen) as stream,
        ):
            lines = stream.aiter_lines()
            while "subscriptions/acknowledged" not in await anext(lines):
                pass
            await anyio.to_thread.run_sync(assert_ends_soon, server)
            rest = [line async for line in lines]
    assert any('"id":7,"result"' in line for line in rest)


async def test_the_real_port_is_told_and_a_cancelled_server_frees_it() -> None:
    ports: list[int] = []
    with anyio.fail_after(30):
        for port in (0, None):
            address = HttpAddress("localhost", port if port is not None else ports[0])
            async with anyio.create_task_group() as tasks:
                begun = anyio.Event()

                def on_started(host: str, port: int, begun: anyio.Event = begun) -> None:
                    ports.append(port)
                    begun.set()

                server = build_server(toy_registry())
                tasks.start_soon(serve_http, server, address, PERSON, on_started)
                await begun.wait()
                async with httpx2.AsyncClient() as http:
                    health = await http.get(f"http://localhost:{ports[-1]}/health")
                assert health.text == "ok"
                tasks.cancel_scope.cancel()
    assert ports[0] == ports[1] != 0


async def test_a_port_in_use_is_a_clear_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CannotListen, match=f"cannot listen on 127.0.0.1 port {port}: .*in use"):
            await serve_http(build_server(toy_registry()), HttpAddress(port=port), PERSON)


async def test_a_server_without_a_token_does_not_start() -> None:
    with pytest.raises(ValueError, match="without a token"):
        Principals("", None)
