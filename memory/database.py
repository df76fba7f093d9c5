"""The DuckDB file: opening it, its schema, its extension, and the one writer.

Reads take a cursor each; writes take turns under one lock and are one transaction each. What goes
wrong with the file becomes one of the DatabaseErrors here; nothing above knows DuckDB's exceptions.
"""

import json
import re
import shutil
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib.resources import as_file, files
from pathlib import Path

import duckdb

from memory.errors import (
    DatabaseCorrupt,
    DatabaseError,
    DatabaseLocked,
    DatabaseTooNew,
    DatabaseUnusable,
)
from memory.queries import load_migrations, load_queries
from memory.records import Origin
from memory.transaction import Reader, Transaction

_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    # One thread: steadier small queries, and other work keeps its core (storage measurements).
    "threads": 1,
    "memory_limit": "1GB",
    # An unknown function must not make DuckDB reach for the network.
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
}
DEFAULT_DIMENSIONS = 384
"""Of the packaged MiniLM; another embedder's table replaces the empty one."""

_LOCK_HOLDER = re.compile(r"\(PID (\d+)\)")
_NEWER_FORMAT = re.compile(r"version number (\d+), but we can only read versions? .*?(\d+)\D*$")


class Database:
    """An open database. Close it, or use it as a context manager.

    Args:
        path: the file, created when missing; None keeps everything in memory.

    Raises:
        DatabaseError: the file is locked, damaged, too new or cannot be opened.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.vss_error: str | None = None
        self._queries = load_queries(DEFAULT_DIMENSIONS)
        self._write_lock = threading.RLock()
        self._connection = _connect(path)
        try:
            self._migrate()
            self.use_dimensions(self._stored_dimensions())
            self._load_vss()
        except BaseException:
            self._connection.close()
            raise

    @property
    def label(self) -> Path:
        """The path for messages; ":memory:" has none."""
        return self.path or Path(":memory:")

    @property
    def lock(self) -> threading.RLock:
        """Held while a transaction runs; taken by what must not race with one."""
        return self._write_lock

    def use_dimensions(self, dimensions: int) -> None:
        """Prepare the queries for vectors of this width, and their table when it is missing."""
        self._queries = load_queries(dimensions)
        with self._write_lock:
            self._connection.execute(self._queries["create_vectors"])

    @contextmanager
    def read(self) -> Iterator[Reader]:
        """A Reader of what is committed."""
        with self._connection.cursor() as cursor:
            yield Reader(cursor, self._queries)

    @contextmanager
    def write(self, origin: Origin) -> Iterator[Transaction]:
        """One transaction: committed at the end of the block, rolled back by any exception.

        Raises:
            DatabaseUnusable: the commit failed, e.g. the disk is full; nothing was stored.
        """
        with self._write_lock, self._connection.cursor() as cursor:
            cursor.execute("BEGIN TRANSACTION")
            try:
                yield Transaction(cursor, self._queries, origin, datetime.now(UTC))
                cursor.execute("COMMIT")
            except BaseException as error:
                with suppress(duckdb.Error):  # a failed COMMIT has ended the transaction already
                    cursor.execute("ROLLBACK")
                if isinstance(error, duckdb.IOException | duckdb.TransactionException):
                    raise DatabaseUnusable(self.label, _first_line(error)) from error
                raise

    def checkpoint(self) -> None:
        """Fold the write-ahead log into the file, so that the file alone is a backup."""
        with self._write_lock:
            self._connection.execute("CHECKPOINT")

    def close(self) -> None:
        """Checkpoint and release the file. Safe to call twice."""
        with self._write_lock:
            with suppress(duckdb.Error):  # closed already, or a full disk: the log keeps the rest
                self._connection.execute("CHECKPOINT")
            self._connection.close()

    def _migrate(self) -> None:
        """Bring the schema to the newest version, each step in a transaction of its own."""
        migrations = load_migrations()
        version = _schema_version(self._connection)
        if version > len(migrations):
            raise DatabaseTooNew(self.label, version, len(migrations))
        if self.path and 0 < version < len(migrations):
            self._connection.execute("CHECKPOINT")
            shutil.copy2(self.path, self.path.with_suffix(f".schema-{version}.backup"))
        for number, statements in enumerate(migrations[version:], start=version + 1):
            with self._connection.cursor() as cursor:
                cursor.execute("BEGIN TRANSACTION")
                cursor.execute(statements)
                cursor.execute(self._queries["delete_meta"], {"name": "schema_version"})
                cursor.execute(
                    self._queries["insert_meta"], {"name": "schema_version", "value": str(number)}
                )
                cursor.execute("COMMIT")

    def _stored_dimensions(self) -> int:
        row = self._connection.execute(self._queries["read_meta"], {"name": "embedder"}).fetchone()
        return int(json.loads(row[0])["dimensions"]) if row else DEFAULT_DIMENSIONS

    def _load_vss(self) -> None:
        """Load the VSS extension from its wheel; without it search is exact, never refused."""
        try:
            folder = files("duckdb_extension_vss") / "extensions" / f"v{duckdb.__version__}"
            with as_file(folder / "vss.duckdb_extension") as extension:
                # LOAD takes no parameter; the path comes from the installed package.
                self._connection.execute(f"LOAD '{str(extension).replace(chr(39), chr(39) * 2)}'")
        except (ModuleNotFoundError, FileNotFoundError, duckdb.Error) as error:
            self.vss_error = _first_line(error)


def _connect(path: Path | None) -> duckdb.DuckDBPyConnection:
    if path is None:
        return duckdb.connect(":memory:", config=_CONFIG)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return duckdb.connect(str(path), config=_CONFIG)
    except (duckdb.Error, OSError) as error:
        raise _explained(path, error) from error


def _explained(path: Path, error: Exception) -> DatabaseError:
    text = str(error)
    if "Could not set lock" in text or "being used by another process" in text:
        holder = _LOCK_HOLDER.search(text)
        return DatabaseLocked(path, int(holder.group(1)) if holder else None)
    newer = _NEWER_FORMAT.search(text)
    if newer:
        return DatabaseTooNew(path, int(newer.group(1)), int(newer.group(2)))
    if isinstance(error, OSError) or "Cannot open file" in text or "ermission" in text:
        return DatabaseUnusable(path, _first_line(error))
    return DatabaseCorrupt(path, _first_line(error))


def _schema_version(connection: duckdb.DuckDBPyConnection) -> int:
    """The version stored in the file; 0 for a new one."""
    try:
        row = connection.execute("SELECT value FROM meta WHERE name = 'schema_version'").fetchone()
    except duckdb.CatalogException:
        return 0
    return int(row[0]) if row else 0


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def describe_engine() -> Mapping[str, str]:
    """Name and version of the engine, for `mnemon doctor`."""
    return {"name": "duckdb", "version": duckdb.__version__}
