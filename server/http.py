"""MCP over streamable HTTP at /mcp, both protocol eras, for hosts that do not start a process.

http_app is the ASGI application; serve_http runs it until it is told to stop. Who may speak to it
is http_guard.py's, where the token comes from token_file.py's. Nothing here is imported for stdio.

Stopping takes seconds, not until the last client leaves: streams that only wait for news end at
once, calls in flight have GRACE_S to finish and are cancelled then.
"""

import contextlib
import ipaddress
import logging
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

import anyio
import uvicorn
from mcp.server.transport_security import TransportSecuritySettings
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.errors import OperatorError
from server.http_guard import LOOPBACK_NAMES, HttpGuard
from server.protocol import RegistryServer
from server.shutdown import wait_for_stop_signal

logger = logging.getLogger(__name__)

MAX_BODY_BYTES: Final = 4 * 1024 * 1024
GRACE_S: Final = 3  # a call that takes longer is cancelled; hosts send SIGKILL after about 5 s


class CannotListen(OperatorError):
    """The address cannot be used; the message names what to change."""


@dataclass(frozen=True, slots=True)
class HttpAddress:
    """Where to listen and under which names clients may address the server.

    host: a loopback name or address; any other needs allowed_hosts, the names clients use.
    port: 0 for any free one.
    """

    host: str = "127.0.0.1"
    port: int = 0
    allowed_hosts: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        """Refuse what cannot be an address, and to be reachable from other machines by accident.

        Raises:
            CannotListen: no such port, or the host is not loopback and no names are allowed.
        """
        if not 0 <= self.port <= 65_535:
            raise CannotListen(f"there is no port {self.port}; choose 1 to 65535, or 0 for any")
        if not self.allowed_hosts and not _is_loopback(self.host):
            raise CannotListen(
                f"{self.host} can be reached from other machines; listen on 127.0.0.1, or name the "
                "hosts clients will use (allowed hosts)"
            )

    @property
    def names(self) -> frozenset[str]:
        """Every Host header name this server answers to, lower case and without port."""
        return LOOPBACK_NAMES | {name.lower().strip("[]") for name in self.allowed_hosts}


def http_app(server: RegistryServer, address: HttpAddress, token: str) -> "HttpApp":
    """Return the ASGI application of a server. It works only inside `async with app.running()`.

    Args:
        server: from protocol.build_server.
        address: the names it answers to.
        token: what clients must bear.
    """
    protocol = server.streamable_http_app(
        streamable_http_path="/mcp",
        max_request_body_size=MAX_BODY_BYTES,
        # HttpGuard checks Host and Origin for every path, and a Host without a port.
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
    )
    requests = _Requests(protocol)
    return HttpApp(protocol, requests, HttpGuard(requests, address.names, token))


@dataclass(frozen=True, slots=True)
class HttpApp:
    """The ASGI application with its life cycle."""

    protocol: Starlette
    requests: "_Requests"
    guard: HttpGuard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        await self.guard(scope, receive, send)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Hold the sessions of clients; leaving it ends them and whatever they still do."""
        async with self.protocol.router.lifespan_context(self.protocol):
            yield

    async def end_requests(self) -> None:
        """End what only waits for news at once, and calls that take longer after GRACE_S."""
        _end(self.requests.waiting)
        await anyio.sleep(GRACE_S)
        _end(self.requests.calls)


async def serve_http(
    server: RegistryServer,
    address: HttpAddress,
    token: str,
    on_started: Callable[[str, int], None] = lambda host, port: None,
    on_end: Callable[[], None] = lambda: None,
) -> None:
    """Serve HTTP until SIGTERM, SIGINT or SIGHUP, or until cancelled; both end in order.

    Args:
        server: from protocol.build_server.
        address: where to listen.
        token: what clients must bear, from token_file.read_or_create_token.
        on_started: called with host and real port once requests are taken.
        on_end: called when the end begins.

    Raises:
        CannotListen: the port is taken or the host is none of this machine's.
    """
    if not token:
        raise ValueError("an HTTP server without a token would be open to every local program")
    app = http_app(server, address, token)
    stop = anyio.Event()
    with _listen(address) as listener:
        web = _WebServer(app, lambda: on_started(*listener.getsockname()[:2]))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_run, app, web, listener, stop)
            tasks.start_soon(_stop_on_signal, stop)
            try:
                await stop.wait()
            finally:
                on_end()
                web.should_exit = True
                tasks.cancel_scope.cancel()


async def _stop_on_signal(stop: anyio.Event) -> None:
    logger.info("stopping: %s", await wait_for_stop_signal())
    stop.set()


async def _run(app: HttpApp, web: "_WebServer", listener: socket.socket, stop: anyio.Event) -> None:
    """Run the web server until it was asked to exit, then whatever ends its requests."""
    # Shielded, because uvicorn must be asked: cancelled, it leaves its connections open.
    with anyio.CancelScope(shield=True):
        async with app.running(), anyio.create_task_group() as tasks:

            def end_requests() -> None:
                tasks.start_soon(app.end_requests)

            web.on_shutdown = end_requests
            await web.serve(sockets=[listener])
            tasks.cancel_scope.cancel()
    stop.set()


class _WebServer(uvicorn.Server):
    """uvicorn without its own handling of signals, which kills the process before our cleanup."""

    def __init__(self, app: ASGIApp, on_started: Callable[[], None]) -> None:
        self._on_started = on_started
        self.on_shutdown: Callable[[], None] = lambda: None
        super().__init__(
            uvicorn.Config(
                app,
                lifespan="off",  # serve_http holds it: uvicorn answers its failures with sys.exit
                ws="none",
                log_config=None,
                log_level="warning",
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=GRACE_S + 1,  # after end_requests
            )
        )

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to serve_http."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then tell whoever waits for it."""
        await super().startup(sockets)
        self._on_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Wait for open requests, while on_shutdown sees to it that they end."""
        self.on_shutdown()
        await super().shutdown(sockets)


@dataclass(slots=True)
class _Requests:
    """ASGI middleware that can end open requests, each with a proper end of its answer.

    The SDK ends streams through a flag of the process, which would end those of a later server
    too; uvicorn cancels tasks, which then log tracebacks of the SDK.
    """

    app: ASGIApp
    waiting: set[anyio.CancelScope] = field(default_factory=set)
    calls: set[anyio.CancelScope] = field(default_factory=set)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        sent: list[Message] = []

        async def watch(message: Message) -> None:
            sent[:] = [message]
            await send(message)

        # A GET is the old era's stream of news; it has no end of its own.
        open_requests = self.waiting if scope["method"] == "GET" else self.calls
        with anyio.CancelScope() as request:
            open_requests.add(request)
            try:
                await self.app(scope, receive, watch)
            finally:
                open_requests.discard(request)
        if request.cancelled_caught and not sent:
            await PlainTextResponse("the server is stopping", 503)(scope, receive, send)
        elif request.cancelled_caught and (
            sent[0]["type"] == "http.response.start" or sent[0].get("more_body")
        ):
            await send({"type": "http.response.body", "body": b"", "more_body": False})


def _end(requests: set[anyio.CancelScope]) -> None:
    for request in list(requests):
        request.cancel()


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _listen(address: HttpAddress) -> socket.socket:
    """Bind here and not in uvicorn, which answers a taken port with sys.exit."""
    try:
        family, _, _, _, target = socket.getaddrinfo(
            address.host.strip("[]"), address.port, type=socket.SOCK_STREAM
        )[0]
        return socket.create_server(target[:2], family=family)
    except OSError as error:
        raise CannotListen(
            f"cannot listen on {address.host} port {address.port}: {error}; choose another port, "
            "or 0 for any free one"
        ) from error
