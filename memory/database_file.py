"""The database file on disk: opening and locking it, and what its errors mean.

DuckDB's exceptions become memory's own here; database.py is what the rest of memory uses.
"""

import logging
import os
import re
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import duckdb

from memory.errors import (
    CommitFailed,
    DatabaseCorrupt,
    DatabaseError,
    DatabaseLocked,
    DatabaseTooNew,
    DatabaseUnusable,
)

if sys.platform != "win32":
    import fcntl

_log = logging.getLogger(__name__)

_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    # One thread: steadier small queries, and other work keeps its core (storage measurements).
    "threads": 1,
    "memory_limit": "1GB",
    # An unknown function must not make DuckDB reach for the network.
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
}

_LOCK_HOLDER = re.compile(r"\(PID (\d+)\)")
_NEWER_FORMAT = re.compile(r"version number (\d+), but we can only read versions? .*?(\d+)\D*$")

_LOG_HEADERS = tuple(b"d\0be\0%c\xff\xff" % version for version in (1, 2, 3))
"""How a write-ahead log begins: an entry of the type WAL_VERSION, and the version."""
_LOG_HEADER_BYTES = 8
_FRAME_BYTES = 16
"""Before each entry of the log: its size and its checksum, 8 bytes each."""

_OWNER_ONLY = 0o600

# DuckDB's lock holds off other processes only; a second opening in this one would share the file.
_open_here: set[Path] = set()
_open_here_lock = threading.Lock()


def open_file(path: Path | None) -> duckdb.DuckDBPyConnection:
    """Open or create the file, for this process and this caller alone; None is in memory.

    What is created is for its owner only. DuckDB has no setting for that, and the umask is that of
    all threads, so the file is made private right after it is made, still without a text in it.

    Raises:
        DatabaseError: it is locked, damaged, too new or cannot be opened; nothing was changed.
    """
    if path is None:
        return duckdb.connect(":memory:", config=_CONFIG)
    with _claimed(path):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        is_new = not path.exists()
        _check_log(path, keep=True)
        connection = duckdb.connect(str(path), config=_CONFIG)
        if is_new:
            path.chmod(_OWNER_ONLY)
        return connection


@contextmanager
def open_to_look(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open an existing file and its log without changing either: DuckDB replays it in memory.

    Raises:
        DatabaseError: as open_file.
    """
    with _claimed(path):
        _check_log(path, keep=False)
        connection = duckdb.connect(str(path), read_only=True, config=_CONFIG)
    try:
        yield connection
    finally:
        connection.close()
        release_file(path)


def release_file(path: Path | None) -> None:
    """Let this process open the file again; the connection is closed."""
    if path is not None:
        with _open_here_lock:
            _open_here.discard(_key(path))


def log_of(path: Path) -> Path:
    """The write-ahead log of a database file; it need not exist."""
    return path.with_name(path.name + ".wal")


def keep_log_private(path: Path | None) -> None:
    """Make the log its owner's only; a commit makes a new one after each checkpoint."""
    if path is not None:
        with suppress(OSError):  # no log: the commit ended with a checkpoint
            log_of(path).chmod(_OWNER_ONLY)


def copy_closed_file(path: Path, copy: Path) -> None:
    """Copy the file, which must not be open here: closing any handle on it gives up its lock."""
    with path.open("rb") as file, _create_private(copy) as private:
        shutil.copyfileobj(file, private)


@contextmanager
def _claimed(path: Path) -> Iterator[None]:
    """Note that this process has the file open; undone, and explained, if opening it fails."""
    key = _key(path)
    with _open_here_lock:
        if key in _open_here:
            raise DatabaseLocked(path, os.getpid())
        _open_here.add(key)
    try:
        yield
    except (duckdb.Error, OSError) as error:
        release_file(path)
        raise explain_opening(path, error) from error
    except BaseException:
        release_file(path)
        raise


def _check_log(path: Path, keep: bool) -> None:
    """Look at the write-ahead log, whose damage DuckDB takes for its end and passes over.

    A last entry that is cut short is what a crash leaves, and is never one that was acknowledged;
    the log is kept beside it all the same, for it may as well be a damaged length.

    Raises:
        DatabaseCorrupt: the log does not begin like one; DuckDB would ignore it whole.
        DatabaseLocked, duckdb.Error: another process has the file open.
    """
    log = log_of(path)
    with _nobody_writes(path):
        data = log.read_bytes() if log.is_file() else b""
        if len(data) < _LOG_HEADER_BYTES:
            return
        if not data.startswith(_LOG_HEADERS):
            raise DatabaseCorrupt(path, f"the header of {log.name} is damaged")
        position = _whole_entries(data)
        if keep and position < len(data):
            kept = log.with_name(log.name + ".incomplete")
            with _create_private(kept) as copy:
                copy.write(data)
            _log.warning(
                "%s ends in an incomplete entry at byte %d; kept as %s", log, position, kept
            )


def _whole_entries(data: bytes) -> int:
    """Where the last whole entry of a log ends."""
    position = _LOG_HEADER_BYTES
    while position + _FRAME_BYTES <= len(data):
        size = int.from_bytes(data[position : position + 8], "little")
        if position + _FRAME_BYTES + size > len(data):
            break
        position += _FRAME_BYTES + size
    return position


@contextmanager
def _nobody_writes(path: Path) -> Iterator[None]:
    """Hold off other processes: an entry that one of them is writing looks like damage.

    On Windows to open the file is enough: DuckDB shares one that it writes with nobody.
    """
    if not path.exists():
        yield
        return
    with ExitStack() as opened:
        try:
            file = opened.enter_context(path.open("rb"))
            if sys.platform != "win32":
                fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            duckdb.connect(str(path), read_only=True).close()  # its error names the process
            raise DatabaseLocked(path, None) from None
        yield


def _create_private(path: Path) -> BinaryIO:
    """Open a new file, in the place of an old one, that is its owner's only."""
    path.unlink(missing_ok=True)
    return os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, _OWNER_ONLY), "wb")


def explain_opening(path: Path, error: Exception) -> DatabaseError:
    """What it means that the file could not be opened."""
    text = str(error)
    if "Could not set lock" in text or "being used by another process" in text:
        holder = _LOCK_HOLDER.search(text)
        return DatabaseLocked(path, int(holder.group(1)) if holder else None)
    newer = _NEWER_FORMAT.search(text)
    if newer:
        return DatabaseTooNew(path, int(newer.group(1)), int(newer.group(2)))
    unusable = ("Cannot open file", "ermission", "Is a directory", "No space left")
    if isinstance(error, OSError) or any(hint in text for hint in unusable):
        return DatabaseUnusable(path, first_line(error))
    return DatabaseCorrupt(path, first_line(error))


def explain_use(path: Path, error: duckdb.Error) -> DatabaseError | None:
    """What it means that a statement or a commit failed; None for a bug of ours."""
    if isinstance(error, duckdb.ConnectionException | duckdb.InterruptException):
        return None
    text = first_line(error)
    damaged = "orrupt" in text or "Could not read" in text
    if damaged or isinstance(error, duckdb.FatalException | duckdb.SerializationException):
        return DatabaseCorrupt(path, text)
    failed = duckdb.IOException | duckdb.TransactionException | duckdb.OutOfMemoryException
    return CommitFailed(path, text) if isinstance(error, failed) else None


def first_line(error: Exception) -> str:
    """The first line of a message; DuckDB appends traces and links."""
    return str(error).strip().partition("\n")[0]


def _key(path: Path) -> Path:
    return Path(os.path.realpath(path))
