"""The HNSW index of VSS over large archives: a cache in memory, never the truth.

Built in the background when a collection passes the threshold, in portions and in the order of doc,
which is the order in which documents get their vectors. So one number says what an index holds, and
a search looks at the rest, the tail, exactly: what is committed is found at once. Its candidates
are compared exactly too. Whatever goes wrong here ends in exact search, never in an error.
"""

import logging
import queue
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb

from memory.errors import DatabaseError
from memory.transaction import Changes, Reader
from memory.vectors import VectorQuery, exact_scores

if TYPE_CHECKING:
    from memory.database import Database

_log = logging.getLogger(__name__)

PORTION_ROWS = 256
"""Fed at once, and only when full: 0.2 s of work, after which closing is looked at."""
MAX_TAIL = 1_000
"""Documents a search compares besides those of the index; beyond it all are compared."""
MAX_ASKED = 2_000
"""Neighbours asked of the index before the answer is left to exact search."""
MAX_REMOVED = 500
"""Removed documents stay in the graph and take places in its answers; past this it is rebuilt."""


@dataclass(frozen=True, slots=True)
class _Index:
    """What an index holds: the documents up to `last`. build: no two have the same number."""

    build: int
    last: int


class HnswIndex:
    """Proposes the nearest documents of collections with at least `threshold` vectors.

    A thread of its own builds and feeds; close() ends it. Without a threshold or without VSS
    nothing is ever built; vss_error says why VSS is missing.
    """

    def __init__(self, database: "Database", threshold: int | None) -> None:
        self._database, self._threshold = database, threshold or 0
        self._indexes: dict[int, _Index] = {}
        self._builds = 0
        self._removed: dict[int, int] = {}
        self._lock = threading.Lock()
        self._work: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self.vss_error = database.load_vss() if threshold else None
        if threshold and self.vss_error is None:
            with database.scratch() as scratch:
                scratch.rows("hnsw_attach")
                large = scratch.rows("large_collections", threshold=threshold)
            self.vectors_written(collection for (collection,) in large)
            self._thread = threading.Thread(target=self._run, name="mnemon-hnsw")
            self._thread.start()

    @property
    def collections(self) -> frozenset[int]:
        """The collections that have an index, if not a complete one."""
        with self._lock:
            return frozenset(self._indexes)

    def nearest(self, reader: Reader, query: VectorQuery) -> dict[int, float] | None:
        """Return doc -> exact cosine, or None when exact search must answer."""
        with self._lock:
            # Before anything is read: the index holds at least this much from here on.
            index = self._indexes.get(query.collection)
        if index is None or not query.where.is_open:
            return None
        rows = reader.rows_of("hnsw_tail", query.collection, after=index.last, limit=MAX_TAIL + 1)
        if len(rows) > MAX_TAIL:
            return None
        besides = {doc for (doc,) in rows if query.where.has_doc(doc)}
        asked = query.limit
        while asked <= MAX_ASKED:
            proposed = self._proposed(query, index, asked)
            if proposed is None:
                return None
            near = {doc for doc in proposed if query.where.has_doc(doc)}
            found = exact_scores(reader, query, sorted(near | besides))
            # Removed documents and the parts of long ones take places: then more is asked.
            if len(near & found.keys()) >= query.limit or len(proposed) < asked:
                best = sorted(found, key=lambda doc: (-found[doc], doc))[: query.limit]
                return {doc: found[doc] for doc in best}
            asked *= 4
        return None

    def vectors_written(self, collections: Iterable[int]) -> None:
        """Say that vectors were committed, so that the indexes are fed some time."""
        for collection in collections:
            self._work.put(collection)

    def follow(self, changes: Changes) -> None:
        """Take note of what was removed, and of what was copied with its vectors."""
        for collection in changes.removed_collections:
            self._forget(collection)
        self.vectors_written(changes.copied_vectors)
        with self._lock:
            for collection, _ in changes.removed_docs:
                if collection in self._indexes:
                    self._removed[collection] = self._removed.get(collection, 0) + 1
            worn = [c for c, count in self._removed.items() if count > MAX_REMOVED]
        for collection in worn:
            self._forget(collection)

    def close(self) -> None:
        """End the thread, after the portion in hand."""
        self._closing.set()
        self._work.put(None)
        if self._thread is not None:
            self._thread.join()

    def _proposed(self, query: VectorQuery, index: _Index, limit: int) -> list[int] | None:
        """The nearest documents that this index holds; None when it is another one by now."""
        try:
            # Not the reader: what it sees of the index may be older than what was fed.
            with self._database.scratch() as scratch:
                rows = scratch.rows_of(
                    "hnsw_nearest", query.collection, vector=query.vector, limit=limit
                )
        except (duckdb.Error, DatabaseError):
            _log.exception("the HNSW index of collection %d failed", query.collection)
            self._forget(query.collection)
            return None
        with self._lock:
            now = self._indexes.get(query.collection)
        return [doc for (doc,) in rows] if now and now.build == index.build else None

    def _forget(self, collection: int) -> None:
        """Leave a collection to exact search, and have its index dropped and built anew."""
        with self._lock:
            self._indexes.pop(collection, None)
            self._removed.pop(collection, None)
        self._work.put(collection)

    def _run(self) -> None:
        while (collection := self._work.get()) is not None:
            try:
                with self._database.scratch() as scratch:
                    self._refresh(scratch, collection)
            except (duckdb.Error, DatabaseError):
                _log.exception("building the HNSW index of collection %d failed", collection)

    def _refresh(self, scratch: Reader, collection: int) -> None:
        """Feed the index of one collection, or begin one, or leave it to exact search."""
        with self._lock:
            index = self._indexes.get(collection)
        if index is None:
            if scratch.value("count_vectors", collection=collection) < self._threshold:
                scratch.rows_of("hnsw_drop", collection)
                return
            index = self._begin(scratch, collection)
        while not self._closing.is_set():
            ((last, rows),) = scratch.rows_of(
                "hnsw_next", collection, after=index.last, limit=PORTION_ROWS
            )
            if rows < PORTION_ROWS:
                # The newest stay in the tail, which is compared exactly: a graph built before them
                # may not lead to one that lies far from all others.
                return
            scratch.rows_of("hnsw_feed", collection, after=index.last, last=last)
            with self._lock:
                if self._indexes.get(collection) != index:
                    return  # forgotten meanwhile: it is built anew when its turn comes
                self._indexes[collection] = index = _Index(index.build, last)

    def _begin(self, scratch: Reader, collection: int) -> _Index:
        """An empty index; what is in the graph grows with it, so that closing need not wait."""
        scratch.rows_of("hnsw_create", collection)
        scratch.rows_of("hnsw_index", collection)
        self._builds += 1
        index = _Index(self._builds, 0)
        with self._lock:
            self._indexes[collection] = index
        return index
