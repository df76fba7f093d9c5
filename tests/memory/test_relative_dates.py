"""Dates that are counted from something: what is read, and which days are meant."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory.calendar_days import Days
from memory.relative_dates import anchor_days, relative_date

TUESDAY = date(2026, 3, 31)


def days(first: str, last: str | None = None) -> Days:
    return Days(date.fromisoformat(first), date.fromisoformat(last or first))


@pytest.mark.parametrize(
    ("query", "meant"),
    [
        ("the week before August 3, 2023 with the kids", days("2023-07-27", "2023-08-02")),
        ("two weeks before 11 August 2023", days("2023-07-25", "2023-07-31")),
        ("the Sunday before October 25, 2022", days("2022-10-23")),
        ("last weekend before April 10, 2023", days("2023-04-08", "2023-04-09")),
        ("three days after 2023-05-07", days("2023-05-10")),
        ("the day after 7 May 2023", days("2023-05-08")),
        ("a month after 7 May 2023", days("2023-05-23", "2023-06-20")),
        ("the weekend after Easter 2024", days("2024-04-06", "2024-04-07")),
        ("the week of 7 May 2023", days("2023-05-01", "2023-05-07")),
        ("a couple of days prior to 7 May 2023", days("2023-05-05")),
        ("the month following May 2023", days("2023-06-01", "2023-06-30")),
    ],
)
def test_what_is_counted_from_a_date_is_calculated(query: str, meant: Days) -> None:
    relative = relative_date(f"What did she do {query}?")
    assert relative is not None
    (anchor,) = anchor_days(relative, TUESDAY)
    assert relative.counted_from(anchor) == meant


def test_a_day_that_only_some_years_have_is_counted_from_where_a_near_one_has_it() -> None:
    relative = relative_date("What did we do two days before 29 February?")
    assert relative is not None
    assert anchor_days(relative, TUESDAY) == ()
    assert anchor_days(relative, date(2027, 11, 26)) == (days("2028-02-29"),)


def test_a_feast_is_the_last_one_or_the_next() -> None:
    relative = relative_date("two days before Christmas")
    assert relative is not None
    meant = [relative.counted_from(anchor) for anchor in anchor_days(relative, TUESDAY)]
    assert meant == [days("2025-12-22"), days("2026-12-22")]


@pytest.mark.parametrize(
    ("query", "event"),
    [
        ("What did Bruno buy two weeks before the wedding?", "the wedding"),
        ("Two weeks before the wedding, what did he buy?", "the wedding"),
        ("the day of the exam", "the exam"),
        ("three days after she moved to Lisbon", "she moved to Lisbon"),
        ("What did Ada plan a month before her birthday?", "her birthday Ada"),
        ("on the evening of the concert: the Sunday after the storm", "the storm"),
    ],
)
def test_what_else_is_counted_from_is_an_event_to_search_for(query: str, event: str) -> None:
    relative = relative_date(query)
    assert relative is not None and relative.event == event
    assert relative.written in query
    assert anchor_days(relative, TUESDAY) == ()


@pytest.mark.parametrize(
    "query",
    [
        "the day before yesterday",
        "the day after tomorrow",
        "a week before that",
        "the day after",
        "the second day of the week",
        "12 months of work",
        "two weeks ago",
        "before the wedding",
        "after two days",
    ],
)
def test_what_counts_from_nothing_or_says_no_number_is_left_alone(query: str) -> None:
    assert relative_date(query) is None


dates = st.dates(date(1970, 1, 1), date(2090, 12, 31))
units = st.sampled_from(["day", "week", "fortnight", "month", "year"])


@given(dates, st.integers(1, 50), units, st.sampled_from(["before", "after"]))
def test_counts_that_follow_each_other_are_days_that_do(
    day: date, count: int, unit: str, side: str
) -> None:
    meant = []
    for number in (count, count + 1):
        relative = relative_date(f"{number} {unit}s {side} {day.isoformat()}")
        assert relative is not None
        meant.append(relative.counted_from(Days(day, day)))
    assert all(day not in (span.first, span.last) for span in meant)
    earlier, later = meant if side == "after" else reversed(meant)
    assert timedelta(1) <= later.first - earlier.last <= timedelta(2)


@given(dates, st.sampled_from(["day", "week", "weekend", "month", "monday", "friday"]))
def test_the_next_one_lies_wholly_on_its_side_and_near(day: date, unit: str) -> None:
    for side, step in (("before", -1), ("after", 1)):
        relative = relative_date(f"the {unit} {side} {day.isoformat()}")
        assert relative is not None
        span = relative.counted_from(Days(day, day))
        near, far = (span.first, span.last) if step > 0 else (span.last, span.first)
        assert 1 <= step * (near - day).days <= step * (far - day).days <= 30


@given(st.text(max_size=80), dates)
def test_any_text_is_read_without_an_error(text: str, today: date) -> None:
    for query in (text, f"two weeks before {text}", f"{text} the day after 31 December {text}"):
        relative = relative_date(query)
        if relative is not None:
            anchor_days(relative, today)
