"""New vectors: which documents wait for theirs, and embedding and storing one batch of them.

A text that the embedder cannot take is skipped, once and for all: it stays findable by keyword, and
only a reindex tries it again. So that it counts as done although documents are done in the order of
`doc`, by the newest vector, it leaves a vector of zeros in NO_COLLECTION, where no search looks.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from memory.embedder import Embedder, Vectors
from memory.records import Origin
from memory.terms import indexed_text
from memory.transaction import Reader, to_json
from memory.vectors import vector_text

if TYPE_CHECKING:
    from memory.database import Database

_log = logging.getLogger(__name__)

BATCH_DOCUMENTS = 128
BATCH_CHARS = 20_000
"""A batch is committed at once; this much is embedded in a second or two."""
STEP_CHARS = 4_000
"""Embedded between two looks at whether to stop: a tenth of a second of English."""

NO_COLLECTION = 0
"""Keys of collections begin at 1."""

_HARMLESS = "hello"

_ORIGIN = Origin(actor="mnemon", reason="embed")


class _Stopped(Exception):
    """Embedding is to stop; nothing of the batch is stored."""


@dataclass(frozen=True, slots=True)
class Pending:
    """A committed document that has no vector yet. `text` is what is embedded."""

    collection: int
    doc: int
    text: str


def read_pending(reader: Reader, after: int) -> list[Pending]:
    """Return the next batch of documents after `after`, in the order of doc."""
    batch: list[Pending] = []
    chars = 0
    for row in reader.rows("texts_to_embed", after=after, limit=BATCH_DOCUMENTS):
        doc, collection, text, author, occurred_at = row
        chars += len(text)
        if batch and chars > BATCH_CHARS:
            break
        batch.append(Pending(collection, doc, indexed_text(text, author, occurred_at)))
    return batch


def store_vectors(
    database: "Database",
    embedder: Embedder,
    batch: Sequence[Pending],
    stopped: Callable[[], bool] = lambda: False,
) -> bool:
    """Embed documents and commit their vectors; a long text gets one for each of its parts.

    Returns:
        False, with nothing stored, when `stopped` said so meanwhile.

    Raises:
        Exception: whatever the embedder raises when it cannot even embed a harmless text.
    """
    try:
        rows = _embed_batch(embedder, batch, stopped)
    except _Stopped:
        return False
    if rows:
        with database.write(_ORIGIN) as transaction:
            # Without what was deleted since it was read.
            transaction.run(
                "insert_vectors", rows=to_json(rows), first=batch[0].doc, last=batch[-1].doc
            )
    return True


def _embed_batch(
    embedder: Embedder, batch: Sequence[Pending], stopped: Callable[[], bool]
) -> list[dict[str, Any]]:
    """The rows of all documents: embedded together, and one by one if that fails."""
    try:
        return _embed(embedder, batch, stopped)
    except _Stopped:
        raise
    except Exception as error:
        # Any library may be behind `embed`, and it may raise anything.
        if len(batch) > 1:
            return [row for one in batch for row in _embed_batch(embedder, [one], stopped)]
        # The text is to blame only if the embedder takes another; this raises if it does not.
        embedder.embed([_HARMLESS], "passage")
        (skipped,) = batch
        _log.error(
            "document %d is found by keyword only; its text cannot be embedded: %s",
            skipped.doc,
            error,
        )
        return [_row(NO_COLLECTION, skipped.doc, np.zeros(embedder.dimensions, np.float32))]


def _embed(
    embedder: Embedder, batch: Sequence[Pending], stopped: Callable[[], bool]
) -> list[dict[str, Any]]:
    """The rows of all parts of the documents, which are embedded a few parts at a time."""
    parts = [(document, part) for document in batch for part in embedder.split(document.text)]
    vectors: list[Vectors] = []
    for pieces in _steps([piece for _, piece in parts]):
        if stopped():
            raise _Stopped
        vectors.append(embedder.embed(pieces, "passage"))
    if not parts:
        return []
    return [
        _row(document.collection, document.doc, vector)
        for (document, _), vector in zip(parts, np.concatenate(vectors), strict=True)
    ]


def _steps(pieces: Sequence[str]) -> Iterator[Sequence[str]]:
    """The pieces in order, as many at a time as STEP_CHARS lets through; one at least."""
    start, chars = 0, 0
    for end, piece in enumerate(pieces):
        if end > start and chars + len(piece) > STEP_CHARS:
            yield pieces[start:end]
            start, chars = end, 0
        chars += len(piece)
    if pieces:
        yield pieces[start:]


def _row(collection: int, doc: int, vector: Vectors) -> dict[str, Any]:
    return {"collection": collection, "doc": doc, "embedding": vector_text(vector)}
