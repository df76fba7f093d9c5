"""The only way from a tool to the network: an HTTP proxy of its own, for the hosts it was granted.

A tool sees a network of one loopback interface. What listens there is the socket that serve_grants
serves: it was opened inside and handed out (inside/listener.py), so the tool needs neither unix
sockets nor files of ours. The proxy lives as long as the run. It resolves names itself and connects
to addresses it judged (reach.py), passes on what proxy_requests.py lets through, and neither
follows redirects nor looks into TLS: whoever follows one asks again, and is checked again.
"""

import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final

import anyio
from anyio.abc import SocketListener, SocketStream

from sandbox.grants import Address, Endpoint, parse_endpoint
from sandbox.policy import MIB
from sandbox.proxy_requests import END_OF_HEAD, MAX_HEAD_BYTES, ProxyRequest, parse_request
from sandbox.reach import NotReached, Reach

_CHUNK_BYTES: Final = 65_536
_FAREWELL_S: Final = 1.0
_MAX_LINE_CHARS: Final = 400
_HANGS_UP = (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream, OSError)


@dataclass(frozen=True, slots=True)
class ProxyLimits:
    """Bounds of one run's proxy.

    connections: served at once; more wait. total_bytes: in both directions together, over the whole
    run. head_s: for the head of a request. connect_s: to resolve a name and reach a host. idle_s:
    without a byte in either direction; some servers think for long before they answer.
    """

    connections: int = 8
    total_bytes: int = 64 * MIB
    head_s: float = 10.0
    connect_s: float = 10.0
    idle_s: float = 60.0


async def serve_grants(
    listener: socket.socket,
    grants: Iterable[str],
    reach: Reach | None = None,
    limits: ProxyLimits | None = None,
) -> None:
    """Be the proxy of a run until cancelled; then every connection is closed, and the listener.

    Args:
        listener: a listening stream socket, which is ours from now on.
        grants: `host:port`, as in Policy.network.

    Raises:
        ValueError: a grant is none.
    """
    with listener:
        proxy = _Proxy(grants, reach or Reach(), limits or ProxyLimits())
        listener.setblocking(False)
        async with await SocketListener.from_socket(listener.dup()) as accepting:
            await proxy.serve(accepting)


@dataclass(slots=True)
class _Budget:
    left_bytes: int


class _Proxy:
    def __init__(self, grants: Iterable[str], reach: Reach, limits: ProxyLimits) -> None:
        self._granted = frozenset(map(parse_endpoint, grants))
        self._reach, self._limits = reach, limits
        self._budget = _Budget(limits.total_bytes)
        self._places = anyio.Semaphore(limits.connections)

    async def serve(self, listener: SocketListener) -> None:
        async with anyio.create_task_group() as group:
            while True:
                # Before accepting: a tool that opens thousands holds none of our descriptors.
                await self._places.acquire()
                try:
                    client = await listener.accept()
                except OSError:
                    # This server is out of descriptors, say: one run is without network from here
                    # on, and the others and what is open go on.
                    return
                group.start_soon(self._serve_one, client)

    async def _serve_one(self, client: SocketStream) -> None:
        try:
            async with client:
                with suppress(*_HANGS_UP):
                    try:
                        await self._answer(client)
                    except NotReached as error:
                        await _refuse(client, error)
        finally:
            self._places.release()

    async def _answer(self, client: SocketStream) -> None:
        head, rest = await self._read_head(client)
        request = parse_request(head)
        self._check_granted(request.endpoint)
        async with await self._connect(request.endpoint) as origin:
            if request.head is None:
                await client.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await _Exchange(client, origin, self._budget, self._limits.idle_s).run(request, rest)

    async def _read_head(self, client: SocketStream) -> tuple[bytes, bytes]:
        """The head of a request, and what came with it."""
        received = b""
        with anyio.move_on_after(self._limits.head_s):
            while END_OF_HEAD not in received:
                if len(received) > MAX_HEAD_BYTES:
                    raise NotReached(431, f"the head of a request is over {MAX_HEAD_BYTES} bytes")
                received += await client.receive(MAX_HEAD_BYTES)
        head, end, rest = received.partition(END_OF_HEAD)
        if not end:
            raise NotReached(
                408, f"the head of a request took more than {self._limits.head_s:g} seconds"
            )
        if len(head) > MAX_HEAD_BYTES:
            raise NotReached(431, f"the head of a request is over {MAX_HEAD_BYTES} bytes")
        return head + end, rest

    def _check_granted(self, endpoint: Endpoint) -> None:
        if endpoint not in self._granted:
            granted = ", ".join(sorted(map(str, self._granted))) or "nothing"
            raise NotReached(403, f"{endpoint} is not granted; granted: {granted}")
        if self._budget.left_bytes <= 0:
            used = self._limits.total_bytes
            raise NotReached(403, f"{endpoint}: this run has used its {used} bytes of network")

    async def _connect(self, endpoint: Endpoint) -> SocketStream:
        seconds = self._limits.connect_s
        with anyio.move_on_after(seconds):
            addresses = await self._reach.addresses_of(endpoint)
            return await _connect_to_one(addresses, endpoint, seconds / len(addresses))
        raise NotReached(504, f"{endpoint}: no connection within {seconds:g} seconds")


async def _connect_to_one(
    addresses: tuple[Address, ...], endpoint: Endpoint, seconds_each: float
) -> SocketStream:
    why = "no answer"
    for address in addresses:
        try:
            with anyio.move_on_after(seconds_each):
                return await anyio.connect_tcp(str(address), endpoint.port)
        except OSError as error:
            why = str(error.__cause__ or error)
    raise NotReached(504 if why == "no answer" else 502, f"{endpoint}: not connected: {why}")


async def _refuse(client: SocketStream, error: NotReached) -> None:
    """Answer with one plain line; as the reason too, which is all that many clients show."""
    line = "".join(c if " " <= c <= "~" else "?" for c in str(error))[:_MAX_LINE_CHARS]
    body = f"{line}\n".encode()
    head = (
        f"HTTP/1.1 {error.status} {line}\r\nContent-Type: text/plain; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    with anyio.move_on_after(_FAREWELL_S):
        await client.send(head.encode() + body)
        await client.send_eof()
        # Closing with bytes unread would reset the connection, and the answer with it.
        for _ in range(16):
            await client.receive(_CHUNK_BYTES)


class _Exchange:
    """Two streams whose bytes are passed on, until one breaks or nothing moves any more."""

    def __init__(
        self, client: SocketStream, origin: SocketStream, budget: _Budget, idle_s: float
    ) -> None:
        self._client, self._origin = client, origin
        self._budget, self._idle_s = budget, idle_s
        self._quiet = anyio.CancelScope()

    async def run(self, request: ProxyRequest, rest: bytes) -> None:
        """Carry a tunnel, or one request and its answer. rest: what came with its head."""
        self._heard()
        with self._quiet:
            async with anyio.create_task_group() as group:
                if request.head is None:
                    group.start_soon(self._move, self._client, self._origin, rest)
                    await self._move(self._origin, self._client)
                else:
                    group.start_soon(self._send_one, request.head, request.body_bytes, rest)
                    await self._move(self._origin, self._client)
                    self._quiet.cancel()

    async def _send_one(self, head: bytes, body_bytes: int, rest: bytes) -> None:
        """Send a request and its body, and not a byte of what the client sends after it."""
        left = body_bytes - len(rest[:body_bytes])
        with self._ends_on_break():
            await self._pass_on(self._origin, head + rest[:body_bytes])
            while left > 0:
                data = await self._client.receive(min(_CHUNK_BYTES, left))
                left -= len(data)
                await self._pass_on(self._origin, data)

    async def _move(self, source: SocketStream, sink: SocketStream, first: bytes = b"") -> None:
        with self._ends_on_break():
            try:
                await self._pass_on(sink, first)
                while True:
                    await self._pass_on(sink, await source.receive(_CHUNK_BYTES))
            except anyio.EndOfStream:
                await sink.send_eof()

    async def _pass_on(self, sink: SocketStream, data: bytes) -> None:
        self._budget.left_bytes -= len(data)
        if self._budget.left_bytes < 0:
            raise anyio.BrokenResourceError
        await sink.send(data)
        self._heard()

    def _heard(self) -> None:
        self._quiet.deadline = anyio.current_time() + self._idle_s

    @contextmanager
    def _ends_on_break(self) -> Iterator[None]:
        try:
            yield
        except _HANGS_UP:
            self._quiet.cancel()
