"""Reading what a ranking needs: the best of both searches, and what stands around them.

The only part of the ranking that touches the database; what is made of it is pure (surroundings.py,
fusion.py). Keyword search sees what is committed, vector search what is embedded.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Literal

from memory.surroundings import K1, B, Place, Statistics, Text, Trace, rarity
from memory.terms import terms
from memory.transaction import Reader, to_json
from memory.vectors import ExactIndex, Filter, VectorIndex, VectorQuery, exact_scores

_ASKS = re.compile(r"[?？؟][\s\"'”’»)\]*_]*\Z")  # noqa: RUF001 - a question mark, full width

_REACH = {"passages": 2, "messages": 4}
"""Numbers to a neighbour, as the queries passages_around and messages_around have them."""


@dataclass(frozen=True, slots=True)
class Collection:
    """What is searched together: the passages of an archive or the messages of an agent."""

    key: int
    kind: Literal["passages", "messages"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked of a collection.

    vector: the query's, as text for the database; None: words only. limit: candidates per search.
    """

    text: str
    vector: str | None
    where: Filter
    limit: int


@dataclass(frozen=True, slots=True)
class Gathered:
    """The texts that may be hits or stand beside one, and what BM25 knows of their collection."""

    texts: tuple[Text, ...]
    statistics: Statistics


def gather(
    reader: Reader, collection: Collection, wanted: Wanted, index: VectorIndex | None = None
) -> Gathered:
    """Find candidates by word and by meaning, with their neighbours."""
    words = sorted(set(terms(wanted.text)))
    statistics = _statistics(reader, collection.key, words, wanted.where)
    by_word = _by_word(reader, collection.key, statistics, wanted)
    cosines: dict[int, float] = {}
    if wanted.vector is not None:
        near = VectorQuery(collection.key, wanted.vector, wanted.where, wanted.limit)
        found = index.nearest(reader, near) if index else None
        cosines = ExactIndex().nearest(reader, near) if found is None else found
    traces = _traces(by_word, cosines)
    if not traces:
        return Gathered((), statistics)
    rows = sorted(
        reader.rows(
            f"{collection.kind}_around",
            collection=collection.key,
            docs=to_json(sorted(traces)),
            before_doc=wanted.where.before_doc,
        )
    )
    docs = [row[0] for row in rows]
    counts = _counts(reader, collection.key, statistics, docs)
    if wanted.vector is not None:
        others = [doc for doc in docs if doc not in cosines]
        cosines = {**cosines, **exact_scores(reader, near, others)}
    allowed = _allowed(reader, collection.key, wanted.where, docs)
    reach = _REACH[collection.kind]
    texts = []
    for doc, length, thread, sequence, session, author, dated, ending in rows:
        placed = thread is not None and sequence is not None
        texts.append(
            Text(
                doc=doc,
                length=length,
                dated=dated.replace(tzinfo=UTC),
                counts=counts.get(doc, {}),
                cosine=cosines.get(doc),
                author=author,
                place=Place((collection.key, thread), sequence, reach) if placed else None,
                session=None if session is None else (collection.key, session),
                asks=_ASKS.search(ending) is not None,
                allowed=doc in allowed,
                trace=traces.get(doc, Trace()),
            )
        )
    return Gathered(tuple(texts), statistics)


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


def _traces(by_word: Sequence[int], cosines: dict[int, float]) -> dict[int, Trace]:
    """The ranks of everything that a search proposed."""
    keyword = {doc: rank for rank, doc in enumerate(by_word, start=1)}
    nearest = sorted(cosines, key=lambda doc: (-cosines[doc], doc))
    vector = {doc: rank for rank, doc in enumerate(nearest, start=1)}
    return {doc: Trace(keyword.get(doc), vector.get(doc)) for doc in keyword.keys() | vector.keys()}


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
