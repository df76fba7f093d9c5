"""The owner's address where there are no unix sockets (Windows): a port of 127.0.0.1, and a token.

Whoever is on the machine can connect to a port. So `owner.port`, which only its user may read, has
a random token beside the port's number, each owner's own. A connection begins with it, as a line;
the owner closes one that does not (owner_listener.py). Standard library only.
"""

from __future__ import annotations

import os
import socket

HOST = "127.0.0.1"
_TOKEN_BYTES = 32


def new_token() -> bytes:
    """A token that cannot be guessed."""
    return os.urandom(_TOKEN_BYTES).hex().encode()


def write_address(path: str, port: int, token: bytes) -> None:
    """Let the user's other processes know; nobody ever reads half of it."""
    draft = f"{path}.new"
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(fd, b"%d %s\n" % (port, token))
    finally:
        os.close(fd)
    os.replace(draft, path)


def connect(path: str) -> socket.socket | None:
    """Connect to the owner that wrote the file; None: there is none.

    Raises:
        OSError: the file may not be read.
    """
    try:
        with open(path, "rb") as file:
            port, token = file.read().split()
        connection = socket.create_connection((HOST, int(port)))
    except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
        return None
    say_at_once(connection)
    connection.sendall(token + b"\n")
    return connection


def say_at_once(connection: socket.socket) -> None:
    """Let no line wait until the one before it has arrived."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
