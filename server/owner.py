"""The owner: the one process on a data directory, serving the fronts of all hosts.

A connection is a greeting (greeting.py) and then one MCP session (lines.py); all share one server.
The end, however it is asked for, is in order: nobody new, the last answers, then the connections
close, and each front repeats to the next owner what it had no answer to. Who holds the directory is
owner_files.py's, where connections come from owner_listener.py's; what is served is app.py's.
"""

import json
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, Final

import anyio
import anyio.abc

from server import owner_files
from server.callers import Peer, current_peer
from server.config import OWN_SETTINGS, Settings
from server.greeting import Greeting, client_name, read_greeting, welcome
from server.line_buffer import LineBuffer
from server.lines import serve_lines
from server.owner_listener import Listener, listen
from server.protocol import RegistryServer

logger = logging.getLogger(__name__)

_CHUNK_BYTES: Final = 64 * 1024
_GREETING_S: Final = 5.0  # for one line of ours over a local socket
_DRAIN_S: Final = 2.0  # for connections to end; lines.py waits for answers less than that


class Owner:
    """Serves a data directory until it is told to stop.

    Args:
        settings: those in force here; a front with others is told.
        server: from protocol.build_server.
        idle_s: it stops by itself after this time without a connection; None: never.
        listen: how; by default in the way of this system.
        background: whether a front started it, so that nobody misses its terminal.
    """

    def __init__(
        self,
        settings: Settings,
        server: RegistryServer,
        idle_s: float | None = None,
        listen: Callable[[str], Listener] = listen,
        background: bool = False,
    ) -> None:
        self._count_runs: Callable[[], dict[str, int] | None] = lambda: None
        self._sandbox_found: Callable[[], dict[str, str | None] | None] = lambda: None
        self._settings, self._server, self._idle_s = settings, server, idle_s
        self._listen, self._background = listen, background
        self._url: str | None = None
        self._directory = settings.data
        self._since = _now()
        self._connections: dict[socket.socket, Peer | None] = {}
        self._changed = anyio.Event()
        self._stopping = anyio.Event()

    def stop(self, reason: str) -> None:
        """Begin the end."""
        logger.info("stopping: %s", reason)
        self._stopping.set()

    def note_url(self, url: str) -> None:
        """Note where this process answers HTTP, for who asks for its status."""
        self._url = url

    def note_runs(self, count: Callable[[], dict[str, int] | None]) -> None:
        """Note who knows how many runs are in work or wait, for who asks for the status."""
        self._count_runs = count

    def note_sandbox(self, found: Callable[[], dict[str, str | None] | None]) -> None:
        """Note who knows what isolates tools, once it was found out."""
        self._sandbox_found = found

    async def serve(self, on_end: Callable[[], None]) -> None:
        """Serve until stop() is called and the last answers are given.

        Args:
            on_end: called when the end begins.

        Raises:
            OSError: there is no way to listen.
        """
        with self._listen(self._directory) as listener:
            try:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self._accept, listener, tasks)
                    tasks.start_soon(self._watch_idle)
                    await self._stopping.wait()
                    on_end()
                    owner_files.remove_address(self._directory)
                    await self._drain()
                    tasks.cancel_scope.cancel()
            finally:
                owner_files.remove_address(self._directory)

    def status(self) -> dict[str, Any]:
        """Who owns the directory and which hosts are connected."""
        peers = [peer for peer in self._connections.values() if peer is not None]
        return {
            "pid": os.getpid(),
            "since": self._since,
            "version": version("mnemon"),
            "background": self._background,
            "url": self._url,
            "runs": self._count_runs(),
            "sandbox": self._sandbox_found(),
            "settings": self._settings.model_dump(mode="json", include=set(OWN_SETTINGS)),
            "hosts": [{"name": p.host, "front_pid": p.pid, "since": p.since} for p in peers],
        }

    async def _accept(self, listener: Listener, tasks: anyio.abc.TaskGroup) -> None:
        while not self._stopping.is_set():
            with suppress(BlockingIOError, ConnectionError):
                connection = await listener.accept()
                self._note(connection, None)
                tasks.start_soon(self._serve_connection, connection, listener)

    async def _serve_connection(self, connection: socket.socket, listener: Listener) -> None:
        lines = _read_lines(connection)
        try:
            greeting = await _first_line(lines, listener)
            if greeting is not None and greeting.ask:
                await self._answer(connection, greeting.ask)
            elif greeting is not None:
                await self._serve_front(connection, greeting, lines)
        except* OSError as gone:
            logger.info("a connection broke: %s", gone.exceptions[0])
        finally:
            del self._connections[connection]
            self._mark_change()
            connection.close()

    async def _answer(self, connection: socket.socket, question: str) -> None:
        await _write(connection, json.dumps(self.status()).encode() + b"\n")
        if question == "stop":
            # Left open until this process is gone, which is what whoever asked waits for.
            connection.detach()
            self.stop("asked to")

    async def _serve_front(
        self, connection: socket.socket, greeting: Greeting, lines: AsyncIterator[bytes]
    ) -> None:
        answer = welcome(greeting, self._settings, os.getpid())
        if answer.others and self._idle_s is not None and not any(self._connections.values()):
            # Unanswered, the front starts an owner with its own settings; nobody needs these.
            self.stop("a host was started with other settings")
            return
        await _write(connection, answer.line + b"\n")
        if answer.refused or greeting.front is None:
            return
        peer = Peer(greeting.front, greeting.pid, _now(), answer.toolset, answer.agent)
        self._note(connection, peer)
        current_peer.set(peer)

        async def named_lines() -> AsyncIterator[bytes]:
            async for line in lines:
                if peer.host == "unknown":
                    peer.host = client_name(line)
                yield line

        async def write(data: bytes) -> None:
            await _write(connection, data)

        await serve_lines(self._server, named_lines(), write)

    def _note(self, connection: socket.socket, peer: Peer | None) -> None:
        self._connections[connection] = peer
        self._mark_change()

    def _mark_change(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()

    async def _watch_idle(self) -> None:
        """Stop when nobody has been connected for idle_s."""
        while self._idle_s is not None:
            changed = self._changed
            if self._connections:
                await changed.wait()
                continue
            with anyio.move_on_after(self._idle_s) as waited:
                await changed.wait()
            if waited.cancelled_caught:
                self.stop("nobody has been connected for a while")
                return

    async def _drain(self) -> None:
        """Let each session see the end of its input, and wait until all have ended."""
        for connection in self._connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RD)
        with anyio.move_on_after(_DRAIN_S):
            while self._connections:
                await self._changed.wait()


async def _first_line(lines: AsyncIterator[bytes], listener: Listener) -> Greeting | None:
    with anyio.move_on_after(_GREETING_S):
        if await listener.admits(lines):
            return read_greeting(await anext(lines, b""))
    return None


async def _read_lines(connection: socket.socket) -> AsyncIterator[bytes]:
    """Yield lines until the other side ends them; one without a newline was cut off by a death."""
    buffer = LineBuffer()
    while True:
        await anyio.wait_readable(connection)
        try:
            chunk = connection.recv(_CHUNK_BYTES)
        except BlockingIOError:
            continue
        if not chunk:
            return
        for line in buffer.feed(chunk):
            yield line


async def _write(connection: socket.socket, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[connection.send(rest) :]
        except BlockingIOError:
            await anyio.wait_writable(connection)


def _now() -> str:
    return datetime.now(UTC).isoformat("T", "seconds")
