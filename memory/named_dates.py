"""Dates that a question names: "on 7 May 2023", "in March", "last week", "two months ago". Pure.

English only, and only what is surely a date: what is missed costs a bonus in the ranking, what is
mistaken gives one to the wrong texts. So months that are also words or names ("may", "June") need a
sign that they are meant. Weeks begin on Monday. Why no library: docs/decisions/0019.
"""

import re
from calendar import monthrange
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta

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


@dataclass(frozen=True, slots=True)
class Days:
    """The days from the first to the last, both included."""

    first: date
    last: date

    def holds(self, day: date) -> bool:
        """Whether a day is one of them."""
        return self.first <= day <= self.last


@dataclass(frozen=True, slots=True)
class EveryYear:
    """A month, or a day of it, in whatever year."""

    month: int
    day: int | None = None

    def holds(self, day: date) -> bool:
        """Whether a day is one of them."""
        return day.month == self.month and self.day in (None, day.day)


NamedDate = Days | EveryYear


def named_dates(query: str, today: date) -> tuple[NamedDate, ...]:
    """The dates that a query names, in the order of the rules below; what is none is left out."""
    return tuple(_found(query.lower(), today))


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
    return _whole_month(int(match["year"]), _month_number(match["month"]))


def _month_of_any_year(match: re.Match[str], _: date) -> NamedDate:
    return EveryYear(_month_number(match["month"]))


def _month_beside(match: re.Match[str], today: date) -> NamedDate:
    """Last March: the latest that is over; next March: the first to come; this: of this year."""
    month = _month_number(match["month"])
    if match["which"] == "this":
        return _whole_month(today.year, month)
    if match["which"] == "next":
        return _whole_month(today.year + (month <= today.month), month)
    return _whole_month(today.year - (month >= today.month), month)


def _year(match: re.Match[str], _: date) -> NamedDate:
    return _whole_year(int(match["year"]))


def _near_day(match: re.Match[str], today: date) -> NamedDate:
    word = match["word"]
    steps = {"yesterday": -1, "last night": -1, "tomorrow": 1}
    step = steps.get(word, 0) if match["further"] is None else 2 * steps[word]
    return _moved(today, step)


def _ago(match: re.Match[str], today: date) -> NamedDate:
    """A day, or the whole week, month or year that lies this far back."""
    return _unit_back(match["unit"], _number(match["number"]), today)


def _lately(match: re.Match[str], today: date) -> NamedDate:
    """The past two weeks: from their first day until today."""
    return Days(_unit_back(match["unit"], _number(match["number"]), today).first, today)


def _unit_beside(match: re.Match[str], today: date) -> NamedDate:
    back = {"this": 0, "next": -1}.get(match["which"], 1)
    if match["unit"] != "weekend":
        return _unit_back(match["unit"], back, today)
    week = _unit_back("week", back, today)
    return Days(week.first + timedelta(days=5), week.last)


def _weekday(match: re.Match[str], today: date) -> NamedDate:
    """The latest one before today, or the first after it."""
    number = WEEKDAYS.index(match["weekday"])
    if match["which"] in ("next", "this"):
        return _moved(today, (number - today.weekday() - 1) % 7 + 1)
    return _moved(today, -((today.weekday() - number - 1) % 7 + 1))


def _unit_back(unit: str, count: int, today: date) -> Days:
    if unit == "day":
        return _moved(today, -count)
    if unit == "week":
        first = today - timedelta(days=today.weekday() + 7 * count)
        return Days(first, first + timedelta(days=6))
    if unit == "month":
        year, month = divmod(12 * today.year + today.month - 1 - count, 12)
        return _whole_month(year, month + 1)
    return _whole_year(today.year - count)


def _moved(today: date, days: int) -> Days:
    day = today + timedelta(days=days)
    return Days(day, day)


def _whole_month(year: int, month: int) -> Days:
    return Days(date(year, month, 1), date(year, month, monthrange(year, month)[1]))


def _whole_year(year: int) -> Days:
    return Days(date(year, 1, 1), date(year, 12, 31))


def _month_number(word: str) -> int:
    if word.isdigit():
        return int(word)
    return next(n for n, name in enumerate(MONTHS, start=1) if name.startswith(word[:3]))


def _number(word: str) -> int:
    return int(word) if word.isdigit() else _NUMBERS[word]


_NAME = (
    r"(?P<month>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    r"|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
_YEAR = r"(?P<year>(?:19|20)\d\d)"
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_COUNT = rf"(?P<number>\d{{1,3}}|{'|'.join(_NUMBERS)})(?: of)?"
_WHICH = r"(?P<which>last|past|previous|this|next)"
_UNIT = r"(?P<unit>day|week|month|year)"

_RULES: tuple[tuple[re.Pattern[str], Callable[[re.Match[str], date], NamedDate]], ...] = tuple(
    (re.compile(rf"(?<![\w-]){pattern}(?![\w-])"), read)
    for pattern, read in (
        (rf"{_YEAR}-(?P<month>\d\d)-(?P<day>\d\d)", _day),
        (rf"{_YEAR}-(?P<month>\d\d)", _month),
        (rf"{_DAY}(?: of)? {_NAME}\.?(?:,? {_YEAR})?", _day),
        (rf"{_NAME}\.? {_DAY}(?:,? {_YEAR})?", _day),
        (rf"{_NAME}\.?,?(?: of)? {_YEAR}", _month),
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
        (rf"{_COUNT} {_UNIT}s? ago", _ago),
        (rf"(?:last|past|previous) {_COUNT} {_UNIT}s?", _lately),
        (rf"{_WHICH} (?P<unit>weekend|week|month|year)", _unit_beside),
        (rf"(?P<which>last|on|this|next) (?P<weekday>{'|'.join(WEEKDAYS)})", _weekday),
    )
)
