"""MCP over streamable HTTP at /mcp, both protocol eras, for hosts that do not start a process.

http_app is the ASGI application; serve_http runs it until it is told to stop. Who may speak to it
is http_guard.py's, whom a token stands for principals.py's. Nothing here is imported for stdio.

Stopping takes seconds, not until the last client leaves: streams that only wait for news end at
once, calls in flight have GRACE_S to finish and are cancelled then.
"""

import contextlib
import ipaddress
import logging
import socket
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

import anyio
import uvicorn
from mcp.server.auth.middleware.auth_context import AuthContextMiddleware
from mcp.server.transport_security import TransportSecuritySettings
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.callers import PRINCIPAL_KEY, Principal
from server.errors import OperatorError
from server.http_guard import LOOPBACK_NAMES, HttpGuard
from server.principals import Principals
from server.protocol import RegistryServer
from server.shutdown import wait_for_stop_signal

logger = logging.getLogger(__name__)

MAX_BODY_BYTES: Final = 4 * 1024 * 1024
_WATCH_S: Final = 2.0  # how long a revoked token's streams stay open
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
                "hosts clients will use (--allow-host NAME)"
            )

    @property
    def names(self) -> frozenset[str]:
        """Every Host header name this server answers to, lower case and without port."""
        return LOOPBACK_NAMES | {name.lower().strip("[]") for name in self.allowed_hosts}


def http_app(server: RegistryServer, address: HttpAddress, principals: Principals) -> "HttpApp":
    """Return the ASGI application of a server. It works only inside `async with app.running()`.

    Args:
        server: from protocol.build_server.
        address: the names it answers to.
        principals: whose tokens clients must bear.
    """
    protocol = server.streamable_http_app(
        streamable_http_path="/mcp",
        max_request_body_size=MAX_BODY_BYTES,
        # HttpGuard checks Host and Origin for every path, and a Host without a port.
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
    )
    requests = _Requests(AuthContextMiddleware(protocol))
    guard = HttpGuard(requests, address.names, principals)
    return HttpApp(server, protocol, requests, guard)


@dataclass(frozen=True, slots=True)
class HttpApp:
    """The ASGI application with its life cycle."""

    server: RegistryServer
    protocol: Starlette
    requests: "_Requests"
    guard: HttpGuard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        await self.guard(scope, receive, send)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Hold the sessions of clients; leaving it ends them and whatever they still do."""
        async with (
            self.protocol.router.lifespan_context(self.protocol),
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(self._watch_revocations)
            yield
            tasks.cancel_scope.cancel()

    async def end_requests(self) -> None:
        """End what only waits for news at once, and calls that take longer after GRACE_S."""
        self.server.notices.close()
        _end(open_ for open_ in self.requests.open if open_.waits)
        await anyio.sleep(GRACE_S)
        _end(self.requests.open)

    async def _watch_revocations(self) -> None:
        """End the streams and calls of tokens that are revoked while they are open."""
        while True:
            await anyio.sleep(_WATCH_S)
            principals = self.guard.principals
            _end(open_ for open_ in self.requests.open if not principals.exists(open_.principal))


async def serve_http(
    server: RegistryServer,
    address: HttpAddress,
    principals: Principals,
    on_started: Callable[[str, int], None] = lambda host, port: None,
    on_end: Callable[[], None] = lambda: None,
) -> None:
    """Serve HTTP until SIGTERM, SIGINT or SIGHUP, or until cancelled; both end in order.

    Args:
        server: from protocol.build_server.
        address: where to listen.
        principals: whose tokens clients must bear.
        on_started: called with host and real port once requests are taken.
        on_end: called when the end begins.

    Raises:
        CannotListen: the port is taken or the host is none of this machine's.
    """
    app = http_app(server, address, principals)
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


@dataclass(frozen=True, slots=True, eq=False)
class _Open:
    """A request that is being answered. waits: the old era's stream of news, without an end."""

    scope: anyio.CancelScope
    principal: Principal
    waits: bool


@dataclass(slots=True)
class _Requests:
    """ASGI middleware that can end open requests, each with a proper end of its answer.

    The SDK ends streams through a flag of the process, which would end those of a later server
    too; uvicorn cancels tasks, which then log tracebacks of the SDK.
    """

    app: ASGIApp
    open: set[_Open] = field(default_factory=set)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        sent: list[Message] = []

        async def watch(message: Message) -> None:
            sent[:] = [message]
            await send(message)

        with anyio.CancelScope() as request:
            entry = _Open(request, scope[PRINCIPAL_KEY], scope["method"] == "GET")
            self.open.add(entry)
            try:
                await self.app(scope, receive, watch)
            finally:
                self.open.discard(entry)
        if request.cancelled_caught and not sent:
            await PlainTextResponse("the server is stopping", 503)(scope, receive, send)
        elif request.cancelled_caught and (
            sent[0]["type"] == "http.response.start" or sent[0].get("more_body")
        ):
            await send({"type": "http.response.body", "body": b"", "more_body": False})


def _end(requests: Iterable[_Open]) -> None:
    for request in list(requests):
        request.scope.cancel()


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
