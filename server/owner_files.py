"""How processes on one data directory find the one that owns it: its lock and its socket.

The owner holds an advisory lock on `owner.lock` as long as it lives; the kernel releases it however
the owner ends, so nothing goes stale. Inside, for people, stand its pid and since when. It listens
on `owner.sock`, which only its user may open. Standard library only: the front imports this.

Windows has neither; there a host's process works on the file itself (docs/decisions/0007).
"""

from __future__ import annotations

import os
import socket
import sys
import time

from server.data_directory import LOCK_FILE, SOCKET_FILE

if sys.platform != "win32":
    import fcntl

AVAILABLE = sys.platform != "win32"
_WAITING_CONNECTIONS = 128
# The shortest limit of a socket's path among systems (macOS); Linux has 108.
_MAX_PATH_BYTES = 103


class OwnerLock:
    """The right to own a data directory, held as long as this object or an heir has it open."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        os.set_inheritable(fd, False)  # an heir is named when it is started; no other child is one

    @classmethod
    def take(cls, directory: str) -> OwnerLock | None:
        """Take the lock, creating the directory; None: another process has it.

        Raises:
            OSError: the directory or the file cannot be made.
        """
        os.makedirs(directory, mode=0o700, exist_ok=True)
        fd = os.open(_path(directory, LOCK_FILE), os.O_RDWR | os.O_CREAT, 0o600)
        if _lock(fd):
            return cls(fd)
        os.close(fd)
        return None

    def note_holder(self, pid: int) -> None:
        """Write down which process holds the lock, since now."""
        since = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())
        note = f'{{"pid": {pid}, "since": "{since}"}}\n'
        os.ftruncate(self.fd, 0)
        os.pwrite(self.fd, note.encode(), 0)

    def release(self) -> None:
        """Give the lock up here; a process that inherited it keeps it."""
        os.close(self.fd)


def read_note(directory: str) -> str | None:
    """What the owner wrote into its lock file, or None when nobody holds the lock."""
    try:
        fd = os.open(_path(directory, LOCK_FILE), os.O_RDWR)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        return None if _lock(fd) else os.pread(fd, 1_000, 0).decode("utf-8", "replace")
    finally:
        os.close(fd)


def connect(directory: str) -> socket.socket | None:
    """Connect to the owner; None: there is none, or it does not listen yet.

    Raises:
        OSError: the socket may not be used, for instance because it is another user's.
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _at(directory, connection.connect)
    except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError, BlockingIOError):
        connection.close()
        return None
    except BaseException:
        connection.close()
        raise
    return connection


def listen(directory: str) -> socket.socket:
    """Listen as the owner, which holds the lock; a socket that a dead owner left is replaced."""
    remove_socket(directory)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    old_mask = os.umask(0o177)  # from its first moment nobody else may open it
    try:
        _at(directory, listener.bind)
        listener.listen(_WAITING_CONNECTIONS)
    except BaseException:
        listener.close()
        raise
    finally:
        os.umask(old_mask)
    listener.setblocking(False)
    return listener


def remove_socket(directory: str) -> None:
    """Remove the socket's file; only the holder of the lock may."""
    try:  # noqa: SIM105 - contextlib costs the front 1 ms
        os.unlink(_path(directory, SOCKET_FILE))
    except FileNotFoundError:
        pass


def _lock(fd: int) -> bool:
    """Whether the lock could be taken now."""
    if sys.platform == "win32":
        raise NotImplementedError("there is no owner on Windows")
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _at(directory: str, act: Callable[[str], object]) -> None:
    """Call bind or connect with the socket's path, or from inside where that is too long."""
    path = _path(directory, SOCKET_FILE)
    if len(os.fsencode(path)) <= _MAX_PATH_BYTES:
        act(path)
        return
    here = os.open(".", os.O_RDONLY)
    try:
        os.chdir(directory)
        act(SOCKET_FILE)
    finally:
        os.fchdir(here)
        os.close(here)


def _path(directory: str, name: str) -> str:
    return os.path.join(directory, name)


TYPE_CHECKING = False  # mypy reads it as true; the real one's module costs the front 5 ms
if TYPE_CHECKING:
    from collections.abc import Callable
