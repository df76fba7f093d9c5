"""Embedding everything again, for another embedder.

Interrupted at any point it can be repeated, and then goes on: the old vectors go first, all at
once, so what has a vector is done. Until the end, search by meaning finds what is done, search by
keyword everything.
"""

from collections.abc import Callable

from memory.database import Database
from memory.embedder import Embedder
from memory.embedding import claim_vectors, embedder_identity
from memory.errors import EmbedderMismatch
from memory.new_vectors import read_pending, store_vectors
from memory.records import Origin

_ORIGIN = Origin(actor="mnemon", reason="reindex")


def reindex(
    database: Database,
    embedder: Embedder,
    report: Callable[[int, int], None],
    force: bool = False,
) -> int:
    """Give every document vectors of this embedder, and return how many were embedded.

    Args:
        database: open, and used by nobody else meanwhile.
        embedder: the one that is to own the vectors.
        report: called with (done, total) before the first batch and after each.
        force: begin anew although the vectors are this embedder's already.
    """
    try:
        claim_vectors(database, embedder)
    except EmbedderMismatch:
        force = True
    if force:
        database.replace_vectors(_ORIGIN, embedder.dimensions, embedder_identity(embedder))
    with database.read() as reader:
        total = int(reader.value("count_pending"))
        last = int(reader.value("newest_embedded"))
    done = 0
    report(done, total)
    while True:
        with database.read() as reader:
            batch = read_pending(reader, last)
        if not batch:
            return done
        store_vectors(database, embedder, batch)
        done, last = done + len(batch), batch[-1].doc
        report(done, total)
