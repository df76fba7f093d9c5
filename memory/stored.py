"""Gathering what a ranking needs from the database, where a collection is not held in memory.

Keyword search sees what is committed, vector search what is embedded.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC

from memory.gathering import ASKS, ONLY_ASKS, REACH, Collection, Gathered, Wanted, ranks
from memory.surroundings import K1, B, Statistics, Text, in_columns, rarity
from memory.terms import terms
from memory.transaction import Reader, Row, to_json
from memory.vectors import ExactIndex, Filter, VectorIndex, VectorQuery, exact_scores, vector_text


class StoredCorpus:
    """A collection in the database, as one reader sees it.

    Args:
        index: proposes the nearest in place of exact search.
    """

    def __init__(
        self, reader: Reader, collection: Collection, index: VectorIndex | None = None
    ) -> None:
        self._reader, self._collection, self._index = reader, collection, index

    def newest(self) -> int:
        """The last document; 0 without any."""
        return int(self._reader.value("newest_document_of", collection=self._collection.key))

    def gather(self, wanted: Wanted) -> Gathered:
        """Find candidates by word and by meaning, with their neighbours, in the order of doc."""
        reader, collection = self._reader, self._collection
        words = sorted(set(terms(wanted.text)))
        statistics = _statistics(reader, collection.key, words, wanted.where)
        by_word = _by_word(reader, collection.key, statistics, wanted)
        near = _vector_query(collection, wanted)
        cosines: dict[int, float] = {}
        if near is not None:
            found = self._index.nearest(reader, near) if self._index else None
            cosines = ExactIndex().nearest(reader, near) if found is None else found
        proposed = ranks(by_word, cosines)
        rows = self._around(proposed, wanted) if proposed else []
        docs = [row[0] for row in rows]
        counts = _counts(reader, collection.key, statistics, docs)
        if near is not None:
            others = [doc for doc in docs if doc not in cosines]
            cosines = {**cosines, **exact_scores(reader, near, others)}
        allowed = _allowed(reader, collection.key, wanted.where, docs)
        texts = []
        for doc, length, thread, sequence, session, author, dated, asks, only_asks in rows:
            keyword_rank, vector_rank = proposed.get(doc, (0, 0))
            texts.append(
                Text(
                    doc=doc,
                    length=length,
                    dated=dated.replace(tzinfo=UTC),
                    counts=counts.get(doc, {}),
                    cosine=cosines.get(doc),
                    author=author,
                    thread=None if sequence is None else thread,
                    sequence=sequence or 0,
                    session=session,
                    asks=asks,
                    only_asks=only_asks,
                    allowed=doc in allowed,
                    keyword_rank=keyword_rank,
                    vector_rank=vector_rank,
                )
            )
        return Gathered(in_columns(texts, statistics, REACH[collection.kind]), statistics)

    def _around(self, proposed: Iterable[int], wanted: Wanted) -> list[Row]:
        """What is known of proposed documents and of those beside them."""
        return self._reader.rows(
            f"{self._collection.kind}_around",
            collection=self._collection.key,
            docs=to_json(sorted(proposed)),
            reach=REACH[self._collection.kind],
            asks=ASKS,
            only_asks=ONLY_ASKS,
            before_doc=wanted.where.before_doc,
        )


def _vector_query(collection: Collection, wanted: Wanted) -> VectorQuery | None:
    if wanted.vector is None:
        return None
    return VectorQuery(collection.key, vector_text(wanted.vector), wanted.where, wanted.limit)


def _statistics(reader: Reader, collection: int, words: Sequence[str], where: Filter) -> Statistics:
    ((count, mean_length),) = reader.rows(
        "collection_lengths", collection=collection, before_doc=where.before_doc
    )
    frequencies = reader.rows(
        "document_frequencies",
        collection=collection,
        terms=" ".join(words),
        before_doc=where.before_doc,
    )
    return Statistics({term: rarity(count, df) for term, df in sorted(frequencies)}, mean_length)


def _by_word(reader: Reader, collection: int, statistics: Statistics, wanted: Wanted) -> list[int]:
    """The best documents by BM25, best first."""
    if not statistics.idf:
        return []
    rows = reader.rows(
        wanted.where.leg("keyword_leg"),
        collection=collection,
        terms=" ".join(statistics.idf),
        idf=to_json(list(statistics.idf.values())),
        mean_length=statistics.mean_length,
        k1=K1,
        b=B,
        limit=wanted.limit,
        **wanted.where.for_leg(),
    )
    return [doc for doc, _ in rows]


def _counts(
    reader: Reader, collection: int, statistics: Statistics, docs: Sequence[int]
) -> dict[int, dict[str, int]]:
    """How often each document holds each term that any document of the collection holds."""
    counts: dict[int, dict[str, int]] = {}
    if statistics.idf:
        words = " ".join(statistics.idf)
        for doc, term, count in reader.rows(
            "term_counts", collection=collection, terms=words, docs=to_json(docs)
        ):
            counts.setdefault(doc, {})[term] = count
    return counts


def _allowed(reader: Reader, collection: int, where: Filter, docs: Sequence[int]) -> set[int]:
    """The documents that may be hits; the others only stand beside them."""
    if where.is_open:
        return set(docs)
    rows = reader.rows(
        "allowed_among", collection=collection, docs=to_json(docs), **where.parameters()
    )
    return {doc for (doc,) in rows}
