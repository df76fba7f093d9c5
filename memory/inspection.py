"""Looking at a database file without changing it: no migration, no checkpoint, no log folded in."""

from dataclasses import dataclass
from pathlib import Path

import duckdb

from memory import database_file
from memory.database import DEFAULT_DIMENSIONS, stored_schema_version
from memory.errors import DatabaseTooNew
from memory.meta import stored_embedder
from memory.queries import load_migrations, load_queries
from memory.transaction import Reader


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a database file holds, its log included.

    log_bytes: of the log, which the next start folds into the file; 0 without one.
    schema_version: the file's; the next start brings it to known_version.
    embedder: the name of the one that owns the vectors, if any.
    has_agent: whether the agent that was asked about exists, as far as the file can say.
    """

    file_bytes: int
    log_bytes: int
    schema_version: int
    known_version: int
    agents: int
    embedder: str | None
    has_agent: bool


def inspect_file(path: Path, agent: str = "") -> Inspection:
    """Look at an existing file; it and its log stay as they are.

    Args:
        agent: id or name of one to look for.

    Raises:
        DatabaseError: it is locked by another process, damaged, too new or cannot be opened.
    """
    known = len(load_migrations())
    try:
        with database_file.open_to_look(path) as connection:
            version = stored_schema_version(connection, path)
            if version > known:
                raise DatabaseTooNew(path, version, known)
            reader = Reader(connection, lambda: load_queries(DEFAULT_DIMENSIONS))
            log = database_file.log_of(path)
            return Inspection(
                file_bytes=path.stat().st_size,
                log_bytes=log.stat().st_size if log.exists() else 0,
                schema_version=version,
                known_version=known,
                agents=reader.value("count_agents") if version else 0,
                embedder=stored_embedder(reader) if version else None,
                has_agent=version < known or reader.row("find_agent", agent=agent) is not None,
            )
    except duckdb.Error as error:
        raise database_file.explain_opening(path, error) from error
