"""Starting the owner of a data directory as a process of its own, which outlives its starter.

Only one can come to be: whoever starts it takes the owner's lock first and hands it down. What the
owner has to say goes to `owner.log`. Standard library only; imported when there is no owner.
"""

from __future__ import annotations

import os
import subprocess
import sys

from server.data_directory import LOG_FILE
from server.owner_files import TAKES_LOCK, OwnerLock

_KEPT_LOG_BYTES = 1_000_000
_READ_LOG_BYTES = 10_000


class StartedOwner:
    """An owner that this process started."""

    def __init__(self, process: subprocess.Popen[bytes], log: str, log_begin: int) -> None:
        self._process, self._log, self._log_begin = process, log, log_begin

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def exit_code(self) -> int | None:
        """Its exit code, or None while it runs; asked again it leaves no zombie."""
        return self._process.poll()

    def last_words(self) -> str:
        """The last line it wrote to its log, without the program's name."""
        with open(self._log, "rb") as log:
            log.seek(self._log_begin)
            lines = log.read(_READ_LOG_BYTES).decode("utf-8", "replace").strip().splitlines()
        return lines[-1].removeprefix("mnemon: ") if lines else "it said nothing"


def start_owner(directory: str, flags: dict[str, str], lock: OwnerLock) -> StartedOwner:
    """Start the owner with these settings; it holds the lock from its first moment.

    On Windows nothing is handed down: the owner takes the lock, and ends when another was quicker.
    It keeps the working directory: a relative path among the flags means the same to it.
    """
    if sys.platform == "win32":
        lock.release()
        apart = subprocess.DETACHED_PROCESS | subprocess.CREATE_NEW_PROCESS_GROUP
        return _start(directory, flags, TAKES_LOCK, creationflags=apart)
    try:
        how = {"pass_fds": (lock.fd,), "start_new_session": True}
        started = _start(directory, flags, lock.fd, **how)
        lock.note_holder(started.pid)
    finally:
        lock.release()
    return started


def _start(directory: str, flags: dict[str, str], lock_fd: int, **how: Any) -> StartedOwner:
    log = os.path.join(directory, LOG_FILE)
    fd = _open_log(log)
    try:
        begin = os.fstat(fd).st_size
        settings = [f"--{name.replace('_', '-')}={value}" for name, value in flags.items()]
        # -P: a folder `server` where the host runs must not be taken for ours.
        program = [sys.executable, "-P", "-m", "server.cli", "serve"]
        process = subprocess.Popen(  # noqa: S603 - our own program
            [*program, f"--background={lock_fd}", f"--data={directory}", *settings],
            stdin=subprocess.DEVNULL,
            stdout=fd,
            stderr=fd,
            **how,
        )
    finally:
        os.close(fd)
    return StartedOwner(process, log, begin)


def _open_log(path: str) -> int:
    """Open the log for appending; a long one is put aside first."""
    try:
        if os.path.getsize(path) > _KEPT_LOG_BYTES:
            os.replace(path, f"{path}.old")
    except FileNotFoundError:
        pass
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


TYPE_CHECKING = False  # mypy reads it as true; the real one's module costs the front 5 ms
if TYPE_CHECKING:
    from typing import Any
