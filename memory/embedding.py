"""Embedding in the background: loading the embedder, and giving every document its vectors.

Texts are committed first and embedded after; what a crash leaves without vectors is found again at
the next start. Vectors of two embedders are never mixed: the first one's identity is stored.
"""

import json
import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from memory.embedder import Embedder
from memory.errors import EmbedderMismatch, MemoryStoreError
from memory.records import Origin
from memory.terms import indexed_text
from memory.transaction import Pending, Reader, to_json
from memory.vectors import vector_text

if TYPE_CHECKING:
    from memory.database import Database

_log = logging.getLogger(__name__)

BATCH_DOCUMENTS = 32
BACKLOG_PAGE = 512
MAX_QUEUED = 10_000
"""Texts kept in memory; beyond it they are read back from the database when their turn comes."""

_ORIGIN = Origin(actor="mnemon", reason="embed")


class EmbeddingQueue:
    """Embeds committed documents on a thread of its own.

    Args:
        database: where the vectors go.
        load: makes the embedder; called once, on the thread; None: search by keyword only.
        written: told which collections got vectors, after each commit.
    """

    def __init__(
        self,
        database: "Database",
        load: Callable[[], Embedder] | None,
        written: Callable[[set[int]], None],
    ) -> None:
        self._database, self._load, self._written = database, load, written
        self._queue: deque[Pending] = deque()
        self._waiting: dict[int, int] = {}
        self._backlog, self._backlog_after = True, 0
        self._changed = threading.Condition()
        self._closing = False
        self._loaded = threading.Event()
        self.embedder: Embedder | None = None
        self.problem: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="mnemon-embedding")
        self._thread.start()

    def add(self, documents: Sequence[Pending]) -> None:
        """Queue committed documents."""
        if self._load is None or not documents:
            return
        with self._changed:
            if len(self._queue) + len(documents) > MAX_QUEUED:
                self._backlog = True
                self._backlog_after = min(self._backlog_after, documents[0].doc - 1)
            else:
                self._enqueue(documents)
            self._changed.notify_all()

    def query_vector(self, text: str, timeout_s: float) -> str | None:
        """Embed a query, as text for the database; None while there is no embedder.

        Raises:
            EmbedderMismatch: the stored vectors are another embedder's.
        """
        self._loaded.wait(timeout_s)
        if isinstance(self.problem, EmbedderMismatch):
            raise self.problem
        if self.embedder is None:
            return None
        return vector_text(self.embedder.embed([text], "query")[0])

    def settle(self, collections: Sequence[int] | None, timeout_s: float) -> bool:
        """Wait until the documents committed so far have vectors; False when time ran out.

        Args:
            collections: only these; None: all, with what earlier runs left behind.
        """

        def settled() -> bool:
            if self._closing or self.problem is not None or self._load is None:
                return True
            if collections is None:
                return not (self._backlog or self._waiting)
            # The backlog is anybody's until it is read: right after a start it may be the asker's.
            waiting = any(collection in self._waiting for collection in collections)
            return not (self._backlog or waiting)

        with self._changed:
            return self._changed.wait_for(settled, timeout_s)

    def close(self) -> None:
        """End the thread after the batch in hand; the rest is found at the next start."""
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
        except MemoryStoreError as error:
            self.problem = error
        except Exception as error:
            _log.warning("the embedder cannot be loaded: %s", error)
            self.problem = error
        finally:
            self._loaded.set()
            with self._changed:
                self._changed.notify_all()
        if self.embedder is None:
            return
        while self._work(self.embedder):
            pass

    def _work(self, embedder: Embedder) -> bool:
        """Embed one batch, or wait for one; False when closing."""
        with self._changed:
            self._changed.wait_for(lambda: self._closing or self._queue or self._backlog)
            if self._closing:
                return False
            batch = [self._queue.popleft() for _ in range(min(BATCH_DOCUMENTS, len(self._queue)))]
        try:
            if batch:
                self._store(embedder, batch)
            else:
                self._read_backlog()
        except MemoryStoreError as error:
            # A full disk, say: the documents keep their place for the next start.
            _log.error("vectors could not be stored: %s", error)
            self.problem = error
            return False
        finally:
            with self._changed:
                self._count_down(batch)
                self._changed.notify_all()
        return True

    def _read_backlog(self) -> None:
        """Queue a page of the documents that earlier runs left without vectors."""
        with self._database.read() as reader:
            pending = read_pending(reader, self._backlog_after, BACKLOG_PAGE)
        with self._changed:
            queued = {document.doc for document in self._queue}
            self._enqueue([document for document in pending if document.doc not in queued])
            self._backlog = bool(pending)
            if pending:
                self._backlog_after = pending[-1].doc

    def _enqueue(self, documents: Sequence[Pending]) -> None:
        self._queue.extend(documents)
        for document in documents:
            count = self._waiting.get(document.collection, 0)
            self._waiting[document.collection] = count + 1

    def _store(self, embedder: Embedder, batch: Sequence[Pending]) -> None:
        store_vectors(self._database, embedder, batch)
        self._written({document.collection for document in batch})

    def _count_down(self, batch: Sequence[Pending]) -> None:
        for document in batch:
            self._waiting[document.collection] -= 1
            if not self._waiting[document.collection]:
                del self._waiting[document.collection]


def stored_embedder(reader: Reader) -> str | None:
    """Return the name of the embedder that owns the vectors, or None for a new file."""
    stored = reader.value("read_meta", name="embedder")
    return None if stored is None else str(json.loads(stored)["name"])


def claim_vectors(database: "Database", embedder: Embedder) -> None:
    """Make sure that the stored vectors are this embedder's; a new file becomes its own.

    Raises:
        EmbedderMismatch: another embedder made them; nothing was changed.
    """
    identity = to_json({"name": embedder.name, "dimensions": embedder.dimensions})
    with database.write(_ORIGIN) as transaction:
        stored = transaction.value("read_meta", name="embedder")
        if stored is not None and stored != identity:
            raise EmbedderMismatch(json.loads(stored)["name"], embedder.name)
        if stored is None:
            transaction.run("insert_meta", name="embedder", value=identity)
            # No vectors yet: the table may get this embedder's width.
            transaction.run("drop_vectors")
    database.use_dimensions(embedder.dimensions)


def read_pending(reader: Reader, after: int, limit: int) -> list[Pending]:
    """Return documents without vectors in the order of doc, with the text to embed."""
    docs = [doc for doc, _ in reader.rows("pending_documents", after=after, limit=limit)]
    rows = reader.rows("texts_to_embed", docs=to_json(docs))
    return [
        Pending(collection, doc, indexed_text(text, author, occurred_at))
        for doc, collection, text, author, occurred_at in rows
    ]


def store_vectors(database: "Database", embedder: Embedder, batch: Sequence[Pending]) -> None:
    """Embed documents and commit their vectors; a long text gets one for each of its parts."""
    parts = [(document, piece) for document in batch for piece in embedder.split(document.text)]
    vectors = embedder.embed([piece for _, piece in parts], "passage")
    rows = [
        {
            "collection": document.collection,
            "doc": document.doc,
            "embedding": vector_text(vector),
        }
        for (document, _), vector in zip(parts, vectors, strict=True)
    ]
    with database.write(_ORIGIN) as transaction:
        transaction.run("insert_vectors", rows=to_json(rows))
