"""The named queries of memory/sql/*.sql, read once.

A query begins with `-- name: NAME` and ends where the next begins. Values are $parameters; the only
text ever filled in is {dimensions}, the width of the vectors, here, and {collection}, the number of
a table of the HNSW index, in transaction.py.
"""

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


@cache
def load_queries(dimensions: int) -> Mapping[str, str]:
    """Return every named query, for vectors of the given width."""
    queries: dict[str, str] = {}
    for path in sorted(files("memory").joinpath("sql").iterdir(), key=lambda p: p.name):
        if not path.name.endswith(".sql"):
            continue
        _, *parts = _NAME.split(path.read_text(encoding="utf-8"))
        for name, body in zip(parts[::2], parts[1::2], strict=True):
            if name in queries:
                raise ValueError(f"query {name!r} is defined twice")
            queries[name] = body.strip().replace("{dimensions}", str(int(dimensions)))
    return queries


@cache
def load_migrations() -> tuple[str, ...]:
    """Return the migrations in order; the n-th, counted from 1, makes schema version n."""
    folder = files("memory").joinpath("sql", "migrations")
    names = sorted(path.name for path in folder.iterdir() if path.name.endswith(".sql"))
    return tuple(folder.joinpath(name).read_text(encoding="utf-8") for name in names)
