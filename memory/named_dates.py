"""Dates that a question names: "on 7 May 2023", "in March", "last week", "two months ago". Pure.

English only, and only what is surely a date: what is missed costs a bonus in the ranking, what is
mistaken gives one to the wrong texts. So months and seasons that are also words or names ("may",
"June", "fall") need a sign that they are meant. Why no library: docs/decisions/0019. What lies some
time before or after something: relative_dates.py.
"""

import re
from collections.abc import Callable, Iterator
from datetime import date, timedelta

from memory.calendar_days import (
    Days,
    EverySeason,
    EveryYear,
    NamedDate,
    easter,
    moved,
    thanksgiving,
    unit_back,
    whole_months,
)

MONTHS = (
    "january february march april may june july august september october november december".split()
)
WEEKDAYS = "monday tuesday wednesday thursday friday saturday sunday".split()
_NUMBERS = {
    word: number
    for number, word in enumerate(
        "one two three four five six seven eight nine ten eleven twelve".split(), start=1
    )
} | {"a": 1, "an": 1, "couple": 2}
_FEW = (2, 5)
"""What "a few" and "several" may be."""

_SEASONS = {"spring": 3, "summer": 6, "autumn": 9, "fall": 9, "winter": 12}
_FEASTS = {
    "christmas eve": EveryYear(12, 24),
    "christmas day": EveryYear(12, 25),
    "christmas": EveryYear(12, 24, 26),
    "boxing day": EveryYear(12, 26),
    "new year's eve": EveryYear(12, 31),
    "new year's day": EveryYear(1, 1),
    "valentine's day": EveryYear(2, 14),
    "halloween": EveryYear(10, 31),
}
_MOVING_FEASTS = {"easter": easter, "thanksgiving": thanksgiving}


def named_dates(query: str, today: date) -> tuple[NamedDate, ...]:
    """The dates that a query names, in the order of the rules below; what is none is left out."""
    return tuple(_found(query.lower(), today))


def leading_date(text: str, today: date) -> NamedDate | None:
    """The date that a text begins with, if there is one."""
    for pattern, read in _RULES:
        match = pattern.match(text.lower())
        if match is not None:
            try:
                return read(match, today)
            except (ValueError, OverflowError):
                continue
    return None


def _found(text: str, today: date) -> Iterator[NamedDate]:
    for pattern, read in _RULES:
        for match in pattern.finditer(text):
            try:
                yield read(match, today)
            except (ValueError, OverflowError):
                continue  # 31 February, or a year that no calendar has
        # What one rule has read is no other's: "May 2023" names no May of every year.
        text = pattern.sub(" | ", text)


def _day(match: re.Match[str], _: date) -> NamedDate:
    month, day = _month_number(match["month"]), int(match["day"])
    if match["year"] is None:
        date(2000, month, day)  # a leap year: any day that there ever is
        return EveryYear(month, day)
    the_day = date(int(match["year"]), month, day)
    return Days(the_day, the_day)


def _month(match: re.Match[str], _: date) -> NamedDate:
    return whole_months(int(match["year"]), _month_number(match["month"]))


def _month_of_any_year(match: re.Match[str], _: date) -> NamedDate:
    return EveryYear(_month_number(match["month"]))


def _month_beside(match: re.Match[str], today: date) -> NamedDate:
    """Last March: the latest that is over; next March: the first to come; this: of this year."""
    month = _month_number(match["month"])
    if match["which"] == "this":
        return whole_months(today.year, month)
    if match["which"] == "next":
        return whole_months(today.year + (month <= today.month), month)
    return whole_months(today.year - (month >= today.month), month)


def _year(match: re.Match[str], _: date) -> NamedDate:
    return whole_months(int(match["year"]), 1, 12)


def _decade(match: re.Match[str], _: date) -> NamedDate:
    return whole_months(int(match["year"]), 1, 120)


def _quarter(match: re.Match[str], _: date) -> NamedDate:
    word = match["quarter"]
    number = int(word) if word.isdigit() else _ORDINALS.index(word) + 1
    return whole_months(int(match["year"]), 3 * number - 2, 3)


def _season(match: re.Match[str], _: date) -> NamedDate:
    """Winter is that which begins in the year."""
    return whole_months(int(match["year"]), _SEASONS[match["season"]], 3)


def _season_of_any_year(match: re.Match[str], _: date) -> NamedDate:
    return EverySeason(_SEASONS[match["season"]])


def _season_beside(match: re.Match[str], today: date) -> NamedDate:
    first = _SEASONS[match["season"]]
    return _beside(lambda year: whole_months(year, first, 3), match["which"], today)


def _feast(match: re.Match[str], today: date) -> NamedDate:
    """Of a year, or every year's."""
    every = _FEASTS[match["feast"].replace("\u2019", "'")]
    if match["year"] is not None:
        return every.of_year(int(match["year"]))
    return _beside(every.of_year, match["which"], today) if match["which"] else every


def _moving_feast(match: re.Match[str], today: date) -> NamedDate:
    """Of a year; else the latest one that has begun."""
    of = _MOVING_FEASTS[match["feast"]]
    if match["year"] is not None:
        return of(int(match["year"]))
    if match["which"]:
        return _beside(of, match["which"], today)
    return of(today.year) if of(today.year).first <= today else of(today.year - 1)


def _beside(of: Callable[[int], Days], which: str, today: date) -> Days:
    """Of what comes every year the latest that is over, the first to come, or this year's."""
    years = [of(today.year + step) for step in (-2, -1, 0, 1)]
    if which == "next":
        return next(days for days in years if days.first > today)
    if which == "this":
        return next((days for days in years if days.holds(today)), of(today.year))
    return next(days for days in reversed(years) if days.last < today)


def _near_day(match: re.Match[str], today: date) -> NamedDate:
    word = match["word"]
    steps = {"yesterday": -1, "last night": -1, "tomorrow": 1}
    step = steps.get(word, 0) if match["further"] is None else 2 * steps[word]
    return moved(today, step)


def _ago(match: re.Match[str], today: date) -> NamedDate:
    """A day, or the whole week, month or year that lies this far back."""
    return unit_back(match["unit"], number_of(match["number"]), today)


def _few_ago(match: re.Match[str], today: date) -> NamedDate:
    fewest, most = _FEW
    unit = match["unit"]
    return Days(unit_back(unit, most, today).first, unit_back(unit, fewest, today).last)


def _ahead(match: re.Match[str], today: date) -> NamedDate:
    return unit_back(match["unit"], -number_of(match["number"]), today)


def _before_last(match: re.Match[str], today: date) -> NamedDate:
    return _week_or_weekend(match["unit"], 2, today)


def _lately(match: re.Match[str], today: date) -> NamedDate:
    """The past two weeks: from their first day until today."""
    return Days(unit_back(match["unit"], number_of(match["number"]), today).first, today)


def _unit_beside(match: re.Match[str], today: date) -> NamedDate:
    back = {"this": 0, "next": -1}.get(match["which"], 1)
    return _week_or_weekend(match["unit"], back, today)


def _week_or_weekend(unit: str, back: int, today: date) -> Days:
    if unit != "weekend":
        return unit_back(unit, back, today)
    week = unit_back("week", back, today)
    return Days(week.first + timedelta(days=5), week.last)


def _weekday(match: re.Match[str], today: date) -> NamedDate:
    """The latest one before today, or the first after it."""
    number = WEEKDAYS.index(match["weekday"])
    if match["which"] in ("next", "this"):
        return moved(today, (number - today.weekday() - 1) % 7 + 1)
    return moved(today, -((today.weekday() - number - 1) % 7 + 1))


def _month_number(word: str) -> int:
    if word.isdigit():
        return int(word)
    return next(n for n, name in enumerate(MONTHS, start=1) if name.startswith(word[:3]))


def number_of(word: str) -> int:
    """The number that a count in a question is."""
    return int(word) if word.isdigit() else _NUMBERS[word.removesuffix(" of")]


_NAME = (
    r"(?P<month>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    r"|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
_YEAR = r"(?P<year>(?:19|20)\d\d)"
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
COUNT = rf"(?P<number>\d{{1,3}}|(?:{'|'.join(_NUMBERS)})(?: of)?)"
"""How many days, weeks and so on, in digits or in words."""

_WHICH = r"(?P<which>last|past|previous|this|next)"
_UNIT = r"(?P<unit>day|week|fortnight|month|year)"
_ORDINALS = ("first", "second", "third", "fourth")
_SEASON = rf"(?P<season>{'|'.join(_SEASONS)})"
_THIS = r"(?:(?P<which>last|this|next) )?"
_OF_YEAR = rf"(?:(?: of| in|,)? {_YEAR})?"
_FEAST = "|".join(_FEASTS).replace("'", "['\u2019]")

_RULES: tuple[tuple[re.Pattern[str], Callable[[re.Match[str], date], NamedDate]], ...] = tuple(
    (re.compile(rf"(?<![\w-]){pattern}(?![\w-])"), read)
    for pattern, read in (
        (rf"{_YEAR}[-/](?P<month>\d\d)[-/](?P<day>\d\d)", _day),
        (rf"(?P<day>\d\d?)\.(?P<month>\d\d?)\.{_YEAR}", _day),
        (rf"{_YEAR}-(?P<month>\d\d)", _month),
        (rf"{_DAY}(?: of)? {_NAME}\.?(?:,? {_YEAR})?", _day),
        (rf"{_NAME}\.? {_DAY}(?:,? {_YEAR})?", _day),
        (rf"{_NAME}\.?,?(?: of)? {_YEAR}", _month),
        (rf"q(?P<quarter>[1-4]),? ?{_YEAR}", _quarter),
        (rf"(?P<quarter>{'|'.join(_ORDINALS)}) quarter(?: of)? {_YEAR}", _quarter),
        (rf"{_SEASON}(?: of)? {_YEAR}", _season),
        (rf"(?P<which>last|this|next) {_SEASON}", _season_beside),
        (
            rf"(?:in|during|throughout|over|every)(?: the)?(?: early| late)? {_SEASON}",
            _season_of_any_year,
        ),
        (rf"{_THIS}(?P<feast>{_FEAST}){_OF_YEAR}", _feast),
        (rf"{_THIS}(?P<feast>{'|'.join(_MOVING_FEASTS)}){_OF_YEAR}", _moving_feast),
        (rf"(?P<which>last|this|next) {_NAME}", _month_beside),
        (rf"(?:in|of|during|throughout|early|late|mid)[ -]{_NAME}", _month_of_any_year),
        (
            r"(?P<month>january|february|july|september|october|november|december)",
            _month_of_any_year,
        ),
        (rf"(?:in|of|during|throughout|early|late|the year|year) {_YEAR}", _year),
        (
            r"(?P<further>day before (?=yesterday)|day after (?=tomorrow))?(?P<word>yesterday"
            r"|tomorrow|today|tonight|last night|this (?:morning|afternoon|evening))",
            _near_day,
        ),
        (r"(?:the )?(?P<year>(?:19|20)\d0)[\u2019']?s", _decade),
        (rf"(?:a few|several) {_UNIT}s ago", _few_ago),
        (rf"{COUNT} {_UNIT}s? ago", _ago),
        (rf"{COUNT} {_UNIT}s? from (?:now|today)", _ahead),
        (r"the (?P<unit>weekend|week|month|year) before last", _before_last),
        (rf"(?:last|past|previous) {COUNT} {_UNIT}s?", _lately),
        (rf"{_WHICH} (?P<unit>weekend|week|month|quarter|year)", _unit_beside),
        (rf"(?P<which>last|on|this|next) (?P<weekday>{'|'.join(WEEKDAYS)})", _weekday),
    )
)
