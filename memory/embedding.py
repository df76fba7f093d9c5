"""Embedding in the background: loading the embedder, and giving every document its vectors.

Texts are committed first and embedded after, strictly in the order of `doc`. So what waits is what
is newer than the newest vector: nothing has to be remembered about it, and a crash leaves nothing
behind. Vectors of two embedders are never mixed: the first one's identity is stored. One batch, and
what becomes of a text that an embedder cannot take: new_vectors.py.
"""

import json
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from memory.embedder import Embedder, Vectors
from memory.errors import EmbedderMismatch, MemoryStoreError
from memory.new_vectors import BATCH_DOCUMENTS, read_pending, store_vectors
from memory.records import Origin
from memory.transaction import to_json

if TYPE_CHECKING:
    from memory.database import Database

_log = logging.getLogger(__name__)

LINGER_S = 0.05
"""How long a few documents wait for more: so a turn's steps are embedded together, after it."""

_ORIGIN = Origin(actor="mnemon", reason="embed")


class EmbeddingQueue:
    """Embeds committed documents on a thread of its own.

    Args:
        database: where the documents are and the vectors go.
        load: makes the embedder; called once, on the thread; None: search by keyword only.
        written: told which collections got vectors, after each commit.

    `problem` is why there are no (new) vectors: the embedder cannot be loaded or is not the one
    that made the stored vectors, or the last batch failed; the next documents bring another try.
    """

    def __init__(
        self,
        database: "Database",
        load: Callable[[], Embedder] | None,
        written: Callable[[set[int]], None],
    ) -> None:
        self._database, self._load, self._written = database, load, written
        with database.read() as reader:
            self._done = int(reader.value("newest_embedded"))
            self._known = int(reader.value("newest_document"))
        self._failed_at = 0
        # What an earlier run left may be of any collection.
        self._at_start = self._known
        self._newest: dict[int, int] = {}
        self._awaited = 0
        self._changed = threading.Condition()
        self._closing = False
        self._loaded = threading.Event()
        self.embedder: Embedder | None = None
        self.problem: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="mnemon-embedding")
        self._thread.start()

    def add(self, newest_docs: Mapping[int, int], embedded: int = 0) -> None:
        """Say which document of each collection was committed last.

        Args:
            embedded: up to this document all have vectors, because copies came with theirs.
        """
        with self._changed:
            self._done = max(embedded, self._done)
            for collection, doc in newest_docs.items():
                self._newest[collection] = max(doc, self._newest.get(collection, 0))
                self._known = max(doc, self._known)
            self._changed.notify_all()

    @property
    def behind(self) -> int:
        """How many documents wait, at most."""
        with self._changed:
            return self._known - self._done

    @property
    def obstacle(self) -> str:
        """Why documents that wait get no vectors now; empty: they will."""
        if self._load is None:
            return "there is no embedder"
        return "" if self.problem is None else str(self.problem)

    def query_vector(self, text: str, timeout_s: float) -> Vectors | None:
        """Embed a query, as a vector of shape (d,); None while there is no embedder.

        Raises:
            EmbedderMismatch: the stored vectors are another embedder's.
        """
        if self._load is None:
            return None
        self._loaded.wait(timeout_s)
        if isinstance(self.problem, EmbedderMismatch):
            raise self.problem
        if self.embedder is None:
            return None
        vector: Vectors = self.embedder.embed([text], "query")[0]
        return vector

    def settle(self, collections: Sequence[int] | None, timeout_s: float) -> bool:
        """Wait until the documents committed so far have vectors; False when time ran out.

        Returns at once, and True, when they will get none: no embedder, a problem, closing.

        Args:
            collections: only these; None: all, with what earlier runs left behind.
        """
        with self._changed:
            newest = [self._newest.get(c, self._at_start) for c in collections or ()]
            until = self._known if collections is None else max(newest, default=0)
            self._awaited += 1
            self._changed.notify_all()
            try:
                return self._changed.wait_for(
                    lambda: (
                        self._done >= until
                        or self._closing
                        or self.problem is not None
                        or self._load is None
                    ),
                    timeout_s,
                )
            finally:
                self._awaited -= 1

    def close(self) -> None:
        """End the thread within a step of its work; the rest is done after the next start."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        try:
            if self._load is not None:
                embedder = self._load()
                claim_vectors(self._database, embedder)
                self.embedder = embedder
        except Exception as error:
            # Any library may be behind `load`; without vectors there is still keyword search.
            _log.warning("no embedder, search is by keyword only: %s", error)
            self.problem = error
        finally:
            self._loaded.set()
            with self._changed:
                self._changed.notify_all()
        while self.embedder is not None and self._wait_for_work():
            self._embed_batch(self.embedder)

    def _wait_for_work(self) -> bool:
        """Wait for documents to embed; False when closing."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._closing or self._known > max(self._done, self._failed_at)
            )
            self._changed.wait_for(
                lambda: (
                    self._closing
                    or self._awaited > 0
                    or self._known - self._done >= BATCH_DOCUMENTS
                ),
                LINGER_S,
            )
            return not self._closing

    def _embed_batch(self, embedder: Embedder) -> None:
        """Give the oldest documents that wait their vectors."""
        with self._changed:
            until = self._known
        problem: Exception | None = None
        done = self._done
        try:
            with self._database.read() as reader:
                batch = read_pending(reader, self._done)
            if store_vectors(self._database, embedder, batch, lambda: self._closing):
                done = batch[-1].doc if batch else until
                self._written({document.collection for document in batch})
        except MemoryStoreError as error:  # a full disk, say
            _log.error("vectors could not be stored: %s", error)
            problem = error
        except Exception as error:
            _log.exception("the embedder failed")
            problem = error
        with self._changed:
            # Copies that came with their vectors may have moved it on meanwhile.
            self._done, self.problem = max(done, self._done), problem
            self._failed_at = until if problem else 0
            self._changed.notify_all()


def claim_vectors(database: "Database", embedder: Embedder) -> None:
    """Make sure that the stored vectors are this embedder's; a new file becomes its own.

    Raises:
        EmbedderMismatch: another embedder made them; nothing was changed.
    """
    identity = embedder_identity(embedder)
    with database.lock:
        with database.read() as reader:
            stored = reader.value("read_meta", name="embedder")
        if stored is None:
            # No vectors yet: their table may get this embedder's width.
            database.replace_vectors(_ORIGIN, embedder.dimensions, identity)
        elif stored != identity:
            raise EmbedderMismatch(json.loads(stored)["name"], embedder.name)


def embedder_identity(embedder: Embedder) -> str:
    """What is stored with the vectors: whose they are."""
    return to_json({"name": embedder.name, "dimensions": embedder.dimensions})
