"""Search over an archive, over recall memory or over both: find, rank, page.

Candidates are gathered by a corpus (gathering.py), scored in surroundings.py, fused in fusion.py
and, where there is a reranker, ordered anew in reranking.py. Here are the page and its cursor; what
is asked and what comes back are in search_pages.py.
"""

import base64
import binascii
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from memory.calendar_days import NamedDate
from memory.dates import local_day
from memory.errors import InvalidValue
from memory.event_dates import LOOKED_AT, Event, events_of, meant_days
from memory.fusion import MIN_COSINE, WEIGHTS, Asked, Ranked, fuse
from memory.gathering import Corpus, Wanted
from memory.limits import MAX_QUERY_CHARS, check_filled
from memory.named_dates import named_dates
from memory.reranking import Reranker, rerank
from memory.search_pages import MeantDays, Page, Query
from memory.surroundings import Scored, in_context
from memory.transaction import Reader, to_json
from memory.vectors import Filter

if TYPE_CHECKING:  # numpy is heavy and this module is not
    from memory.embedder import Vectors

MIN_CANDIDATES = 100
"""Of each search; with 50 already the ranking loses nothing to one of everything (decision 19)."""
MAX_LIMIT = 100
MAX_CANDIDATES = 2 * MAX_LIMIT
MAX_RANKED = 18
"""Times the candidates of one search: there are two, and each may bring eight neighbours."""


@dataclass(frozen=True, slots=True)
class Means:
    """What a search works with. vector: the query's, of shape (d,); None: words only.

    reranker: orders the best hits anew. embed: makes a vector of another query, as `vector` is.
    """

    vector: "Vectors | None" = None
    reranker: Reranker | None = None
    embed: "Callable[[str], Vectors | None]" = lambda _: None


@dataclass(frozen=True, slots=True)
class _Position:
    """Where a page begins, in which ranking: the candidates per leg among the older documents.

    today: the day on which the first page was asked for, as an ordinal.
    """

    offset: int
    candidates: int
    before_doc: int
    today: int


def search(reader: Reader, query: Query, corpora: Sequence[Corpus], means: Means) -> Page:
    """Find documents of all the corpora, in one ranking.

    Raises:
        InvalidValue: the query is empty, or the cursor or limit is none of ours.
    """
    check_filled(query.text, "query", MAX_QUERY_CHARS)
    if not 1 <= query.limit <= MAX_LIMIT:
        raise InvalidValue(f"limit {query.limit} is outside 1 to {MAX_LIMIT}")
    at = _read_cursor(query) if query.cursor else _first_position(query, corpora)
    query = replace(query, before_doc=at.before_doc)
    wanted = Wanted(query.text, means.vector, _filter(query), at.candidates)

    def find(event: str) -> Sequence[Event]:
        vector = None if means.vector is None else means.embed(event)
        return _events(reader, query, corpora, replace(wanted, text=event, vector=vector))

    today = date.fromordinal(at.today)
    meant = meant_days(query.text, today, find)
    # What tags or dates have chosen is asked for already: the far ones come last, not never.
    chosen = query.tags_any or query.tags_all or query.since or query.until
    least = -1.0 if chosen else MIN_COSINE
    asked = asked_on(query, today, meant)
    ranked: Sequence[Ranked] = fuse(asked, _scored(corpora, wanted), min_cosine=least)
    if means.reranker is not None:
        ranked = rerank(reader, query.text, ranked, means.reranker)
    page = _page(query, at, ranked, by_meaning=means.vector is not None)
    return replace(page, meant=meant)


def _scored(corpora: Sequence[Corpus], wanted: Wanted) -> list[Scored]:
    """What each corpus proposes, compared in context."""
    found = [corpus.gather(wanted) for corpus in corpora]
    return [in_context(one.texts, one.statistics, WEIGHTS.context) for one in found]


def _events(
    reader: Reader, query: Query, corpora: Sequence[Corpus], wanted: Wanted
) -> Sequence[Event]:
    """What the query counts from: searched for in the same texts, under the same filters."""
    scored = _scored(corpora, wanted)
    hits = fuse(Asked(wanted.text), scored)[:LOOKED_AT]
    texts: dict[int, str] = dict(
        reader.rows("texts_by_doc", docs=to_json([hit.doc for hit in hits]))
    )
    dated = {
        doc: moment
        for one in scored
        for doc, moment in zip(one.texts.doc.tolist(), one.texts.dated.tolist(), strict=True)
    }
    return events_of(hits, texts, dated, ZoneInfo(query.timezone))


def _page(query: Query, at: _Position, ranked: Sequence[Ranked], by_meaning: bool) -> Page:
    end = at.offset + query.limit
    hits = tuple(ranked[at.offset : end])
    fingerprint = _fingerprint(query)
    cursors = tuple(
        _write_cursor(replace(at, offset=at.offset + shown), fingerprint)
        for shown in range(1, len(hits) + 1)
    )
    next_cursor = cursors[-1] if len(ranked) > end else None
    return Page(hits, next_cursor, by_meaning, cursors=cursors)


def asked_on(query: Query, today: date, meant: MeantDays | None = None) -> Asked:
    """The query with the dates that it names, seen from a day.

    Args:
        meant: those that it counts from something else. If that is a date, texts of that day are
            preferred, too: people tell then what was two weeks before.
    """
    text, counted = query.text, tuple[NamedDate, ...]()
    if meant is not None:
        text = text.replace(meant.written, " " if meant.events else meant.anchor)
        counted = meant.days
    named = named_dates(text, today)
    if meant is not None and not meant.events:
        named, counted = named + counted, ()
    zone = ZoneInfo(query.timezone)
    return Asked(query.text, _within(named, zone), _within(counted, zone))


def _within(dates: Sequence[NamedDate], zone: ZoneInfo) -> Callable[[datetime], bool] | None:
    """Whether a moment is of one of the dates there; None without any."""
    if not dates:
        return None

    def within(moment: datetime) -> bool:
        day = local_day(moment, zone)
        return any(date.holds(day) for date in dates)

    return within


def _filter(query: Query) -> Filter:
    return Filter(
        tags_any=to_json(query.tags_any) if query.tags_any else None,
        tags_all=to_json(query.tags_all) if query.tags_all else None,
        roles=to_json(query.roles) if query.roles else None,
        since=query.since and query.since.replace(tzinfo=None),
        until=query.until and query.until.replace(tzinfo=None),
        before_doc=query.before_doc,
    )


def _first_position(query: Query, corpora: Sequence[Corpus]) -> _Position:
    """The beginning of a search over what there is now; later pages see no more."""
    newest = max(corpus.newest() for corpus in corpora)
    before_doc = newest + 1 if query.before_doc is None else query.before_doc
    today = local_day(datetime.now(UTC), ZoneInfo(query.timezone))
    return _Position(0, max(MIN_CANDIDATES, 2 * query.limit), before_doc, today.toordinal())


def _write_cursor(at: _Position, fingerprint: str) -> str:
    text = f"{at.offset}:{at.candidates}:{at.before_doc}:{at.today}:{fingerprint}"
    return base64.urlsafe_b64encode(text.encode()).decode()


def _read_cursor(query: Query) -> _Position:
    """The position in a cursor, which must be of this same query."""
    try:
        text = base64.urlsafe_b64decode((query.cursor or "").encode("ascii")).decode("ascii")
        *numbers, fingerprint = text.split(":")
        at = _Position(*map(int, numbers))
        known = 0 < at.offset <= MAX_RANKED * at.candidates and 0 < at.before_doc < 2**63
        date.fromordinal(at.today)
        if known and at.candidates <= MAX_CANDIDATES and fingerprint == _fingerprint(query):
            return at
    except (ValueError, TypeError, OverflowError, binascii.Error):
        pass
    raise InvalidValue(
        "cursor is not one this search returned; repeat the search without it, and change nothing"
        " else when following next_cursor"
    )


def _fingerprint(query: Query) -> str:
    """What must be the same on every page: all that is asked, but for how many at once."""
    asked = replace(query, limit=0, cursor=None, before_doc=None)
    return hashlib.blake2b(repr(asked).encode("utf-8"), digest_size=6).hexdigest()
