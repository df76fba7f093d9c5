"""Dates and ranges as people write them; the oracle compares wall clocks, minute by minute."""

import os
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory.dates import parse_moment, parse_range
from memory.errors import InvalidValue

ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"]
ZONES_SKIPPING_MIDNIGHT = ["Africa/Cairo", "America/Havana", "Asia/Beirut"]


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type, misc]


KNOWS_A_ZONE = "from memory.limits import check_timezone; check_timezone('Europe/Berlin')"


def test_time_zones_are_known_on_a_machine_without_any() -> None:
    environment = {**os.environ, "PYTHONTZPATH": ""}
    subprocess.run([sys.executable, "-c", KNOWS_A_ZONE], env=environment, check=True)


def test_a_day_begins_in_the_time_zone_of_the_agent() -> None:
    assert parse_moment("2026-03-31", "Europe/Berlin", "start") == utc(2026, 3, 30, 22)
    assert parse_moment("2026-03-31T18:00", "Europe/Berlin", "start") == utc(2026, 3, 31, 16)


def test_a_time_with_an_offset_needs_no_time_zone() -> None:
    assert parse_moment("2026-03-31T18:00+05:30", "Europe/Berlin", "start") == utc(
        2026, 3, 31, 12, 30
    )


def test_the_end_of_a_range_is_inclusive_to_the_last_moment_of_the_day() -> None:
    since, until = parse_range("2026-03-31", "2026-03-31", "UTC")
    assert (since, until) == (utc(2026, 3, 31), utc(2026, 4, 1))


@pytest.mark.parametrize(
    ("end", "first_after"),
    [
        ("2026-03-31T18", utc(2026, 3, 31, 19)),
        ("2026-03-31T18:30", utc(2026, 3, 31, 18, 31)),
        ("2026-03-31T18:30:15", utc(2026, 3, 31, 18, 30, 16)),
        ("20260331T183015", utc(2026, 3, 31, 18, 30, 16)),
        ("2026-03-31 18:30+00:00", utc(2026, 3, 31, 18, 31)),
        ("2026-03-31T18:30:15.000001", utc(2026, 3, 31, 18, 30, 15, 2)),
    ],
)
def test_an_end_includes_as_much_as_its_last_digit_means(end: str, first_after: datetime) -> None:
    assert parse_range(None, end, "UTC") == (None, first_after)


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25)])
def test_a_day_on_which_clocks_change_is_as_long_as_it_is(day: str, hours: int) -> None:
    since, until = parse_range(day, day, "Europe/Berlin")
    assert since and until and until - since == timedelta(hours=hours)


def test_a_time_that_comes_twice_is_in_the_range_both_times() -> None:
    since, until = parse_range("2026-10-25T02:30", "2026-10-25T02:30", "Europe/Berlin")
    assert (since, until) == (utc(2026, 10, 25, 0, 30), utc(2026, 10, 25, 1, 31))


@pytest.mark.parametrize("text", ["yesterday", "2026-02-30", "31.03.2026", "2026-03-31T25:00", " "])
def test_what_is_no_date_is_refused_and_an_example_is_shown(text: str) -> None:
    with pytest.raises(InvalidValue, match="is no date; write 2026-03-31"):
        parse_range(text, None, "UTC")


def test_a_range_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(InvalidValue, match="swap them"):
        parse_range("2026-03-31", "2026-03-30", "UTC")


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago"])
@pytest.mark.parametrize("text", ["0001-01-01", "9999-12-31", "9999-12-31T23:59:59.999999"])
def test_the_first_and_the_last_day_are_read_or_refused_but_never_a_crash(
    text: str, zone: str
) -> None:
    for start, end in ((text, None), (None, text)):
        try:
            parse_range(start, end, zone)
        except InvalidValue as error:
            assert "year" in str(error) or "date" in str(error)


@given(
    st.dates(date(2020, 1, 1), date(2030, 1, 1)),
    st.integers(0, 3),
    st.sampled_from(ZONES + ZONES_SKIPPING_MIDNIGHT),
    st.integers(-3 * 1440, 6 * 1440),
)
def test_a_moment_is_in_a_range_of_days_when_its_wall_clock_shows_one_of_them(
    first: date, days: int, zone: str, minutes: int
) -> None:
    last = first + timedelta(days=days)
    since, until = parse_range(first.isoformat(), last.isoformat(), zone)
    moment = datetime(first.year, first.month, first.day, tzinfo=UTC) + timedelta(minutes=minutes)
    assert since and until
    assert (since <= moment < until) == (first <= moment.astimezone(ZoneInfo(zone)).date() <= last)


@given(
    st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 30)),
    st.integers(0, 2000),
    st.sampled_from(ZONES),
    st.integers(-300, 2300),
)
def test_no_minute_that_the_wall_clock_shows_within_the_range_is_missed(
    start: datetime, length: int, zone: str, offset: int
) -> None:
    start = start.replace(second=0, microsecond=0)
    end = start + timedelta(minutes=length)
    since, until = parse_range(start.isoformat()[:16], end.isoformat()[:16], zone)
    moment = start.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC) + timedelta(minutes=offset)
    wall = moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    assert since and until
    if start <= wall <= end and wall.date() not in _days_of_change(zone):
        assert since <= moment < until
    if since <= moment < until and wall.date() not in _days_of_change(zone):
        assert start <= wall <= end


def _days_of_change(zone: str) -> set[date]:
    """Days of 2026 on which the offset changes: there a wall clock does not order moments."""
    days = (date(2025, 12, 30) + timedelta(days=n) for n in range(370))

    def offset(day: date) -> timedelta | None:
        return datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone)).utcoffset()

    return {day for day in days if offset(day) != offset(day + timedelta(days=1))}
