"""MCP over stdin and stdout, for a host that starts this process and may vanish at any moment.

serve_stdio ends, and lets its caller clean up, on each of: end of input, SIGTERM, SIGINT, SIGHUP,
a stdout that nobody reads any more, a parent that is gone. Calls in flight are cancelled then.
run_stdio adds the deadline for what cannot be cancelled. The lines themselves are lines.py's.

Windows: no signals and no parent watch; a host ends the process by closing its stdin.
"""

import asyncio
import logging
import os
import select
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from typing import Any, Final

import anyio
import anyio.to_thread
from anyio.streams.memory import MemoryObjectSendStream
from mcp.server.lowlevel import Server

from server.lines import serve_lines, split_lines
from server.shutdown import EXIT_DEADLINE_S, exit_after, wait_for_stop_signal
from server.standard_streams import StandardStreams, reserve_stdio

logger = logging.getLogger(__name__)

_CHUNK_BYTES: Final = 64 * 1024  # what a pipe holds on Linux
_LINES_AHEAD: Final = 16  # lines read before the server takes them
_WATCH_S: Final = 1.0  # an orphan lives at most this long
_LEFT_THREADS_S: Final = 1.0  # for threads, once all is cleaned up

CLEAN: Final = 0
NOBODY_READS: Final = 1


async def serve_stdio(
    server: Server[Any],
    streams: StandardStreams | None = None,
    on_end: Callable[[], None] = lambda: None,
) -> int:
    """Serve the host at stdin and stdout; return the exit code.

    Call it once in a process: the thread that reads stdin cannot be stopped, only left behind.

    Args:
        server: from protocol.build_server.
        streams: from reserve_stdio, which is called here if it was not before.
        on_end: called when the end begins, before calls in flight are cancelled.

    Returns:
        0 after an end the host asked for, 1 when stdout broke.
    """
    streams = streams or reserve_stdio()
    end = _End(on_end, anyio.CancelScope())

    async def write(data: bytes) -> None:
        await anyio.to_thread.run_sync(_write, streams.output_fd, data, abandon_on_cancel=True)

    with end.scope:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_watch_signals, end)
            tasks.start_soon(_watch_host, streams, end)
            try:
                await serve_lines(server, _read_lines(streams.input_fd, end), write)
            except* OSError as broken:
                logger.info("writing failed: %s", broken.exceptions[0])
                end.begin("stdout is closed", NOBODY_READS)
            end.scope.cancel()
    return end.exit_code


def run_stdio(
    open_server: Callable[[], AbstractAsyncContextManager[Server[Any]]],
    exit_deadline_s: float = EXIT_DEADLINE_S,
) -> int:
    """Run a whole stdio process: reserve the streams, open the server, serve, close, return a code.

    Args:
        open_server: a context manager over the server and everything it holds; its exit runs
            however serving ends.
        exit_deadline_s: for that exit and for calls that cannot be cancelled. What is still busy
            then is left, by os._exit in shutdown.py.
    """
    streams = reserve_stdio()

    async def main() -> int:
        async with open_server() as server:
            return await serve_stdio(server, streams, exit_after(exit_deadline_s))

    try:
        exit_code = anyio.run(main)
    except KeyboardInterrupt:
        # Ctrl-C before or after serving, or on Windows.
        exit_code = CLEAN
    # Everything is closed. A thread that writes to a host that does not read is never done.
    exit_after(_LEFT_THREADS_S, exit_code)()
    return exit_code


@dataclass
class _End:
    """The end of serving: its first reason decides the exit code.

    scope: around everything; cancelled at once, or after the last answers when the input ended.
    """

    on_end: Callable[[], None]
    scope: anyio.CancelScope
    begun: bool = False
    exit_code: int = CLEAN

    def begin(self, reason: str, exit_code: int = CLEAN, drain: bool = False) -> None:
        if not self.begun:
            self.begun, self.exit_code = True, exit_code
            logger.info("stopping: %s", reason)
            self.on_end()
        if not drain:
            self.scope.cancel()


async def _watch_signals(end: _End) -> None:
    end.begin(await wait_for_stop_signal())


async def _watch_host(streams: StandardStreams, end: _End) -> None:
    """End when the parent is gone or stdout has no reader, also while nothing is being said."""
    if sys.platform == "win32":
        return
    output = select.poll()
    output.register(streams.output_fd, 0)
    while os.getppid() == streams.parent_pid:
        if output.poll(0):
            end.begin("stdout is closed", NOBODY_READS)
            return
        await anyio.sleep(_WATCH_S)
    end.begin("the parent process is gone")


async def _read_lines(fd: int, end: _End) -> AsyncIterator[bytes]:
    """Yield the lines of a descriptor, read by a thread of its own."""
    send, receive = anyio.create_memory_object_stream[bytes](_LINES_AHEAD)
    room = threading.Semaphore(_LINES_AHEAD)
    # Not anyio's worker threads: a daemon does not hold up the exit while parked in read.
    reader = threading.Thread(
        target=_pump, args=(fd, asyncio.get_running_loop(), send, room), daemon=True, name="stdin"
    )
    reader.start()
    with receive:
        async for line in receive:
            room.release()
            yield line
    end.begin("end of input", drain=True)


def _pump(
    fd: int,
    loop: asyncio.AbstractEventLoop,
    send: MemoryObjectSendStream[bytes],
    room: threading.Semaphore,
) -> None:
    def deliver(line: bytes) -> None:
        with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
            send.send_nowait(line)

    with suppress(RuntimeError):  # the loop is closed: the process is ending
        for line in split_lines(_chunks(fd)):
            room.acquire()
            loop.call_soon_threadsafe(deliver, line)
        loop.call_soon_threadsafe(send.close)


def _chunks(fd: int) -> Iterator[bytes]:
    with suppress(OSError):  # a vanished terminal or pipe is the end of input
        while chunk := os.read(fd, _CHUNK_BYTES):
            yield chunk


def _write(fd: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]
