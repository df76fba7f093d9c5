"""Search over an archive or over recall memory: filter, find by word and by meaning, fuse, page.

Keyword search sees what is committed; vector search what is embedded, so a fresh text is found by
its words at once and by its meaning a moment later.
"""

import base64
import binascii
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from memory.errors import InvalidValue
from memory.fusion import Candidate, Ranked, fuse
from memory.limits import MAX_QUERY_CHARS, check_filled
from memory.terms import terms
from memory.transaction import Reader, to_json
from memory.vectors import ExactIndex, Filter, VectorIndex, VectorQuery, exact_scores

MIN_CANDIDATES = 100
"""Per leg; with the best 50 to 100 of each, fusion loses nothing (retrieval measurements)."""
MAX_LIMIT = 100
MAX_OFFSET = 1_000


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked of one collection. since and until are half-open, in UTC (see dates.py)."""

    collection: int
    text: str
    limit: int = 10
    cursor: str | None = None
    tags_any: tuple[str, ...] = ()
    tags_all: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    before_doc: int | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Hits, best first. by_meaning is False when only words were compared."""

    hits: tuple[Ranked, ...]
    next_cursor: str | None
    by_meaning: bool


def search(
    reader: Reader, query: Query, vector: str | None, index: VectorIndex | None = None
) -> Page:
    """Find documents by word and, given the query's vector as text, by meaning.

    Raises:
        InvalidValue: the query is empty, or the cursor or limit is none of ours.
    """
    check_filled(query.text, "query", MAX_QUERY_CHARS)
    if not 1 <= query.limit <= MAX_LIMIT:
        raise InvalidValue(f"limit {query.limit} is outside 1 to {MAX_LIMIT}")
    offset = _read_cursor(query)
    where = _filter(query)
    wanted = max(MIN_CANDIDATES, 2 * (offset + query.limit))
    bm25 = _keyword_leg(reader, query, where, wanted)
    cosine = _vector_leg(
        reader,
        vector and VectorQuery(query.collection, vector, where, wanted),
        index,
        list(bm25),
    )
    ranked = fuse(query.text, _candidates(reader, query.collection, bm25, cosine))
    hits = tuple(ranked[offset : offset + query.limit])
    more = len(ranked) > offset + query.limit and offset + query.limit < MAX_OFFSET
    return Page(
        hits, _write_cursor(query, offset + query.limit) if more else None, vector is not None
    )


def _keyword_leg(reader: Reader, query: Query, where: Filter, limit: int) -> dict[int, float]:
    return dict(
        reader.rows(
            "keyword_leg",
            collection=query.collection,
            terms=" ".join(sorted(set(terms(query.text)))),
            limit=limit,
            **where.parameters(),
        )
    )


def _vector_leg(
    reader: Reader,
    query: VectorQuery | str | None,
    index: VectorIndex | None,
    keyword_docs: Sequence[int],
) -> dict[int, float]:
    """Nearest documents, and the cosines of what the keyword leg found besides."""
    if not isinstance(query, VectorQuery):
        return {}
    found = index.nearest(reader, query) if index else None
    if found is None:
        found = ExactIndex().nearest(reader, query)
    return found | exact_scores(reader, query, [d for d in keyword_docs if d not in found])


def _candidates(
    reader: Reader, collection: int, bm25: dict[int, float], cosine: dict[int, float]
) -> list[Candidate]:
    docs = sorted(bm25.keys() | cosine.keys())
    if not docs:
        return []
    rows = reader.rows("candidate_features", collection=collection, docs=to_json(docs))
    return [
        Candidate(doc, bm25.get(doc, 0.0), cosine.get(doc), session, sequence, author)
        for doc, session, sequence, author in sorted(rows)
    ]


def _filter(query: Query) -> Filter:
    return Filter(
        tags_any=to_json(query.tags_any) if query.tags_any else None,
        tags_all=to_json(query.tags_all) if query.tags_all else None,
        roles=to_json(query.roles) if query.roles else None,
        since=query.since and query.since.replace(tzinfo=None),
        until=query.until and query.until.replace(tzinfo=None),
        before_doc=query.before_doc,
    )


def _write_cursor(query: Query, offset: int) -> str:
    return base64.urlsafe_b64encode(f"{offset}:{_fingerprint(query)}".encode()).decode()


def _read_cursor(query: Query) -> int:
    """The offset in a cursor, which must be of this same query."""
    if query.cursor is None:
        return 0
    try:
        text = base64.urlsafe_b64decode(query.cursor.encode("ascii")).decode("ascii")
        offset, fingerprint = text.split(":")
        if fingerprint == _fingerprint(query) and 0 < int(offset) <= MAX_OFFSET:
            return int(offset)
    except (ValueError, binascii.Error):
        pass
    raise InvalidValue(
        "cursor is not one this search returned; repeat the search without it, and change nothing"
        " else when following next_cursor"
    )


def _fingerprint(query: Query) -> str:
    key = repr(
        (
            query.collection,
            query.text,
            query.tags_any,
            query.tags_all,
            query.roles,
            query.since,
            query.until,
        )
    )
    return hashlib.blake2b(key.encode("utf-8", "backslashreplace"), digest_size=6).hexdigest()
