"""Dates that lie before or after something: "two weeks before the wedding". Pure.

What it is that they are counted from is a date ("the weekend after Easter") or, mostly, an event,
whose day somebody must know: event_dates.py looks for it in memory. English only.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, timedelta

from memory.calendar_days import Days, EveryYear, unit_back
from memory.named_dates import COUNT, WEEKDAYS, leading_date, number_of
from memory.named_subjects import names_in
from memory.terms import STOP_WORDS

_UNIT_DAYS = {"day": 1, "night": 1, "week": 7, "fortnight": 14, "month": 30, "year": 365}
_SIDE = r"(?P<side>before|after|prior to|following|of)"
_AMOUNT = rf"(?:{COUNT} (?P<units>day|week|fortnight|month|year)s?)"
_WHICH = (
    rf"(?:(?:the|last) (?P<unit>day|night|week|weekend|month|year|{'|'.join(WEEKDAYS)})"
    r"(?: right| just)?)"
)
_FORM = re.compile(
    rf"(?<![\w-])(?:{_AMOUNT}|{_WHICH}) {_SIDE} (?P<anchor>[^.;:?!\n]+)", re.IGNORECASE
)
_CLAUSE_ENDS = re.compile(r",(?! ?\d{4})")
_NO_ANCHOR = re.compile(
    r"(?:yesterday|tomorrow|the (?:week|month|year)|last|next)\b", re.IGNORECASE
)
_PRONOUN = re.compile(r"(?:his|her|hers|their|he|she|they|its|it)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class RelativeDate:
    """Days that are counted from others.

    written: as it stands in the query. count: how many units away; None: the next unit on that
    side, or, if side is 0, the one that holds it. side: -1 before, 1 after. anchor: what is counted
    from. event: the same as it can be searched for: names of the query in place of a pronoun.
    """

    written: str
    count: int | None
    unit: str
    side: int
    anchor: str
    event: str

    def counted_from(self, days: Days) -> Days:
        """The days that are meant, if those of the anchor are these.

        A count is seldom exact, so what is meant is as wide as its unit: "two weeks before" are the
        seven days around the fourteenth.
        """
        if self.side == 0:
            return _unit_around(self.unit, days)
        start = days.first if self.side < 0 else days.last
        if self.count is None:
            return _next_unit(self.unit, self.side, start)
        size = _UNIT_DAYS[self.unit]
        middle = start + timedelta(self.side * self.count * size)
        return Days(middle - timedelta((size - 1) // 2), middle + timedelta((size - 1) // 2))


def relative_date(query: str) -> RelativeDate | None:
    """The first such date in a query, if there is one."""
    for match in _FORM.finditer(query):
        unit = (match["units"] or match["unit"]).lower()
        side = {"before": -1, "prior to": -1, "of": 0}.get(match["side"].lower(), 1)
        anchor = _CLAUSE_ENDS.split(match["anchor"], maxsplit=1)[0].strip()
        says = set(re.findall(r"[^\W_]+", anchor.lower())) - STOP_WORDS
        if _NO_ANCHOR.match(anchor) or not says or (side == 0 and match["unit"] is None):
            continue
        count = number_of(match["number"].lower()) if match["number"] else None
        written = query[match.start() : match.start("anchor")] + anchor
        of = names_in(query[: match.start()]) if _PRONOUN.match(anchor) else ()
        return RelativeDate(written, count, unit, side, anchor, " ".join([anchor, *of]))
    return None


def anchor_days(relative: RelativeDate, today: date) -> tuple[Days, ...]:
    """The days of an anchor that is a date itself; of one of every year the last and the next."""
    named = leading_date(re.sub(r"^(?:the|on|in) ", "", relative.anchor), today)
    if isinstance(named, Days):
        return (named,)
    if isinstance(named, EveryYear) and named.day is not None:
        return tuple(_beside(named, today))
    return ()


def _beside(every: EveryYear, today: date) -> Iterator[Days]:
    for year in (today.year - 1, today.year, today.year + 1):
        with suppress(ValueError):
            days = every.of_year(year)
            if abs((days.first - today).days) <= 366:
                yield days


def _unit_around(unit: str, days: Days) -> Days:
    """The whole week or month that holds a day; the weekend of its week."""
    if unit == "weekend":
        week = unit_back("week", 0, days.first)
        return Days(week.first + timedelta(5), week.last)
    if unit in ("week", "month", "year"):
        return Days(unit_back(unit, 0, days.first).first, unit_back(unit, 0, days.last).last)
    return days


def _next_unit(unit: str, side: int, start: date) -> Days:
    """The nearest unit that lies wholly on one side of a day."""
    step = timedelta(side)
    if unit in WEEKDAYS or unit == "weekend":
        wanted = {5, 6} if unit == "weekend" else {WEEKDAYS.index(unit)}
        near = [start + step * away for away in range(1, 9)]
        first = next(at for at, day in enumerate(near) if day.weekday() in wanted)
        found = [day for day in near[first : first + len(wanted)] if day.weekday() in wanted]
        return Days(min(found), max(found))
    ends = (start + step, start + step * _UNIT_DAYS[unit])
    return Days(min(ends), max(ends))
