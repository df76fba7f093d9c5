"""Dates as people and models write them, read in an agent's time zone. Pure."""

import re
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from memory.errors import InvalidValue

_CLOCK = re.compile(r"[T ]\d\d(?P<minute>:?\d\d)?(?P<second>:?\d\d)?")
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
    evening; a time means its whole second, minute or hour, as far as it was written. Where clocks
    are put back a time comes twice: a range begins at the first and ends after the second.

    Raises:
        InvalidValue: a text is no ISO 8601 date, or the range ends before it begins.
    """
    since = parse_moment(start, timezone, "the start date") if start else None
    until = _end(end, timezone) if end else None
    if since and until and until <= since:
        raise InvalidValue(f"the end date {end!r} lies before the start date {start!r}; swap them")
    return since, until


def local_day(moment: datetime, zone: ZoneInfo) -> date:
    """The day that a moment is in there; at the ends of the calendar, that of UTC."""
    try:
        return moment.astimezone(zone).date()
    except OverflowError:
        return moment.date()


def _end(text: str, timezone: str) -> datetime:
    day = _day(text)
    if day is not None:
        # Not midnight plus 24 hours: the day may have 23 or 25 where clocks change.
        return _start_of(day + timedelta(days=1), timezone) if day < date.max else _LAST_MOMENT
    moment = _moment(text, timezone, "the end date", last=True)
    unit = _written_unit(text)
    return moment + unit if moment < _LAST_MOMENT - unit else _LAST_MOMENT


def _written_unit(text: str) -> timedelta:
    """How much time an ISO time means: as much as its last written digit."""
    if re.search(r"[.,]\d", text):
        return timedelta(microseconds=1)
    clock = _CLOCK.search(text)
    if clock is None or clock["second"]:
        return timedelta(seconds=1)
    return timedelta(minutes=1) if clock["minute"] else timedelta(hours=1)


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        return None


def _moment(text: str, timezone: str, field: str, last: bool = False) -> datetime:
    """A time in UTC; of one that comes twice the first, or the last."""
    try:
        moment = datetime.fromisoformat(text.strip())
        if moment.tzinfo is None:
            local = moment.replace(tzinfo=ZoneInfo(timezone))
            both = [local.replace(fold=fold).astimezone(UTC) for fold in (0, 1)]
            return max(both) if last else min(both)
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
