"""Days as questions mean them: a span, or every year again; and how to count them. Pure.

Weeks begin on Monday, seasons are those of the north. named_dates.py reads them from a text.
"""

from calendar import monthrange
from dataclasses import dataclass
from datetime import date, timedelta


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
    """A month, a day of it, or the days from one to another, in whatever year."""

    month: int
    day: int | None = None
    last_day: int | None = None

    def holds(self, day: date) -> bool:
        """Whether a day is one of them."""
        if day.month != self.month or self.day is None:
            return day.month == self.month
        return self.day <= day.day <= (self.last_day or self.day)

    def of_year(self, year: int) -> Days:
        """The days of one year, of what is no whole month.

        Raises:
            ValueError: the year has none: 29 February, or a year that no calendar has.
        """
        first = date(year, self.month, self.day or 1)
        return Days(first, first.replace(day=self.last_day or first.day))


@dataclass(frozen=True, slots=True)
class EverySeason:
    """Three months from the first one on, in whatever year."""

    first_month: int

    def holds(self, day: date) -> bool:
        """Whether a day is one of them."""
        return (day.month - self.first_month) % 12 < 3


NamedDate = Days | EveryYear | EverySeason


def unit_back(unit: str, count: int, today: date) -> Days:
    """The day, or the whole week, month, quarter or year that lies this far back."""
    if unit == "day":
        return moved(today, -count)
    if unit in ("week", "fortnight"):
        weeks = 2 * count if unit == "fortnight" else count
        first = today - timedelta(days=today.weekday() + 7 * weeks)
        return Days(first, first + timedelta(days=6))
    if unit == "month":
        year, month = divmod(12 * today.year + today.month - 1 - count, 12)
        return whole_months(year, month + 1)
    if unit == "quarter":
        year, quarter = divmod(4 * today.year + (today.month - 1) // 3 - count, 4)
        return whole_months(year, 3 * quarter + 1, 3)
    return whole_months(today.year - count, 1, 12)


def moved(today: date, days: int) -> Days:
    """The one day this many days later."""
    day = today + timedelta(days=days)
    return Days(day, day)


def whole_months(year: int, month: int, count: int = 1) -> Days:
    """All days of a month, or of several."""
    further, last = divmod(month - 1 + count - 1, 12)
    last_day = monthrange(year + further, last + 1)[1]
    return Days(date(year, month, 1), date(year + further, last + 1, last_day))


def easter(year: int) -> Days:
    """Good Friday to Easter Monday.

    Source: the anonymous Gregorian algorithm (Meeus, Astronomical Algorithms, 1991, chapter 8).
    """
    century, of_century = divmod(year, 100)
    golden = year % 19
    skipped = century - century // 4 - (century - (century + 8) // 25 + 1) // 3
    epact = (19 * golden + skipped + 15) % 30
    to_sunday = (32 + 2 * (century % 4) + 2 * (of_century // 4) - epact - of_century % 4) % 7
    late = (golden + 11 * epact + 22 * to_sunday) // 451
    month, day = divmod(epact + to_sunday - 7 * late + 114, 31)
    sunday = date(year, month, day + 1)
    return Days(sunday - timedelta(days=2), sunday + timedelta(days=1))


def thanksgiving(year: int) -> Days:
    """The fourth Thursday of November."""
    first = date(year, 11, 1)
    return moved(first, (3 - first.weekday()) % 7 + 21)
