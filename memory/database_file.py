"""The database file on disk: opening and locking it, and what its errors mean.

DuckDB's exceptions become memory's own here; database.py is what the rest of memory uses.
"""

import logging
import os
import re
import shutil
import threading
from pathlib import Path

import duckdb

from memory.errors import (
    CommitFailed,
    DatabaseCorrupt,
    DatabaseError,
    DatabaseLocked,
    DatabaseTooNew,
    DatabaseUnusable,
)

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

# DuckDB's lock holds off other processes only; a second opening in this one would share the file.
_open_here: set[Path] = set()
_open_here_lock = threading.Lock()


def open_file(path: Path | None) -> duckdb.DuckDBPyConnection:
    """Open or create the file, for this process and this caller alone; None is in memory.

    Raises:
        DatabaseError: it is locked, damaged, too new or cannot be opened; nothing was changed.
    """
    if path is None:
        return duckdb.connect(":memory:", config=_CONFIG)
    key = _key(path)
    with _open_here_lock:
        if key in _open_here:
            raise DatabaseLocked(path, os.getpid())
        _open_here.add(key)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        check_log(path)
        return duckdb.connect(str(path), config=_CONFIG)
    except (duckdb.Error, OSError) as error:
        release_file(path)
        raise explain_opening(path, error) from error
    except BaseException:
        release_file(path)
        raise


def release_file(path: Path | None) -> None:
    """Let this process open the file again; the connection is closed."""
    if path is not None:
        with _open_here_lock:
            _open_here.discard(_key(path))


def copy_closed_file(path: Path, copy: Path) -> None:
    """Copy the file, which must not be open here: closing any handle on it gives up its lock."""
    shutil.copy2(path, copy)


def check_log(path: Path) -> None:
    """Look at the write-ahead log, whose damage DuckDB takes for its end and passes over.

    A last entry that is cut short is what a crash leaves, and is never one that was acknowledged;
    the log is kept beside it all the same, for it may as well be a damaged length.

    Raises:
        DatabaseCorrupt: the log does not begin like one; DuckDB would ignore it whole.
    """
    log = path.with_name(path.name + ".wal")
    if not log.is_file() or log.stat().st_size < _LOG_HEADER_BYTES:
        return
    data = log.read_bytes()
    if not data.startswith(_LOG_HEADERS):
        raise DatabaseCorrupt(path, f"the header of {log.name} is damaged")
    position = _LOG_HEADER_BYTES
    while position + _FRAME_BYTES <= len(data):
        size = int.from_bytes(data[position : position + 8], "little")
        if position + _FRAME_BYTES + size > len(data):
            break
        position += _FRAME_BYTES + size
    if position < len(data):
        kept = log.with_name(log.name + ".incomplete")
        shutil.copy2(log, kept)
        _log.warning("%s ends in an incomplete entry at byte %d; kept as %s", log, position, kept)


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
