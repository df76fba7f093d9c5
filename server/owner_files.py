"""How processes on one data directory find the one that owns it: its lock and its address.

The owner holds an advisory lock on `owner.lock` as long as it lives; the kernel releases it however
the owner ends, so nothing goes stale. Inside, for people, stand its pid and since when. It listens
on `owner.sock`, which only its user may open; where there are no unix sockets, on the port that
`owner.port` names (loopback.py). Standard library only: the front imports this.
"""

from __future__ import annotations

import os
import socket
import sys
import time

from server.data_directory import LOCK_FILE, PORT_FILE, SOCKET_FILE

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

TAKES_LOCK = -1
"""In place of an inherited lock's descriptor: the owner takes the lock by itself."""

# The shortest limit of a socket's path among systems (macOS); Linux has 108.
_MAX_PATH_BYTES = 103
# Windows keeps others from reading what is locked: a byte far behind the note.
_LOCKED_BYTE = 1_000_000


class OwnerLock:
    """The right to own a data directory, held as long as this object or an heir has it open."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        os.set_inheritable(fd, False)  # an heir is named when it is started; no other child is one

    @classmethod
    def take(cls, directory: str) -> OwnerLock | None:
        """Take the lock, creating the directory; None: another process has it.

        What a dead owner left of its address is removed: nobody talks to whoever has it now.

        Raises:
            OSError: the directory or the file cannot be made.
        """
        os.makedirs(directory, mode=0o700, exist_ok=True)
        fd = os.open(_path(directory, LOCK_FILE), os.O_RDWR | os.O_CREAT, 0o600)
        if _lock(fd):
            remove_address(directory)
            return cls(fd)
        os.close(fd)
        return None

    def note_holder(self, pid: int) -> None:
        """Write down which process holds the lock, since now; a full disk keeps no owner away."""
        since = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())
        note = f'{{"pid": {pid}, "since": "{since}"}}\n'
        try:
            os.ftruncate(self.fd, 0)
            os.lseek(self.fd, 0, os.SEEK_SET)
            os.write(self.fd, note.encode())
        except OSError:
            pass

    def release(self) -> None:
        """Give the lock up here; a process that inherited it keeps it."""
        _close_locked(self.fd)


def read_note(directory: str) -> str | None:
    """What the owner wrote into its lock file, or None when nobody holds the lock.

    Raises:
        OSError: the file may not be read.
    """
    try:
        fd = _open_to_ask(_path(directory, LOCK_FILE))
    except (FileNotFoundError, NotADirectoryError):
        return None
    if _lock(fd):
        _close_locked(fd)
        return None
    try:
        os.lseek(fd, 0, os.SEEK_SET)
        return os.read(fd, 1_000).decode("utf-8", "replace")
    finally:
        os.close(fd)


def connect(directory: str) -> socket.socket | None:
    """Connect to the owner; None: there is none, or it does not listen yet.

    Raises:
        OSError: the address may not be used, for instance because it is another user's.
    """
    connection = None if sys.platform == "win32" else _connect_to_socket(directory)
    if connection is None and os.path.exists(port_file(directory)):
        from server import loopback  # noqa: PLC0415 - not where there are unix sockets

        # A dead owner's port may be another program's by now.
        if read_note(directory) is not None:
            connection = loopback.connect(port_file(directory))
    return connection


def _connect_to_socket(directory: str) -> socket.socket | None:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        at_socket(directory, connection.connect)
    except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError, BlockingIOError):
        connection.close()
        return None
    except BaseException:
        connection.close()
        raise
    return connection


def remove_address(directory: str) -> None:
    """Remove the files of the owner's address; only the holder of the lock may."""
    for name in (SOCKET_FILE, PORT_FILE):
        try:  # noqa: SIM105 - contextlib costs the front 1 ms
            os.unlink(_path(directory, name))
        except FileNotFoundError:
            pass


def port_file(directory: str) -> str:
    """The file that says on which port the owner listens, where it has no socket."""
    return _path(directory, PORT_FILE)


def at_socket(directory: str, act: Callable[[str], object]) -> None:
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


def _open_to_ask(path: str) -> int:
    """Open a lock file to ask for its lock; over NFS that needs the right to write."""
    try:
        return os.open(path, os.O_RDWR)
    except OSError:  # another user's, or on a disk that is only to be read
        return os.open(path, os.O_RDONLY)


def _lock(fd: int) -> bool:
    """Whether the lock could be taken now."""
    try:
        if sys.platform == "win32":
            os.lseek(fd, _LOCKED_BYTE, os.SEEK_SET)
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # the latter on Windows
        return False
    return True


def _close_locked(fd: int) -> None:
    if sys.platform == "win32":  # which releases a lock some time after its file is closed
        os.lseek(fd, _LOCKED_BYTE, os.SEEK_SET)
        msvcrt.locking(fd, msvcrt.LK_UNLCK, 1)
    os.close(fd)


def _path(directory: str, name: str) -> str:
    return os.path.join(directory, name)


TYPE_CHECKING = False  # mypy reads it as true; the real one's module costs the front 5 ms
if TYPE_CHECKING:
    from collections.abc import Callable
