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

MAX_STREAMS: Final = 1_024
MAX_SUBSCRIPTIONS: Final = 1_000
"""Of one connection."""


@dataclass(frozen=True)
class Updated(ResourceUpdated):
    """A resource of an agent has other content now."""

    agent_id: str | None = None


@dataclass(frozen=True)
class Listed(ResourcesListChanged):
    """An agent's resources are others now: one has come, gone or got another name."""

    agent_id: str | None = None


@dataclass(slots=True, eq=False)
class _Subscriber:
    """A connection of the handshake era."""

    caller: Caller
    uris: set[str] = field(default_factory=set)
    waiting: dict[ServerEvent, None] = field(default_factory=dict)
    wake: anyio.Event = field(default_factory=anyio.Event)

    def hear(self, event: ServerEvent) -> None:
        if not isinstance(event, ResourceUpdated) or event.uri in self.uris:
            self.waiting[event] = None
            self.wake.set()


class Notices:
    """What changed, and who wants to know. Use it on one event loop; `post` from any thread."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._listeners: dict[object, tuple[Caller, Callable[[ServerEvent], None]]] = {}
        self._subscribers: dict[Connection, _Subscriber] = {}
        self._streams: set[ListenHandler] = set()

    @property
    def heard(self) -> bool:
        """Whether anybody hears of changed lists; may be asked from any thread."""
        return bool(self._listeners)

    @property
    def subscribed(self) -> bool:
        """Whether anybody wants to hear of single resources; may be asked from any thread."""
        return bool(self._streams) or any(s.uris for s in list(self._subscribers.values()))

    def post(self, events: Iterable[ServerEvent]) -> None:
        """Publish from any thread, soon."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.publish, *events)

    def publish(self, *events: ServerEvent) -> None:
        """Tell everybody who wants to know and may."""
        for event in events:
            agent_id = getattr(event, "agent_id", None)
            for caller, listener in list(self._listeners.values()):
                if caller.agents is None or agent_id is None or agent_id in caller.agents:
                    listener(event)

    def close(self) -> None:
        """End every listen stream in order; clients open them again, here or at the next owner."""
        for stream in self._streams:
            stream.close()

    async def listen(
        self, ctx: Context, params: SubscriptionsListenRequestParams
    ) -> SubscriptionsListenResult:
        """Answer subscriptions/listen: with notices, until either side ends it.

        Raises:
            MCPError: there are too many streams.
        """
        if len(self._streams) >= MAX_STREAMS:
            raise MCPError(INVALID_PARAMS, f"{MAX_STREAMS} streams are open; close one first")
        self._loop = asyncio.get_running_loop()
        stream = ListenHandler(_Bus(self, caller_of(ctx)))
        self._streams.add(stream)
        try:
            return await stream(ctx, params)
        finally:
            self._streams.discard(stream)

    def follow(self, ctx: Context) -> None:
        """Tell a connection of the handshake era of changed lists from now on."""
        self._subscriber(ctx)

    async def subscribe(self, ctx: Context, params: SubscribeRequestParams) -> EmptyResult:
        """Answer resources/subscribe. What does not exist, or not yet, is never heard of.

        Raises:
            MCPError: the connection has too many subscriptions.
        """
        uris = self._subscriber(ctx).uris
        if len(uris) >= MAX_SUBSCRIPTIONS:
            said = f"a connection has at most {MAX_SUBSCRIPTIONS} subscriptions; end one first"
            raise MCPError(INVALID_PARAMS, said)
        uris.add(str(params.uri))
        return EmptyResult()

    async def unsubscribe(self, ctx: Context, params: UnsubscribeRequestParams) -> EmptyResult:
        """Answer resources/unsubscribe."""
        self._subscriber(ctx).uris.discard(str(params.uri))
        return EmptyResult()

    def _subscriber(self, ctx: Context) -> _Subscriber:
        """The connection as it is followed until it ends; its task lives in the server's tasks."""
        # The SDK hands out the connection itself nowhere: docs/decisions/0003.
        connection = ctx.session._connection
        known = self._subscribers.get(connection)
        if known is not None:
            return known
        self._loop = asyncio.get_running_loop()
        subscriber = _Subscriber(caller_of(ctx))
        self._subscribers[connection] = subscriber
        forget_listener = self._add(subscriber.caller, subscriber.hear)
        scope = anyio.CancelScope()
        ctx.lifespan_context.start_soon(_deliver, connection, subscriber, scope)

        def forget() -> None:
            del self._subscribers[connection]
            forget_listener()
            scope.cancel()

        connection.exit_stack.callback(forget)
        return subscriber

    def _add(self, caller: Caller, listener: Callable[[ServerEvent], None]) -> Callable[[], None]:
        key = object()
        self._listeners[key] = (caller, listener)

        def forget() -> None:
            self._listeners.pop(key, None)

        return forget


@dataclass(frozen=True, slots=True)
class _Bus(SubscriptionBus):
    """The notices as one caller may hear them, in the SDK's terms."""

    notices: Notices
    caller: Caller

    async def publish(self, event: ServerEvent) -> None:
        """Part of the SDK's protocol."""
        self.notices.publish(event)

    def subscribe(self, listener: Callable[[ServerEvent], None]) -> Callable[[], None]:
        """Hear of events until the returned function is called."""
        return self.notices._add(self.caller, listener)


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
