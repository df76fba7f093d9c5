"""The HNSW index of VSS over large archives: a cache in memory, never the truth.

Built in the background when a collection passes the threshold, fed after each commit, used only for
searches without a filter and only while it is known to hold everything; its candidates are
compared exactly. Whatever goes wrong here ends in exact search, never in an error.
"""

import logging
import queue
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING

from memory.transaction import Changes, Reader
from memory.vectors import VectorQuery, exact_scores

if TYPE_CHECKING:
    from memory.database import Database

_log = logging.getLogger(__name__)

MAX_REMOVED = 500
"""Removed documents stay in the graph and take places in its answers; past this it is rebuilt."""


class HnswIndex:
    """Proposes the nearest documents of collections with at least `threshold` vectors.

    A thread of its own builds and feeds; close() ends it. Without VSS nothing is ever built.
    """

    def __init__(self, database: "Database", threshold: int) -> None:
        self._database, self._threshold = database, threshold
        self._ready: set[int] = set()
        self._dirty: set[int] = set()
        self._removed: dict[int, int] = {}
        self._lock = threading.Lock()
        self._work: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        if database.vss_error is None:
            with database.read() as reader:
                reader.rows("hnsw_attach")
            self._thread = threading.Thread(target=self._run, name="mnemon-hnsw")
            self._thread.start()

    @property
    def collections(self) -> frozenset[int]:
        """The collections that are searched through the index now."""
        with self._lock:
            return frozenset(self._ready - self._dirty)

    def nearest(self, reader: Reader, query: VectorQuery) -> dict[int, float] | None:
        """Return doc -> exact cosine, or None when exact search must answer."""
        if not query.where.is_open or query.collection not in self.collections:
            return None
        limit = query.limit + self._removed.get(query.collection, 0)
        try:
            rows = reader.rows_of(
                "hnsw_nearest", query.collection, vector=query.vector, limit=limit
            )
        except Exception:
            _log.exception("the HNSW index of collection %d failed", query.collection)
            self._forget(query.collection)
            return None
        found = exact_scores(reader, query, [doc for (doc,) in rows])
        return dict(sorted(found.items(), key=lambda item: -item[1])[: query.limit])

    def vectors_written(self, collections: Iterable[int]) -> None:
        """Say that vectors were committed; from now until it is fed, exact search answers."""
        with self._lock:
            fresh = set(collections) - self._dirty
            self._dirty |= fresh
        for collection in fresh:
            self._work.put(collection)

    def follow(self, changes: Changes) -> None:
        """Take note of documents and collections that were removed."""
        with self._lock:
            for collection, _ in changes.removed_docs:
                self._removed[collection] = self._removed.get(collection, 0) + 1
        for collection in changes.removed_collections:
            self._forget(collection)
        for collection in {c for c, _ in changes.removed_docs}:
            if self._removed.get(collection, 0) > MAX_REMOVED:
                self._forget(collection)
                self._work.put(collection)

    def close(self) -> None:
        """End the thread; an index build that is under way is interrupted."""
        self._closing.set()
        self._work.put(None)
        if self._thread is not None:
            self._thread.join()

    def _forget(self, collection: int) -> None:
        with self._lock:
            self._ready.discard(collection)
            self._dirty.add(collection)

    def _run(self) -> None:
        while (collection := self._work.get()) is not None and not self._closing.is_set():
            try:
                with self._database.read() as reader:
                    self._refresh(reader, collection)
            except Exception:
                _log.exception("building the HNSW index of collection %d failed", collection)

    def _refresh(self, reader: Reader, collection: int) -> None:
        """Build or feed the index of one collection, or leave it to exact search."""
        with self._lock:
            # Before reading: what is committed after this line marks it dirty again.
            self._dirty.discard(collection)
            ready = collection in self._ready
        if ready:
            reader.rows_of("hnsw_feed", collection)
            return
        reader.rows_of("hnsw_drop", collection)
        if reader.value("count_vectors", collection=collection) < self._threshold:
            return
        reader.rows_of("hnsw_create", collection)
        reader.rows_of("hnsw_index", collection)
        reader.rows_of("hnsw_feed", collection)
        with self._lock:
            self._ready.add(collection)
            self._removed[collection] = 0
