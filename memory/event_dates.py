"""The day of an event that a query counts from, found in memory itself: "... before the wedding".

The event is searched for like anything else. Its day is the one that its text names ("today we
married", "we marry on 14 June"), else the day of the text. An event is spoken of on other days,
too, so a few days may come into question; where many do, none does. Pure; search.py does the
searching.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from zoneinfo import ZoneInfo

from memory.calendar_days import Days, EveryYear
from memory.dates import local_day
from memory.fusion import Ranked
from memory.named_dates import named_dates
from memory.relative_dates import anchor_days, relative_date
from memory.search_pages import MeantDays
from memory.surroundings import moment_of

NEAR = 1.0
"""How many standard deviations behind the best hit another may tell of the same event."""

MOST_DAYS = 3
"""That come into question; among more nothing stands out."""

LOOKED_AT = 10
"""How many of the best hits are read."""


@dataclass(frozen=True, slots=True)
class Event:
    """What was found, and its day. named: its text says which day that is."""

    text: str
    day: date
    named: bool = False


def meant_days(query: str, today: date, find: Callable[[str], Sequence[Event]]) -> MeantDays | None:
    """The days that a query counts from a date or from an event, if it does.

    Args:
        find: called with what to search for, only where the query counts from an event.
    """
    relative = relative_date(query)
    if relative is None:
        return None
    dates = anchor_days(relative, today)
    events = () if dates else tuple(find(relative.event))
    dates += tuple(Days(event.day, event.day) for event in events)
    try:
        days = tuple(relative.counted_from(anchor) for anchor in dates)
    except (ValueError, OverflowError):  # before the first year, or after the last
        return None
    texts = tuple(event.text for event in events)
    return MeantDays(relative.written, relative.anchor, days, texts) if days else None


def events_of(
    hits: Sequence[Ranked], texts: Mapping[int, str], dated: Mapping[int, int], zone: ZoneInfo
) -> tuple[Event, ...]:
    """What the best hits tell of, one for each day, best first; none if there are too many.

    Who names the day knows it: where some do, the others do not count.

    Args:
        hits: best first; at most LOOKED_AT are read.
        texts: of each of them, and `dated` its moment as surroundings.Texts has it.
    """
    events = [
        _event(texts[hit.doc], dated[hit.doc], zone)
        for hit in hits[:LOOKED_AT]
        if hit.bm25 > 0 and hit.score >= hits[0].score - NEAR
        if hit.doc in texts  # it may have been deleted meanwhile
    ]
    knowing = [event for event in events if event.named] or events
    by_day = {event.day: event for event in reversed(knowing)}
    found = tuple(event for event in knowing if by_day[event.day] is event)
    return found if len(found) <= MOST_DAYS else ()


def _event(text: str, dated: int, zone: ZoneInfo) -> Event:
    told = local_day(moment_of(dated), zone)
    days = set(_single_days(text, told))
    return Event(text, days.pop(), named=True) if len(days) == 1 else Event(text, told)


def _single_days(text: str, told: date) -> Iterator[date]:
    """The days that a text names, as who wrote it meant them: of one of every year the nearest."""
    for named in named_dates(text, told):
        if isinstance(named, Days) and named.first == named.last:
            yield named.first
        if isinstance(named, EveryYear) and named.day is not None and named.last_day is None:
            yield from sorted(_beside(named, told), key=lambda day: abs(day - told))[:1]


def _beside(every: EveryYear, told: date) -> Iterator[date]:
    for year in (told.year - 1, told.year, told.year + 1):
        with suppress(ValueError):
            yield every.of_year(year).first
