"""The open database: its schema, its extension, readers, and the one writer.

Each reader has a cursor of its own and sees one moment; writes take turns under one lock and are
one transaction each. What goes wrong becomes one of the DatabaseErrors (database_file.py); nothing
above knows DuckDB's exceptions.
"""

import importlib.util
import json
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

import duckdb

from memory import database_file
from memory.database_file import first_line
from memory.errors import DatabaseClosed, DatabaseTooNew, DatabaseUnusable
from memory.limits import check_text
from memory.queries import load_migrations, load_queries
from memory.records import Origin
from memory.transaction import Reader, Transaction, Visible

if importlib.util.find_spec("pandas") is None:
    # DuckDB asks for pandas twice at every parameter, and Python searches its whole path each time
    # for a module that is not there: more than half of what a short statement costs.
    sys.modules["pandas"] = None  # type: ignore[assignment]

DEFAULT_DIMENSIONS = 384
"""Of the packaged MiniLM; another embedder's table replaces the empty one."""

CLOSE_WAIT_S = 5.0
"""How long close() lets readers finish before it interrupts them."""

MAX_ORIGIN_CHARS = 1_000


class Database:
    """An open database. Close it, or use it as a context manager.

    Args:
        path: the file, created when missing; None keeps everything in memory.
        vss_file: the VSS extension; None: the one in its installed package.
        migrations: what makes the schema, in order.

    Raises:
        DatabaseError: the file is locked, damaged, too new or cannot be opened.
    """

    def __init__(
        self,
        path: Path | None,
        vss_file: Path | None = None,
        migrations: Sequence[str] | None = None,
    ) -> None:
        self.path = path
        self._vss_file = vss_file
        self._queries = load_queries(DEFAULT_DIMENSIONS)
        self._write_lock = threading.RLock()
        self._idle = threading.Condition()
        self._cursors: set[duckdb.DuckDBPyConnection] = set()
        self._closing = False
        self._connection = database_file.open_file(path)
        try:
            self._migrate(load_migrations() if migrations is None else migrations)
            self._queries = load_queries(self._stored_dimensions())
            self._connection.execute(self._queries["create_vectors"])
            database_file.keep_log_private(path)
        except BaseException as error:
            self._abandon()
            if isinstance(error, duckdb.IOException | duckdb.FatalException):
                raise database_file.explain_opening(self.label, error) from error
            raise

    def __enter__(self) -> "Database":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def label(self) -> Path:
        """The path for messages; ":memory:" has none."""
        return self.path or Path(":memory:")

    @property
    def lock(self) -> threading.RLock:
        """Held while a transaction runs; taken by what must not race with one."""
        return self._write_lock

    @contextmanager
    def read(self, visible: Visible = None) -> Iterator[Reader]:
        """A Reader of what is committed, all at one moment."""
        with self._cursor() as cursor:
            cursor.execute("BEGIN TRANSACTION READ ONLY")
            yield Reader(cursor, self._current_queries, visible)

    @contextmanager
    def scratch(self) -> Iterator[Reader]:
        """A Reader whose every statement stands alone, for the HNSW index beside the file."""
        with self._cursor() as cursor:
            yield Reader(cursor, self._current_queries)

    @contextmanager
    def write(self, origin: Origin, visible: Visible = None) -> Iterator[Transaction]:
        """One transaction: committed at the end of the block, rolled back by any exception.

        Raises:
            CommitFailed: e.g. the disk is full; nothing was stored.
            InvalidValue: the origin cannot be stored.
        """
        for field in ("actor", "reason", "request_id"):
            check_text(getattr(origin, field) or "", field, MAX_ORIGIN_CHARS)
        with self._write_lock, self._cursor() as cursor:
            cursor.execute("BEGIN TRANSACTION")
            try:
                now = datetime.now(UTC)
                yield Transaction(cursor, self._current_queries, origin, now, visible)
                cursor.execute("COMMIT")
                database_file.keep_log_private(self.path)
            except BaseException:
                with suppress(duckdb.Error):  # a failed COMMIT has ended the transaction already
                    cursor.execute("ROLLBACK")
                raise

    def replace_vectors(self, origin: Origin, dimensions: int, identity: str) -> None:
        """Forget all vectors and begin a table of this width, owned by this embedder."""
        queries = load_queries(dimensions)
        with self._write_lock:
            before = self._queries
            try:
                with self.write(origin) as transaction:
                    transaction.run("delete_meta", name="embedder")
                    transaction.run("insert_meta", name="embedder", value=identity)
                    transaction.run("drop_vectors")
                    self._queries = queries
                    transaction.run("create_vectors")
            except BaseException:
                self._queries = before
                raise

    def load_vss(self) -> str | None:
        """Load the VSS extension, and say why it cannot be loaded; None: it is.

        It takes 0.1 s, and only the HNSW index needs it. May be called again.
        """
        try:
            extension = str(self._vss_file or _packaged_vss()).replace("'", "''")
            # LOAD takes no parameter; the path comes from the installed package.
            self._connection.execute(f"LOAD '{extension}'")
        except (ModuleNotFoundError, FileNotFoundError, duckdb.Error) as error:
            return first_line(error)
        return None

    def close(self) -> None:
        """Let readers finish, fold the log into the file and release it. Safe to call twice."""
        with self._write_lock:
            with self._idle:
                if self._closing:
                    return
                self._closing = True
                if not self._idle.wait_for(lambda: not self._cursors, CLOSE_WAIT_S):
                    for cursor in self._cursors:
                        cursor.interrupt()
                    self._idle.wait_for(lambda: not self._cursors, CLOSE_WAIT_S)
            with suppress(duckdb.Error):  # a full disk: the log keeps what the file lacks
                self._connection.execute("CHECKPOINT")
            self._connection.close()
            database_file.release_file(self.path)

    @contextmanager
    def _cursor(self) -> Iterator[duckdb.DuckDBPyConnection]:
        with self._idle:
            if self._closing:
                raise DatabaseClosed(self.label)
            cursor = self._connection.cursor()
            self._cursors.add(cursor)
        try:
            yield cursor
        except duckdb.Error as error:
            explained = database_file.explain_use(self.label, error)
            if self._closing:
                explained = DatabaseClosed(self.label)
            if explained is None:
                raise
            raise explained from error
        finally:
            cursor.close()
            with self._idle:
                self._cursors.discard(cursor)
                self._idle.notify_all()

    def _current_queries(self) -> Mapping[str, str]:
        return self._queries

    def _abandon(self) -> None:
        """Close a file that is refused without writing to it."""
        with suppress(duckdb.Error):
            self._connection.execute("PRAGMA disable_checkpoint_on_shutdown")
        self._connection.close()
        database_file.release_file(self.path)

    def _migrate(self, migrations: Sequence[str]) -> None:
        """Bring the schema to the newest version, each step in a transaction of its own."""
        version = stored_schema_version(self._connection, self.label)
        if version > len(migrations):
            raise DatabaseTooNew(self.label, version, len(migrations))
        if self.path and 0 < version < len(migrations):
            self._back_up(self.path, version)
        for number, statements in enumerate(migrations[version:], start=version + 1):
            with self._connection.cursor() as cursor:
                cursor.execute("BEGIN TRANSACTION")
                cursor.execute(statements)
                cursor.execute(self._queries["delete_meta"], {"name": "schema_version"})
                cursor.execute(
                    self._queries["insert_meta"], {"name": "schema_version", "value": str(number)}
                )
                cursor.execute("COMMIT")

    def _back_up(self, path: Path, version: int) -> None:
        """Copy the file as it was before a migration, beside it."""
        self._connection.execute("CHECKPOINT")
        self._connection.close()
        database_file.release_file(path)
        database_file.copy_closed_file(path, path.with_suffix(f".schema-{version}.backup"))
        self._connection = database_file.open_file(path)

    def _stored_dimensions(self) -> int:
        row = self._connection.execute(self._queries["read_meta"], {"name": "embedder"}).fetchone()
        return int(json.loads(row[0])["dimensions"]) if row else DEFAULT_DIMENSIONS


def stored_schema_version(connection: duckdb.DuckDBPyConnection, path: Path) -> int:
    """The version stored in the file; 0 for a new one.

    Raises:
        DatabaseUnusable: the file is another program's.
    """
    tables = {name for (name,) in connection.execute("SHOW TABLES").fetchall()}
    if "meta" not in tables:
        if tables:
            detail = f"it is a DuckDB file of another program (it holds {min(tables)!r})"
            raise DatabaseUnusable(path, detail)
        return 0
    query = load_queries(DEFAULT_DIMENSIONS)["read_meta"]
    row = connection.execute(query, {"name": "schema_version"}).fetchone()
    return int(row[0]) if row else 0


def _packaged_vss() -> Path:
    folder = files("duckdb_extension_vss") / "extensions" / f"v{duckdb.__version__}"
    return Path(str(folder / "vss.duckdb_extension"))


def describe_engine() -> Mapping[str, str]:
    """Name and version of the engine, for `mnemon doctor`."""
    return {"name": "duckdb", "version": duckdb.__version__}
