"""Dates as people and models write them, read in an agent's time zone. Pure."""

import re
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from memory.errors import InvalidValue

_WITH_SECONDS = re.compile(r"\d\d:\d\d:\d\d")
_LAST_MOMENT = datetime.max.replace(tzinfo=UTC)


def parse_moment(text: str, timezone: str, field: str) -> datetime:
    """Read an ISO date or date and time; a date alone is its first moment in the time zone.

    Raises:
        InvalidValue: the text is no ISO 8601 date.
    """
    day = _day(text)
    if day is not None:
        return _start_of(day, timezone)
    return _moment(text, timezone, field)


def parse_range(
    start: str | None, end: str | None, timezone: str
) -> tuple[datetime | None, datetime | None]:
    """Read an inclusive range as a half-open one, in UTC: the first moment in, the first after.

    A date alone means the whole day in the time zone, so an end of 2026-03-31 includes that
    evening; a time means its whole second or minute, as far as it was written.

    Raises:
        InvalidValue: a text is no ISO 8601 date, or the range ends before it begins.
    """
    since = parse_moment(start, timezone, "start_date") if start else None
    until = _end(end, timezone) if end else None
    if since and until and until <= since:
        raise InvalidValue(f"end_date {end!r} lies before start_date {start!r}; swap them")
    return since, until


def _end(text: str, timezone: str) -> datetime:
    day = _day(text)
    if day is not None:
        # Not midnight plus 24 hours: the day may have 23 or 25 where clocks change.
        return _start_of(day + timedelta(days=1), timezone) if day < date.max else _LAST_MOMENT
    moment = _moment(text, timezone, "end_date")
    if moment.microsecond:
        return moment + timedelta(microseconds=1)
    step = timedelta(seconds=1) if _WITH_SECONDS.search(text) else timedelta(minutes=1)
    return moment + step


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        return None


def _moment(text: str, timezone: str, field: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text.strip())
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=ZoneInfo(timezone))
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidValue(
            f"{field} {text[:60]!r} is no date; write 2026-03-31 or 2026-03-31T18:00"
        ) from None


def _start_of(day: date, timezone: str) -> datetime:
    try:
        return datetime.combine(day, time(), ZoneInfo(timezone)).astimezone(UTC)
    except OverflowError:
        raise InvalidValue(f"{day} is outside the years that can be compared") from None
