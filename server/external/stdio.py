"""Servers that are programs: started, and spoken to by lines on their pipes.

Starting is a seam: with a sandbox the program is started inside it (RunCommand), and without one
only where the person said, of this server, that it may run unsandboxed.
"""

import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final, Protocol

import anyio
import anyio.abc
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.client._transport import TransportStreams
from mcp.shared.message import SessionMessage
from mcp_types import jsonrpc_message_adapter

from memory.tool_server_records import Grants
from sandbox.errors import SandboxUnavailable
from sandbox.protocol import Tier
from server.external.bounded import Ending
from server.external.words import clean

Overstepping = Callable[[], Awaitable[str]]
"""Returns when a program uses more than it may, with the words that say of what."""

MAX_LINE_BYTES: Final = 4 * 1024 * 1024
_MAX_BAD_LINES: Final = 100
"""Programs print what is no message, above all when they start."""
_STDERR_BYTES: Final = 2_000
_GRACE_S: Final = 1.0
_LAST_WORDS_S: Final = 0.3
_SEES: Final = " (in the sandbox it sees /usr, its program and what it may read: --read)"
_INHERITED: Final = ("HOME", "LANG", "LOGNAME", "PATH", "SHELL", "TMPDIR", "USER")


@dataclass(frozen=True, slots=True)
class Command:
    """A program to be started: its arguments, all of its environment, and what it may use."""

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    grants: Grants


class Started(Protocol):
    """A program that runs."""

    stdin: anyio.abc.ByteSendStream
    stdout: anyio.abc.ByteReceiveStream
    tier: Tier
    killed: str  # why it was ended from outside, once it was; empty: it was not

    async def last_words(self) -> str:
        """The end of what it wrote to stderr, once it has ended; soon, in any case."""


class RunCommand(Protocol):
    """Starts a program in the sandbox; leaving the context ends it, with all that it started.

    Raises:
        SandboxUnavailable: it cannot be isolated as it must be, so it was not started.
        OSError: there is no such program.
    """

    def __call__(self, command: Command) -> AbstractAsyncContextManager[Started]:
        """Start it."""


class _Process:
    """A program that runs."""

    def __init__(self, process: anyio.abc.Process, tier: Tier) -> None:
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("the program was started without pipes")
        self.stdin, self.stdout, self.tier = process.stdin, process.stdout, tier
        self._process, self._said, self._heard = process, b"", anyio.Event()
        self.killed = ""

    async def listen(self) -> None:
        """Keep the end of what it writes to stderr."""
        if self._process.stderr is not None:
            with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
                async for chunk in self._process.stderr:
                    self._said = (self._said + chunk)[-_STDERR_BYTES:]
        self._heard.set()

    async def kill_when(self, overstepping: Overstepping) -> None:
        """Kill it as soon as it uses more than it may."""
        self.killed = await overstepping()
        with suppress(ProcessLookupError):
            self._process.kill()

    async def last_words(self) -> str:
        """The end of what it wrote to stderr."""
        with anyio.move_on_after(_LAST_WORDS_S):
            await self._heard.wait()
        return clean(self._said.decode("utf-8", "replace")).strip()

    async def end(self) -> None:
        """Close its pipes, wait a moment, then kill it with what it started."""
        with suppress(OSError, anyio.BrokenResourceError, anyio.ClosedResourceError):
            await self.stdin.aclose()
        with anyio.move_on_after(_GRACE_S):
            await self._process.wait()
        if sys.platform != "win32":
            # Its group outlives it where it left others behind.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.kill()
        with anyio.move_on_after(_GRACE_S):
            await self._process.aclose()


@asynccontextmanager
async def unsandboxed(command: Command) -> AsyncIterator[Started]:
    """Start a program as the person's own, where they allowed that.

    Raises:
        SandboxUnavailable: they did not.
        OSError: there is no such program.
    """
    if not command.grants.unsandboxed:
        raise SandboxUnavailable(
            "a server over stdio runs code of others, and no sandbox for it is available here",
            "Add it again with unsandboxed set, if you trust it with everything that you may",
        )
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    with tempfile.TemporaryDirectory(prefix="mnemon-server-", ignore_cleanup_errors=True) as empty:
        process = await anyio.open_process(
            command.argv,
            env={**inherited, **command.environment},
            cwd=empty,
            start_new_session=True,
        )
        async with running(process, "none") as started:
            yield started


@asynccontextmanager
async def running(
    process: anyio.abc.Process, tier: Tier, overstepping: Overstepping | None = None
) -> AsyncIterator[Started]:
    """A process with pipes, in a session of its own; it is ended with all that is in its group.

    overstepping: then it is killed.
    """
    started = _Process(process, tier)
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(started.listen)
            if overstepping is not None:
                tasks.start_soon(started.kill_when, overstepping)
            try:
                yield started
            finally:
                with anyio.CancelScope(shield=True):
                    await started.end()
                tasks.cancel_scope.cancel()
    finally:
        if process.returncode is None:
            process.kill()


@asynccontextmanager
async def stdio_transport(
    program: AbstractAsyncContextManager[Started], ending: Ending
) -> AsyncIterator[TransportStreams]:
    """Messages to and from a program, one a line; too long a line ends the connection."""
    async with program as started, anyio.create_task_group() as tasks:
        to_session, incoming = anyio.create_memory_object_stream[SessionMessage | Exception](0)
        outgoing, from_session = anyio.create_memory_object_stream[SessionMessage](0)
        tasks.start_soon(_read, started, to_session, ending)
        tasks.start_soon(_write, started, from_session)
        with incoming, outgoing:
            try:
                yield incoming, outgoing
            finally:
                tasks.cancel_scope.cancel()


async def _read(
    started: Started,
    to_session: MemoryObjectSendStream[SessionMessage | Exception],
    ending: Ending,
) -> None:
    with to_session, suppress(anyio.ClosedResourceError, anyio.BrokenResourceError):
        ending.why = ending.why or await _read_lines(started, to_session)
        if not ending.why and started.killed:
            ending.why = f"was killed: {started.killed}"
        if not ending.why:
            words = await started.last_words()
            ending.why = "ended" + (f"; its last words: {words}" if words else "")
            # What a sandboxed program misses most often.
            ending.why += "" if started.tier == "none" else _SEES


async def _read_lines(
    started: Started, to_session: MemoryObjectSendStream[SessionMessage | Exception]
) -> str:
    """Pass on every message; return why it does not go on, or nothing at the end."""
    buffer, bad = bytearray(), 0
    while True:
        try:
            buffer += await started.stdout.receive()
        except anyio.EndOfStream:
            return ""
        *lines, rest = buffer.split(b"\n")
        if len(rest) > MAX_LINE_BYTES:
            return f"sent a line of over {MAX_LINE_BYTES} bytes"
        buffer = rest
        for line in lines:
            if not line.strip():
                continue
            try:
                message = jsonrpc_message_adapter.validate_json(bytes(line), by_name=False)
            except ValueError:
                bad += 1
                if bad > _MAX_BAD_LINES:
                    return f"sent over {_MAX_BAD_LINES} lines that are no messages"
                continue
            await to_session.send(SessionMessage(message))


async def _write(started: Started, from_session: MemoryObjectReceiveStream[SessionMessage]) -> None:
    with from_session, suppress(OSError, anyio.ClosedResourceError, anyio.BrokenResourceError):
        async for message in from_session:
            line = message.message.model_dump_json(by_alias=True, exclude_unset=True)
            await started.stdin.send(line.encode() + b"\n")
