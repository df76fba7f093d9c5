"""Bounds what a server sends on its own, whatever it is reached by.

Answers are waited for; notifications and requests of the server are not, and a server that sends
them without end would keep us busy. Between two answers it may send so many; then the connection
ends.
"""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, Protocol

import anyio
from anyio.streams.memory import MemoryObjectSendStream
from mcp.client._transport import TransportStreams
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCError, JSONRPCResponse

MAX_UNASKED: Final = 2_000


class _Incoming(Protocol):
    async def receive(self) -> SessionMessage | Exception: ...


@dataclass(slots=True)
class Ending:
    """How a connection came to its end. why: for whoever called; empty: not known."""

    why: str = ""
    over: anyio.Event = field(default_factory=anyio.Event)

    def end(self, why: str) -> None:
        """It is over; the first reason stays."""
        self.why = self.why or why
        self.over.set()


@asynccontextmanager
async def bounded(
    inner: AbstractAsyncContextManager[TransportStreams], ending: Ending
) -> AsyncIterator[TransportStreams]:
    """A transport whose other side may not talk without end; `ending` learns when it is over."""
    async with inner as (incoming, outgoing), anyio.create_task_group() as tasks:
        to_session, received = anyio.create_memory_object_stream[SessionMessage | Exception](0)
        tasks.start_soon(_relay, incoming, to_session, ending)
        with received:
            try:
                yield received, outgoing
            finally:
                tasks.cancel_scope.cancel()


async def _relay(
    incoming: _Incoming,
    to_session: MemoryObjectSendStream[SessionMessage | Exception],
    ending: Ending,
) -> None:
    unasked = 0
    try:
        with to_session:
            while unasked <= MAX_UNASKED:
                message = await incoming.receive()
                answered = isinstance(message, SessionMessage) and isinstance(
                    message.message, JSONRPCResponse | JSONRPCError
                )
                unasked = 0 if answered else unasked + 1
                await to_session.send(message)
            ending.end("talks without being asked, and without end")
    except (anyio.EndOfStream, anyio.ClosedResourceError, anyio.BrokenResourceError):
        ending.end("")
