"""Which collections are in memory: those searched last, as many as the bound lets in.

A small collection is read when it is first searched, a large one in the background, and the
database answers until it is there. What is committed afterwards is read on before the next search.
A collection that the bound can never hold, and one in doubt, is left to the database.
"""

import logging
import queue
import threading
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import duckdb

from memory.errors import DatabaseError
from memory.gathering import Collection
from memory.resident.collection import ResidentCollection
from memory.transaction import Changes

if TYPE_CHECKING:
    from memory.database import Database

_log = logging.getLogger(__name__)

AT_ONCE = 20_000
"""Documents that a search reads itself: 0.3 s; without them it takes as long by the database."""

WORDS_FIRST = 200_000
"""Documents of a collection from which searches are by words until it is read: to compare the
vectors of a million takes the database 3 s, and twice as long while they are read."""

BYTES_PER_DOCUMENT = 1_000
"""Of a short text: 776 for its vector, some 100 for its words, 60 for the rest."""

MANY_GONE = 1_000
MAX_GONE = 0.2
"""As many deleted documents, and such a share of all, and a collection is read anew."""


@dataclass(slots=True)
class _Reading:
    """What happened to a collection while it was being read. void: all of it was removed.

    documents: how many there are to read.
    """

    documents: int
    removed: list[int] = field(default_factory=list)
    void: bool = False


class ResidentCollections:
    """Collections in memory, at most `limit_bytes` of them. close() ends its thread.

    Args:
        limit_bytes: 0: none is held, and every search asks the database.
    """

    def __init__(self, database: "Database", limit_bytes: int) -> None:
        self._database, self._limit = database, limit_bytes
        self._held: OrderedDict[int, ResidentCollection] = OrderedDict()
        self._reading: dict[int, _Reading] = {}
        self._too_large: set[int] = set()
        # Counts what was committed to each collection, and what of it is read.
        self._changes: dict[int, int] = {}
        self._read: dict[int, int] = {}
        self._lock = threading.Lock()
        self._later: list[Collection] = []
        self._work: queue.SimpleQueue[Collection | threading.Event | None] = queue.SimpleQueue()
        self._closing = False
        self._thread: threading.Thread | None = None

    @property
    def nbytes(self) -> int:
        """The memory that is taken."""
        with self._lock:
            return sum(held.nbytes for held in self._held.values())

    @property
    def collections(self) -> frozenset[int]:
        """The keys of the collections in memory."""
        with self._lock:
            return frozenset(self._held)

    def get(self, collection: Collection) -> ResidentCollection | None:
        """Return a collection with all that is committed by now; None: ask the database."""
        key = collection.key
        with self._lock:
            if not self._limit or self._closing or key in self._reading or key in self._too_large:
                return None
            held = self._held.get(key)
            if held is not None:
                self._held.move_to_end(key)
        try:
            if held is not None:
                return self._read_on(key, held)
            with self._database.scratch() as scratch:
                count = int(scratch.value("count_documents", collection=key))
            if count * BYTES_PER_DOCUMENT > self._limit:
                return None
            if count <= AT_ONCE:
                return self._take_in(collection, self._begin(key, count))
            self._begin(key, count)
            with self._lock:
                self._later.append(collection)
        except (duckdb.Error, DatabaseError):
            _log.exception("collection %d could not be read into memory", key)
            self._forget(key)
        return None

    def read_later(self) -> None:
        """Begin to read what searches found too large to wait for; once they are answered.

        Reading takes a core and the interpreter's lock, and the first answer half as long without.
        """
        with self._lock:
            waiting, self._later = self._later, []
            for collection in waiting:
                self._work.put(collection)

    def keeps_waiting(self, key: int) -> bool:
        """Whether a collection is being read that the database would compare for seconds."""
        with self._lock:
            return key in self._reading and self._reading[key].documents > WORDS_FIRST

    def settle(self) -> None:
        """Wait until everything that is read in the background by now is there."""
        done = threading.Event()
        with self._lock:
            if self._thread is None or self._closing:
                return
            self._work.put(done)
        done.wait()

    def changed(self, collections: Iterable[int]) -> None:
        """Say that documents or vectors were committed."""
        with self._lock:
            for collection in collections:
                self._changes[collection] = self._changes.get(collection, 0) + 1

    def follow(self, changes: Changes) -> None:
        """Take note of what a transaction wrote and removed, once it is committed."""
        self.changed((*changes.newest_docs, *changes.copied_vectors))
        for key in changes.removed_collections:
            self._forget(key)
        for key, doc in changes.removed_docs:
            with self._lock:
                held, reading = self._held.get(key), self._reading.get(key)
                if reading is not None:
                    reading.removed.append(doc)
            if held is not None:
                held.remove(doc)
                if held.gone > max(MANY_GONE, MAX_GONE * len(held)):
                    self._forget(key)

    def close(self) -> None:
        """End the thread, after what it is reading."""
        with self._lock:
            self._closing = True
            self._work.put(None)
        if self._thread is not None:
            self._thread.join()

    def _begin(self, key: int, documents: int) -> _Reading:
        """Note that a collection is being read, before the reader is made that reads it.

        What is deleted later may still be in what that reader sees.
        """
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="mnemon-resident")
                self._thread.start()
            return self._reading.setdefault(key, _Reading(documents))

    def _read_on(self, key: int, held: ResidentCollection) -> ResidentCollection:
        """Bring a collection up to date."""
        with self._lock:
            changes = self._changes.get(key, 0)
            if self._read.get(key) == changes:
                return held
        with self._database.read() as reader:
            held.read_on(reader)
        with self._lock:
            self._read[key] = changes
        self._make_room()
        return held

    def _take_in(self, collection: Collection, reading: _Reading) -> ResidentCollection | None:
        """Read a whole collection."""
        key = collection.key
        held = ResidentCollection(self._database, collection)
        with self._lock:
            changes = self._changes.get(key, 0)
        try:
            with self._database.read() as reader:
                held.read_on(reader)
        finally:
            with self._lock:
                self._reading.pop(key, None)
                for doc in reading.removed:
                    held.remove(doc)
                if not reading.void:
                    self._held[key], self._read[key] = held, changes
        self._make_room()
        return None if reading.void else held

    def _make_room(self) -> None:
        """Let go of the collections whose last search is longest ago."""
        with self._lock:
            taken = sum(held.nbytes for held in self._held.values())
            while taken > self._limit:
                key, gone = self._held.popitem(last=False)
                taken -= gone.nbytes
                if not self._held:
                    self._too_large.add(key)

    def _forget(self, key: int) -> None:
        with self._lock:
            self._held.pop(key, None)
            self._too_large.discard(key)
            if key in self._reading:
                self._reading[key].void = True

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            if isinstance(work, threading.Event):
                work.set()
                continue
            try:
                with self._lock:
                    reading = self._reading[work.key]
                self._take_in(work, reading)
            except (duckdb.Error, DatabaseError):
                _log.exception("collection %d could not be read into memory", work.key)
