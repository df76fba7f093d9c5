"""Telling clients that something changed: subscriptions of both protocol eras over one source.

2026-07-28: a client opens a `subscriptions/listen` stream. Handshake era: it subscribes to
resources, and every connection hears of changed lists; each has a task that sends (`deliver`), so a
client that does not read holds up nobody. Notices say that something changed, not what, so one that
waits already is not added again. Nobody hears of an agent that does not exist for them.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import anyio
from mcp.server.connection import Connection
from mcp.server.context import ServerRequestContext
from mcp.server.subscriptions import (
    ListenHandler,
    ResourcesListChanged,
    ResourceUpdated,
    ServerEvent,
    SubscriptionBus,
)
from mcp.shared.exceptions import MCPError
from mcp.shared.subscriptions import PromptsListChanged, ToolsListChanged
from mcp_types import (
    INVALID_PARAMS,
    EmptyResult,
    SubscribeRequestParams,
    SubscriptionsListenRequestParams,
    SubscriptionsListenResult,
    UnsubscribeRequestParams,
)

from server.callers import caller_of
from server.registry import Caller

Context = ServerRequestContext[Any, Any]
"""Its lifespan_context is the task group of protocol.py."""

MAX_STREAMS: Final = 256
"""Of one principal, so that none can take them from the others."""

MAX_SUBSCRIPTIONS: Final = 1_000
"""Of one connection or stream."""


@dataclass(frozen=True)
class Updated(ResourceUpdated):
    """A resource of an agent has other content now."""

    agent_id: str | None = None


@dataclass(frozen=True)
class Listed(ResourcesListChanged):
    """An agent's resources are others now: one has come, gone or got another name."""

    agent_id: str | None = None


@dataclass(slots=True, eq=False)
class _Interest:
    """Who listens, to what, and how it is told.

    uris: as they were asked for, by their form without case: names of agents have none.
    """

    caller: Caller
    tell: Callable[[ServerEvent], None]
    uris: dict[str, str] = field(default_factory=dict)

    def hear(self, event: ServerEvent) -> None:
        """Pass an event on when it is wanted and of an agent that exists for the caller."""
        agent_id = getattr(event, "agent_id", None)
        if not (self.caller.agents is None or agent_id is None or agent_id in self.caller.agents):
            return
        if isinstance(event, ResourceUpdated):
            uri = self.uris.get(event.uri.casefold())
            if uri is not None:
                self.tell(ResourceUpdated(uri))
        else:
            self.tell(ResourcesListChanged() if isinstance(event, Listed) else event)


@dataclass(slots=True, eq=False)
class _Subscriber:
    """A connection of the handshake era, and what waits to be sent to it."""

    waiting: dict[ServerEvent, None] = field(default_factory=dict)
    wake: anyio.Event = field(default_factory=anyio.Event)

    def tell(self, event: ServerEvent) -> None:
        self.waiting[event] = None
        self.wake.set()


class Notices:
    """What changed, and who wants to know. Use it on one event loop; `post` from any thread."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._interests: set[_Interest] = set()
        self._connections: dict[Connection, _Interest] = {}
        self._streams: dict[ListenHandler, str] = {}

    @property
    def heard(self) -> bool:
        """Whether anybody hears of changed lists; may be asked from any thread."""
        return bool(self._interests)

    @property
    def subscribed(self) -> bool:
        """Whether anybody wants to hear of single resources; may be asked from any thread."""
        return any(interest.uris for interest in list(self._interests))

    def post(self, events: Iterable[ServerEvent]) -> None:
        """Publish from any thread, soon."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.publish, *events)

    def publish(self, *events: ServerEvent) -> None:
        """Tell everybody who wants to know and may."""
        for event in events:
            for interest in list(self._interests):
                interest.hear(event)

    def close(self) -> None:
        """End every listen stream in order; clients open them again, here or at the next owner."""
        for stream in self._streams:
            stream.close()

    async def listen(
        self, ctx: Context, params: SubscriptionsListenRequestParams
    ) -> SubscriptionsListenResult:
        """Answer subscriptions/listen: with notices, until either side ends it.

        Raises:
            MCPError: there are too many streams of this principal.
        """
        caller = caller_of(ctx)
        uris = params.notifications.resource_subscriptions or ()
        if list(self._streams.values()).count(caller.principal) >= MAX_STREAMS:
            raise MCPError(INVALID_PARAMS, f"{MAX_STREAMS} streams are open; close one first")
        if len(uris) > MAX_SUBSCRIPTIONS:
            raise MCPError(INVALID_PARAMS, f"a stream has at most {MAX_SUBSCRIPTIONS} resources")
        self._loop = asyncio.get_running_loop()
        stream = ListenHandler(_Bus(self, caller, {str(uri).casefold(): str(uri) for uri in uris}))
        self._streams[stream] = caller.principal
        try:
            return await stream(ctx, params)
        finally:
            del self._streams[stream]

    def follow(self, ctx: Context) -> None:
        """Tell a connection of the handshake era of changed lists from now on."""
        self._interest(ctx)

    async def subscribe(self, ctx: Context, params: SubscribeRequestParams) -> EmptyResult:
        """Answer resources/subscribe. What does not exist, or not yet, is never heard of.

        Raises:
            MCPError: the connection has too many subscriptions.
        """
        uris = self._interest(ctx).uris
        if len(uris) >= MAX_SUBSCRIPTIONS:
            said = f"a connection has at most {MAX_SUBSCRIPTIONS} subscriptions; end one first"
            raise MCPError(INVALID_PARAMS, said)
        uris[str(params.uri).casefold()] = str(params.uri)
        return EmptyResult()

    async def unsubscribe(self, ctx: Context, params: UnsubscribeRequestParams) -> EmptyResult:
        """Answer resources/unsubscribe."""
        self._interest(ctx).uris.pop(str(params.uri).casefold(), None)
        return EmptyResult()

    def _interest(self, ctx: Context) -> _Interest:
        """What a connection wants to hear, until it ends; its task lives in the server's tasks."""
        # The SDK hands out the connection itself nowhere: docs/decisions/0003.
        connection = ctx.session._connection
        known = self._connections.get(connection)
        if known is not None:
            return known
        subscriber = _Subscriber()
        interest = _Interest(caller_of(ctx), subscriber.tell)
        self._connections[connection] = interest
        scope = anyio.CancelScope()
        ctx.lifespan_context.start_soon(_deliver, connection, subscriber, scope)
        stop = self.add(interest)

        def forget() -> None:
            del self._connections[connection]
            stop()
            scope.cancel()

        connection.exit_stack.callback(forget)
        return interest

    def add(self, interest: _Interest) -> Callable[[], None]:
        """Have an interest hear of events until the returned function is called."""
        self._loop = asyncio.get_running_loop()
        self._interests.add(interest)
        return lambda: self._interests.discard(interest)


@dataclass(frozen=True, slots=True)
class _Bus(SubscriptionBus):
    """The notices as one caller may hear them, in the SDK's terms."""

    notices: Notices
    caller: Caller
    uris: dict[str, str]

    async def publish(self, event: ServerEvent) -> None:
        """Part of the SDK's protocol."""
        self.notices.publish(event)

    def subscribe(self, listener: Callable[[ServerEvent], None]) -> Callable[[], None]:
        """Hear of events until the returned function is called."""
        return self.notices.add(_Interest(self.caller, listener, self.uris))


async def _deliver(
    connection: Connection, subscriber: _Subscriber, scope: anyio.CancelScope
) -> None:
    """Send what waits, as fast as the client reads."""
    with scope:
        while True:
            await subscriber.wake.wait()
            subscriber.wake = anyio.Event()
            while subscriber.waiting:
                event = next(iter(subscriber.waiting))
                del subscriber.waiting[event]
                await _send(connection, event)


async def _send(connection: Connection, event: ServerEvent) -> None:
    match event:
        case ResourceUpdated(uri=uri):
            await connection.send_resource_updated(uri)
        case ToolsListChanged():
            await connection.send_tool_list_changed()
        case PromptsListChanged():
            await connection.send_prompt_list_changed()
        case ResourcesListChanged():
            await connection.send_resource_list_changed()
