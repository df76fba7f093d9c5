"""Where an owner takes connections: a unix socket, or a port and a token where there are none.

The other side, which connects, is owner_files.connect.
"""

import os
import socket
import sys
from collections.abc import AsyncIterator
from hmac import compare_digest
from types import TracebackType
from typing import Final, Self

import anyio

from server import loopback, owner_files

_WAITING_CONNECTIONS: Final = 128


class Listener:
    """The owner's end of its address. Use it in a `with`."""

    def __init__(self, listening: socket.socket, token: bytes | None = None) -> None:
        listening.setblocking(False)
        self._listening, self._token = listening, token

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        self._listening.close()

    async def accept(self) -> socket.socket:
        """Wait for a connection.

        Raises:
            BlockingIOError, ConnectionError: it was gone again.
        """
        await anyio.wait_readable(self._listening)
        connection, _ = self._listening.accept()
        connection.setblocking(False)
        if self._token is not None:
            loopback.say_at_once(connection)
        return connection

    async def admits(self, lines: AsyncIterator[bytes]) -> bool:
        """Whether a connection may speak; takes the line with its token, where one is needed."""
        return self._token is None or compare_digest(await anext(lines, b""), self._token)


def listen(directory: str) -> Listener:
    """Listen as the owner, which holds the lock, in the way of this system."""
    return listen_on_loopback(directory) if sys.platform == "win32" else listen_on_socket(directory)


def listen_on_socket(directory: str) -> Listener:
    """Listen on a unix socket that only this user may open."""
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    old_mask = os.umask(0o177)  # from its first moment nobody else may open it
    try:
        owner_files.at_socket(directory, listening.bind)
        listening.listen(_WAITING_CONNECTIONS)
    except BaseException:
        listening.close()
        raise
    finally:
        os.umask(old_mask)
    return Listener(listening)


def listen_on_loopback(directory: str) -> Listener:
    """Listen on a free port of this machine, for whoever can read the file with the token."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        if sys.platform == "win32":  # else another user's process may take over the port
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        listening.bind((loopback.HOST, 0))
        listening.listen(_WAITING_CONNECTIONS)
        token = loopback.new_token()
        loopback.write_address(owner_files.port_file(directory), listening.getsockname()[1], token)
    except BaseException:
        listening.close()
        raise
    return Listener(listening, token)
