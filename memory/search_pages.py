"""What is asked of a search and what comes back: records, without what it takes to search.

search.py does it, and imports numpy; hosts list their tools before that is needed.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from memory.records import Message, Passage

if TYPE_CHECKING:
    from memory.calendar_days import Days
    from memory.fusion import Ranked


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked. since and until are half-open, in UTC (see dates.py).

    collection: the key of the archive or agent whose passages or messages are searched. recall: of
    the agent whose messages are searched besides, in one ranking. timezone: in which "yesterday"
    and "on 7 May" are meant.
    """

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
    timezone: str = "UTC"
    recall: int | None = None


@dataclass(frozen=True, slots=True)
class MeantDays:
    """The days that "two weeks before the wedding" was taken for.

    written, anchor: all of it, and "the wedding". events: the texts that tell of it, one for each
    of the days; none where the anchor is a date.
    """

    written: str
    anchor: str
    days: "tuple[Days, ...]"
    events: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """Hits, best first. by_meaning is False when only words were compared.

    pending: how many texts, at most, had no vector yet and so were found by words only.
    cursors: of a page that begins after each of the hits, for who shows fewer of them.
    meant: how a date was read that the query counts from something else; None: it has none, or what
    it counts from was not found.
    The pages of a search end after the best candidates, at least MIN_CANDIDATES of each leg.
    """

    hits: "tuple[Ranked, ...]"
    next_cursor: str | None
    by_meaning: bool
    pending: int = 0
    cursors: tuple[str, ...] = ()
    meant: MeantDays | None = None


@dataclass(frozen=True, slots=True)
class PassageHit:
    """A passage found, and why (see fusion.Ranked)."""

    passage: Passage
    why: "Ranked"


@dataclass(frozen=True, slots=True)
class MessageHit:
    """A message found, and why."""

    message: Message
    why: "Ranked"
