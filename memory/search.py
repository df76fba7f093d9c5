"""Search over an archive or over recall memory: filter, find by word and by meaning, fuse, page.

Keyword search sees what is committed; vector search what is embedded, so a fresh text is found by
its words at once and by its meaning a moment later.
"""

import base64
import binascii
import hashlib
from dataclasses import dataclass, replace
from datetime import datetime

from memory.errors import InvalidValue
from memory.fusion import MIN_COSINE, Candidate, Ranked, fuse
from memory.limits import MAX_QUERY_CHARS, check_filled
from memory.terms import terms
from memory.transaction import Reader, to_json
from memory.vectors import ExactIndex, Filter, VectorIndex, VectorQuery

MIN_CANDIDATES = 100
"""Per leg; with the best 50 to 100 of each, fusion loses nothing (retrieval measurements)."""
MAX_LIMIT = 100
MAX_CANDIDATES = 4 * MAX_LIMIT


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
    """Hits, best first. by_meaning is False when only words were compared.

    pending: how many texts, at most, had no vector yet and so were found by words only.
    cursors: of a page that begins after each of the hits, for who shows fewer of them.
    The pages of a search end after the best candidates, at least MIN_CANDIDATES of each leg.
    """

    hits: tuple[Ranked, ...]
    next_cursor: str | None
    by_meaning: bool
    pending: int = 0
    cursors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Position:
    """Where a page begins, in which ranking: the candidates per leg among the older documents."""

    offset: int
    candidates: int
    before_doc: int


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
    at = _read_cursor(query) if query.cursor else _first_position(reader, query)
    query = replace(query, before_doc=at.before_doc)
    where = _filter(query)
    bm25 = _keyword_leg(reader, query, where, at.candidates)
    cosine: dict[int, float] = {}
    if vector is not None:
        near = VectorQuery(query.collection, vector, where, at.candidates, tuple(bm25))
        found = index.nearest(reader, near) if index else None
        cosine = ExactIndex().nearest(reader, near) if found is None else found
    # What tags or dates have chosen is asked for already: the far ones come last, not never.
    chosen = query.tags_any or query.tags_all or query.since or query.until
    ranked = fuse(
        query.text,
        _candidates(reader, query.collection, bm25, cosine),
        min_cosine=-1.0 if chosen else MIN_COSINE,
    )
    end = at.offset + query.limit
    hits = tuple(ranked[at.offset : end])
    asked = _fingerprint(query)
    cursors = tuple(
        _write_cursor(replace(at, offset=at.offset + shown), asked)
        for shown in range(1, len(hits) + 1)
    )
    next_cursor = cursors[-1] if len(ranked) > end else None
    return Page(hits, next_cursor, vector is not None, cursors=cursors)


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


def _first_position(reader: Reader, query: Query) -> _Position:
    """The beginning of a search over what there is now; later pages see no more."""
    newest = int(reader.value("newest_document_of", collection=query.collection))
    before_doc = newest + 1 if query.before_doc is None else query.before_doc
    return _Position(0, max(MIN_CANDIDATES, 4 * query.limit), before_doc)


def _write_cursor(at: _Position, fingerprint: str) -> str:
    text = f"{at.offset}:{at.candidates}:{at.before_doc}:{fingerprint}"
    return base64.urlsafe_b64encode(text.encode()).decode()


def _read_cursor(query: Query) -> _Position:
    """The position in a cursor, which must be of this same query."""
    try:
        text = base64.urlsafe_b64decode((query.cursor or "").encode("ascii")).decode("ascii")
        *numbers, fingerprint = text.split(":")
        at = _Position(*map(int, numbers))
        known = 0 < at.offset <= 2 * at.candidates and 0 < at.before_doc < 2**63
        if known and at.candidates <= MAX_CANDIDATES and fingerprint == _fingerprint(query):
            return at
    except (ValueError, TypeError, binascii.Error):
        pass
    raise InvalidValue(
        "cursor is not one this search returned; repeat the search without it, and change nothing"
        " else when following next_cursor"
    )


def _fingerprint(query: Query) -> str:
    """What must be the same on every page: all that is asked, but for how many at once."""
    asked = replace(query, limit=0, cursor=None, before_doc=None)
    return hashlib.blake2b(repr(asked).encode("utf-8"), digest_size=6).hexdigest()
