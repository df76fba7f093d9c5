"""What a tool reaches from inside the whole sandbox: what it was granted, through its proxy."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from sandbox.errors import SandboxUnavailable
from sandbox.namespaces import NamespaceSandbox
from sandbox.places import temporary_places
from sandbox.policy import Policy
from sandbox.protocol import Outcome, ToolRun
from sandbox.reach import Reach
from sandbox.settings import SandboxSettings
from tests.sandbox.proxied import HERE, Recorder, echo, names, server
from tests.sandbox.sandboxes import skip_where_impossible

FETCH = """
import urllib.request
def fetch(urls):
    answers = []
    for url in urls:
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                answers.append(answer.read().decode())
        except Exception as error:
            body = error.read().decode() if hasattr(error, "read") else ""
            answers.append(f"{type(error).__name__}: {error} {body}")
    return answers
"""


@asynccontextmanager
async def sandbox(reach: Reach = HERE) -> AsyncIterator[NamespaceSandbox]:
    settings = SandboxSettings(reach=reach, warm_workers=1)
    with temporary_places() as places:
        async with NamespaceSandbox(places, settings).open() as opened:
            found = await opened.availability()
            skip_where_impossible(found)
            yield opened


async def run(opened: NamespaceSandbox, source: str, *grants: str, **given: Any) -> Outcome:
    name = source.split("def ")[1].split("(")[0]
    policy = Policy(network=grants, wall_s=given.pop("wall_s", 30.0))
    return await opened.run(ToolRun(source, name, given, policy))


async def test_urllib_fetches_from_a_granted_host_and_from_no_other() -> None:
    async with server(Recorder()) as port, sandbox() as opened:
        urls = [
            f"http://api.test:{port}/a",
            f"http://other.test:{port}/",
            f"http://127.0.0.1:{port}/",
        ]
        outcome = await run(opened, FETCH, f"api.test:{port}", urls=urls)
        assert outcome.status == "ok", outcome
        fetched, other, itself = outcome.result
        assert fetched == "hi"
        for answer, host in ((other, "other.test"), (itself, "127.0.0.1")):
            assert f"HTTP Error 403: {host}:{port} is not granted" in answer
        # A spare process of the same shape serves the next call, with the grants of that.
        again = await run(opened, FETCH, f"other.test:{port}", urls=urls[:2])
        assert ["403" in answer for answer in again.result] == [True, False]


async def test_a_tool_without_grants_has_no_socket_at_all() -> None:
    source = (
        "import os, socket\n"
        "def look():\n"
        "    try: socket.socket()\n"
        "    except PermissionError: return os.environ.get('http_proxy')\n"
    )
    async with sandbox() as opened:
        assert (await run(opened, source)).result is None


async def test_tls_is_asked_for_as_a_tunnel_and_the_reason_of_a_refusal_is_seen() -> None:
    async with sandbox(Reach(names({"db.test": "10.0.0.3"}))) as opened:
        urls = ["https://db.test/", "https://other.test/"]
        outcome = await run(opened, FETCH, "db.test:443", urls=urls)
        private, other = outcome.result
    assert "Tunnel connection failed: 403 db.test:443: 10.0.0.3 is a private address" in private
    assert "Tunnel connection failed: 403 other.test:443 is not granted" in other


async def test_there_is_no_way_around_the_proxy() -> None:
    source = """
import errno, os, socket
def look(path, port):
    said = {}
    def attempt(name, act):
        try: said[name] = act() or "done"
        except OSError as error: said[name] = errno.errorcode.get(error.errno, str(error))
    def connect(host, port):
        with socket.socket() as link:
            link.settimeout(5)
            link.connect((host, port))
    attempt("host loopback", lambda: connect("127.0.0.1", port))
    attempt("public", lambda: connect("9.9.9.9", 443))
    attempt("metadata", lambda: connect("169.254.169.254", 80))
    attempt("udp", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    attempt("ipv6", lambda: socket.socket(socket.AF_INET6))
    attempt("raw", lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW))
    attempt("unix", lambda: socket.socket(socket.AF_UNIX))
    attempt("netlink", lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW))
    attempt("dns", lambda: socket.getaddrinfo("example.com", 443))
    attempt("listen", lambda: socket.create_server(("127.0.0.1", 0)))
    said["socket file"] = os.path.exists(path)
    return said
"""
    place = f"/tmp/mnemon-{os.getpid()}.sock"  # noqa: S108
    async with server(echo) as port, sandbox() as opened:
        async with await anyio.create_unix_listener(place):
            outcome = await run(opened, source, f"api.test:{port}", path=place, port=port)
        await anyio.Path(place).unlink()
    assert outcome.status == "ok", outcome
    said = outcome.result
    assert said.pop("host loopback") == "ECONNREFUSED"
    assert {said.pop("public"), said.pop("metadata")} == {"ENETUNREACH"}
    assert said.pop("socket file") is False
    assert said.pop("dns").startswith("[Errno -")
    assert set(said.values()) == {"EPERM"}, said


async def test_connections_end_with_the_run_even_when_it_is_killed() -> None:
    ended = anyio.Event()

    async def hold(stream: anyio.abc.SocketStream) -> None:
        async for _ in stream:
            pass
        ended.set()

    source = """
import os, socket, time
def hold(target):
    host, _, port = os.environ["http_proxy"].removeprefix("http://").partition(":")
    link = socket.create_connection((host, int(port)))
    link.sendall(f"CONNECT {target} HTTP/1.1\\r\\n\\r\\n".encode())
    assert link.recv(100).startswith(b"HTTP/1.1 200")
    time.sleep(60)
"""
    async with server(hold) as port, sandbox() as opened:
        outcome = await run(
            opened, source, f"api.test:{port}", wall_s=2.0, target=f"api.test:{port}"
        )
        assert outcome.status == "timeout", outcome
        with anyio.fail_after(10):
            await ended.wait()


async def test_calls_at_once_have_each_their_own_grants() -> None:
    async with server(Recorder()) as port, sandbox() as opened:
        results: dict[str, list[bool]] = {}
        urls = [f"http://{name}.test:{port}/" for name in ("api", "other")]

        async def one(name: str) -> None:
            outcome = await run(opened, FETCH, f"{name}.test:{port}", urls=urls)
            results[name] = ["403" not in answer for answer in outcome.result]

        async with anyio.create_task_group() as group:
            group.start_soon(one, "api")
            group.start_soon(one, "other")
    assert results == {"api": [True, False], "other": [False, True]}


async def test_where_a_grant_would_lead_to_this_machine_nothing_is_run_at_all() -> None:
    careless = SandboxSettings(reach=Reach(judge=lambda _: None), warm_workers=0)
    with temporary_places() as places:
        async with NamespaceSandbox(places, careless).open() as opened:
            found = await opened.availability()
            if not found.tried:
                pytest.skip(f"no sandbox here: {found.cause}")
            assert found.tier is None
            assert "a tool could" in found.cause
            assert "connect to this machine by a network grant" in found.cause
            with pytest.raises(SandboxUnavailable):
                await opened.run(ToolRun("1", None))
