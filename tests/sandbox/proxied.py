"""A proxy on a socket of loopback, names that lead where a test says, and servers behind it."""

import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from ipaddress import ip_address

import anyio
from anyio.abc import SocketAttribute, SocketStream

from sandbox.grants import Address
from sandbox.proxy import ProxyLimits, serve_grants
from sandbox.public_addresses import judge_address
from sandbox.reach import Reach, Resolve

Handler = Callable[[SocketStream], Awaitable[None]]


def only_loopback(address: Address) -> str | None:
    """What tests may reach."""
    return None if address.is_loopback else "an address outside of this test"


def names(known: Mapping[str, str]) -> Resolve:
    async def resolve(host: str, port: int) -> Sequence[Address]:
        if host not in known:
            raise OSError(f"nobody knows {host}")
        return [ip_address(text) for text in known[host].split()]

    return resolve


HERE = Reach(names({"api.test": "127.0.0.1", "other.test": "127.0.0.1"}), only_loopback)
"""api.test and other.test are loopback, and that may be reached."""


def public_rules(known: Mapping[str, str]) -> Reach:
    """The rules of the product, with the names of a test."""
    return Reach(names(known), judge_address)


@asynccontextmanager
async def proxy(
    *grants: str, reach: Reach | None = HERE, limits: ProxyLimits | None = None
) -> AsyncIterator[int]:
    """A proxy that listens on the port that is given out."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    port: int = listener.getsockname()[1]
    async with anyio.create_task_group() as group:
        group.start_soon(serve_grants, listener, grants, reach, limits)
        yield port
        group.cancel_scope.cancel()


@asynccontextmanager
async def server(handler: Handler) -> AsyncIterator[int]:
    async def serve(stream: SocketStream) -> None:
        async with stream:
            try:
                await handler(stream)
            except (anyio.BrokenResourceError, anyio.EndOfStream):
                return

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, serve)
        yield listener.extra(SocketAttribute.local_port)  # noqa: S610
        group.cancel_scope.cancel()


async def echo(stream: SocketStream) -> None:
    async for data in stream:
        await stream.send(data)
    await stream.send(b"<end>")


class Recorder:
    """An HTTP server that keeps what it is sent and answers each request with `answer`."""

    def __init__(self, answer: bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi") -> None:
        self.answer, self.received = answer, b""

    async def __call__(self, stream: SocketStream) -> None:
        while b"\r\n\r\n" not in self.received:
            self.received += await stream.receive()
        await stream.send(self.answer)


async def ask(port: int, request: bytes) -> bytes:
    """Send a request and read until the proxy closes the connection."""
    answer = b""
    async with await anyio.connect_tcp("127.0.0.1", port) as stream:
        with anyio.fail_after(20):
            try:
                await stream.send(request)
                async for data in stream:
                    answer += data
            except anyio.BrokenResourceError:
                pass
    return answer


async def ask_connect(port: int, target: str) -> bytes:
    return await ask(port, f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
