"""The two pipes between a host and its front, and waiting for them.

Both ends are plain descriptors that a host may share with others, so neither is made non-blocking.
Windows cannot wait for pipes: there pumped_pipes.py takes this one's place. Standard library only.
"""

from __future__ import annotations

import os
import select

CHUNK_BYTES = 64 * 1024  # what a pipe holds on Linux

# Windows has no select.poll; pumped_pipes.SelectPoll speaks in the same numbers.
POLLIN, POLLOUT = getattr(select, "POLLIN", 1), getattr(select, "POLLOUT", 4)
BROKEN = (
    getattr(select, "POLLERR", 8) | getattr(select, "POLLHUP", 16) | getattr(select, "POLLNVAL", 32)
)


class HostPipes:
    """Where a host writes to, and where it reads."""

    def __init__(self, input_fd: int, output_fd: int) -> None:
        self.input_fd, self.output_fd = input_fd, output_fd
        self._output = select.poll()
        self._output.register(output_fd, POLLOUT)

    def new_poll(self) -> select.poll:
        """What waits for these pipes, and for sockets."""
        return select.poll()

    def read(self) -> bytes:
        """What the host wrote; nothing: it will not write any more. May block until there is."""
        try:
            return os.read(self.input_fd, CHUNK_BYTES)
        except OSError:
            return b""  # a vanished terminal is the end of input

    def write(self, data: bytearray) -> None:
        """Write what the host takes without blocking, and remove it from `data`.

        Raises:
            OSError: nobody reads any more.
        """
        # Whenever it is ready it takes PIPE_BUF bytes.
        while data and (ready := self._output.poll(0)):
            if ready[0][1] & BROKEN:
                raise BrokenPipeError
            del data[: os.write(self.output_fd, memoryview(data)[: select.PIPE_BUF])]

    def finish(self) -> None:
        """Nothing more will be written; return when all that was has been passed on."""
