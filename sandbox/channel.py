"""The server's end of the socket to an untrusted process: one message after the other.

What a frame is, and what is refused before it is read, is in frames.py; what a message means, in
worker.py.
"""

import socket
from collections import deque
from typing import Any, Final

import anyio

from sandbox.frames import FrameReader

_PIECE_BYTES: Final = 65_536


class Channel:
    """Sends and receives. Nothing that comes is trusted."""

    def __init__(self, end: socket.socket, max_bytes: int) -> None:
        self._end = end
        self._reader = FrameReader(max_bytes)
        self._waiting: deque[dict[str, Any]] = deque()

    async def send(self, frame: bytes) -> None:
        """Send a frame.

        Raises:
            OSError: nobody is there.
        """
        left = memoryview(frame)
        while left:
            try:
                left = left[self._end.send(left) :]
            except BlockingIOError:
                await anyio.wait_writable(self._end)

    async def receive(self) -> dict[str, Any] | None:
        """The next message; None: the other side has closed, perhaps in the middle of one.

        Raises:
            FrameTooLong, NotStrictJson: it sent what is no message.
        """
        while not self._waiting:
            try:
                data = self._end.recv(_PIECE_BYTES)
            except BlockingIOError:
                await anyio.wait_readable(self._end)
                continue
            except ConnectionResetError:
                return None
            if not data:
                return None
            self._waiting.extend(self._reader.feed(data))
        return self._waiting.popleft()

    def is_quiet(self) -> bool:
        """Whether nothing more was sent than what was received."""
        if self._waiting or self._reader.is_within_frame:
            return False
        try:
            return not self._end.recv(1, socket.MSG_PEEK)
        except OSError:
            return True
