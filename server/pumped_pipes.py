"""The pipes between a host and its front where pipes cannot be waited for: Windows.

A thread for each copies between a pipe and a socket, and sockets can be waited for everywhere; so
the front is the same but for this. Standard library only.
"""

from __future__ import annotations

import os
import select
import socket
import threading

from server.host_pipes import BROKEN, CHUNK_BYTES, POLLIN, POLLOUT
from server.standard_streams import use_bytes

_LAST_ANSWERS_S = 3.0  # for a host that has stopped reading


class PumpedPipes:
    """Where a host writes to, and where it reads; as host_pipes.HostPipes, with sockets inside."""

    def __init__(self, input_fd: int, output_fd: int) -> None:
        use_bytes(input_fd, output_fd)
        self._input, filled = socket.socketpair()
        self._output, drained = socket.socketpair()
        self._input.setblocking(False)
        self._output.setblocking(False)
        self.input_fd, self.output_fd = self._input.fileno(), self._output.fileno()
        threading.Thread(target=_pump_in, args=(input_fd, filled), daemon=True).start()
        self._writer = threading.Thread(target=_pump_out, args=(drained, output_fd), daemon=True)
        self._writer.start()

    def new_poll(self) -> SelectPoll:
        """What waits for these pipes, and for sockets."""
        return SelectPoll()

    def read(self) -> bytes:
        """What the host wrote; nothing: it will not write any more."""
        try:
            return self._input.recv(CHUNK_BYTES)
        except OSError:
            return b""

    def write(self, data: bytearray) -> None:
        """Write what is taken without blocking, and remove it from `data`.

        Raises:
            OSError: nobody reads any more.
        """
        try:
            while data:
                del data[: self._output.send(memoryview(data)[:CHUNK_BYTES])]
        except BlockingIOError:
            return

    def finish(self) -> None:
        """Nothing more will be written; return when all that was has been passed on."""
        self._output.close()
        self._writer.join(_LAST_ANSWERS_S)


class SelectPoll:
    """What the front needs of select.poll, for sockets, by way of select.select."""

    def __init__(self) -> None:
        self._events: dict[int, int] = {}

    def register(self, fd: int, events: int) -> None:
        """Wait for these events of a socket from now on; 0: for its end alone."""
        self._events[fd] = events

    def unregister(self, fd: int) -> None:
        """Wait for it no longer."""
        del self._events[fd]

    def poll(self, timeout_ms: int) -> list[tuple[int, int]]:
        """Wait until something has happened; return what, by socket."""
        # One that is watched for its end alone has nothing else to be read.
        reads = [fd for fd, events in self._events.items() if events & POLLIN or not events]
        writes = [fd for fd, events in self._events.items() if events & POLLOUT]
        readable, writable, _ = select.select(reads, writes, [], timeout_ms / 1000)
        ready = dict.fromkeys(writable, POLLOUT)
        for fd in readable:
            ready[fd] = ready.get(fd, 0) | (POLLIN if self._events[fd] else BROKEN)
        return list(ready.items())


def _pump_in(fd: int, filled: socket.socket) -> None:
    with filled:
        try:
            while chunk := os.read(fd, CHUNK_BYTES):
                filled.sendall(chunk)
        except OSError:
            return  # the same as its end, or the front has ended


def _pump_out(drained: socket.socket, fd: int) -> None:
    with drained:
        try:
            while chunk := drained.recv(CHUNK_BYTES):
                while chunk:
                    chunk = chunk[os.write(fd, chunk) :]
        except OSError:
            return  # the front sees that this end is closed
