"""Dates that questions name: each form by an example, and the laws of what they hold."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory.calendar_days import Days, EverySeason, EveryYear, NamedDate, easter, thanksgiving
from memory.named_dates import leading_date, named_dates

TUESDAY = date(2026, 3, 31)


def days(first: str, last: str | None = None) -> Days:
    return Days(date.fromisoformat(first), date.fromisoformat(last or first))


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("What did she say on 7 May 2023?", days("2023-05-07")),
        ("on the 7th of May, 2023", days("2023-05-07")),
        ("May 7th, 2023", days("2023-05-07")),
        ("the call of 2023-05-07", days("2023-05-07")),
        ("all of 2023-05", days("2023-05-01", "2023-05-31")),
        ("in May 2023", days("2023-05-01", "2023-05-31")),
        ("Sept 2024", days("2024-09-01", "2024-09-30")),
        ("What happened in March?", EveryYear(3)),
        ("the first of all her December trips", EveryYear(12)),
        ("on 29 February", EveryYear(2, 29)),
        ("where was he in 2022?", days("2022-01-01", "2022-12-31")),
        ("what did I eat today", days("2026-03-31")),
        ("yesterday", days("2026-03-30")),
        ("the day before yesterday", days("2026-03-29")),
        ("last night", days("2026-03-30")),
        ("the day after tomorrow", days("2026-04-02")),
        ("three days ago", days("2026-03-28")),
        ("two weeks ago", days("2026-03-16", "2026-03-22")),
        ("a couple of months ago", days("2026-01-01", "2026-01-31")),
        ("a year ago", days("2025-01-01", "2025-12-31")),
        ("over the past 3 weeks", days("2026-03-09", "2026-03-31")),
        ("last month", days("2026-02-01", "2026-02-28")),
        ("this year", days("2026-01-01", "2026-12-31")),
        ("next week", days("2026-04-06", "2026-04-12")),
        ("last weekend", days("2026-03-28", "2026-03-29")),
        ("last March", days("2025-03-01", "2025-03-31")),
        ("last February", days("2026-02-01", "2026-02-28")),
        ("next March", days("2027-03-01", "2027-03-31")),
        ("on Monday", days("2026-03-30")),
        ("last Tuesday", days("2026-03-24")),
        ("next Friday", days("2026-04-03")),
        ("on 07.05.2023", days("2023-05-07")),
        ("2023/05/07", days("2023-05-07")),
        ("in the summer of 2022", days("2022-06-01", "2022-08-31")),
        ("winter 2023", days("2023-12-01", "2024-02-29")),
        ("during the summer", EverySeason(6)),
        ("in spring", EverySeason(3)),
        ("last summer", days("2025-06-01", "2025-08-31")),
        ("last winter", days("2025-12-01", "2026-02-28")),
        ("this spring", days("2026-03-01", "2026-05-31")),
        ("next fall", days("2026-09-01", "2026-11-30")),
        ("what did we do on Christmas Eve", EveryYear(12, 24)),
        ("at Christmas", EveryYear(12, 24, 26)),
        ("last Christmas", days("2025-12-24", "2025-12-26")),
        ("New Year\u2019s Eve 2024", days("2024-12-31")),
        ("Halloween", EveryYear(10, 31)),
        ("at Easter", days("2025-04-18", "2025-04-21")),
        ("next Easter", days("2026-04-03", "2026-04-06")),
        ("Easter 2024", days("2024-03-29", "2024-04-01")),
        ("Thanksgiving 2023", days("2023-11-23")),
        ("a fortnight ago", days("2026-03-16", "2026-03-22")),
        ("a few days ago", days("2026-03-26", "2026-03-29")),
        ("two weeks from now", days("2026-04-13", "2026-04-19")),
        ("the week before last", days("2026-03-16", "2026-03-22")),
        ("the weekend before last", days("2026-03-21", "2026-03-22")),
        ("last quarter", days("2025-10-01", "2025-12-31")),
        ("Q3 2023", days("2023-07-01", "2023-09-30")),
        ("the fourth quarter of 2023", days("2023-10-01", "2023-12-31")),
        ("in the 1990s", days("1990-01-01", "1999-12-31")),
    ],
)
def test_a_date_is_read_as_it_is_meant(query: str, named: NamedDate) -> None:
    assert named_dates(query, TUESDAY) == (named,)


@pytest.mark.parametrize(
    "query",
    [
        "what may I eat",
        "What did June say to April?",
        "the march for rights",
        "he owes 2000 dollars",
        "31 February 2023",
        "2023-13-01",
        "three games in a row",
        "what did they decide",
        "0 years",
        "did she fall",
        "spring cleaning",
        "the eastern door",
        "31.02.2023",
    ],
)
def test_what_is_no_date_is_not_taken_for_one(query: str) -> None:
    assert named_dates(query, TUESDAY) == ()


def test_a_query_may_name_several_dates() -> None:
    named = named_dates("between 3 May 2023 and June 2024", TUESDAY)
    assert set(named) == {days("2023-05-03"), days("2024-06-01", "2024-06-30")}


dates = st.dates(date(1970, 1, 1), date(2090, 12, 31))


@given(dates, dates)
def test_a_day_holds_itself_and_no_other_in_every_way_to_write_it(day: date, other: date) -> None:
    months = "January February March April May June July August September October November December"
    month = months.split()[day.month - 1]
    for written in (
        day.isoformat(),
        f"{day.day} {month} {day.year}",
        f"{month[:3]} {day.day}, {day.year}",
    ):
        (named,) = named_dates(f"what was on {written}?", other)
        assert named.holds(day) and (day == other or not named.holds(other))


@given(dates, st.integers(0, 400), st.sampled_from(["day", "week", "month", "year"]))
def test_what_was_some_time_ago_is_never_after_today(today: date, count: int, unit: str) -> None:
    for named in named_dates(f"{count} {unit}s ago", today):
        assert isinstance(named, Days) and named.first <= today
    for named in named_dates(f"the last {count} {unit}s", today):
        assert named.holds(today)


@given(dates, st.sampled_from("monday tuesday wednesday thursday friday saturday sunday".split()))
def test_a_weekday_is_within_a_week(today: date, weekday: str) -> None:
    (past,), (coming,) = (named_dates(f"{which} {weekday}", today) for which in ("last", "next"))
    assert isinstance(past, Days) and isinstance(coming, Days)
    assert timedelta(1) <= today - past.first <= timedelta(7)
    assert timedelta(1) <= coming.first - today <= timedelta(7)
    assert past.first.strftime("%A").lower() == weekday


@given(st.text(max_size=60), st.dates())
def test_any_text_on_any_day_is_read_without_an_error(text: str, today: date) -> None:
    for query in (text, f"{text} 999 years ago, last weekend, next week in 1900 {text}"):
        for named in named_dates(query, today):
            assert named.holds(today) in (True, False)


@pytest.mark.parametrize(
    ("year", "sunday"),
    [(1818, "03-22"), (1943, "04-25"), (2000, "04-23"), (2024, "03-31"), (2026, "04-05")],
)
def test_easter_is_when_the_church_has_it(year: int, sunday: str) -> None:
    friday, monday = easter(year).first, easter(year).last
    assert friday + timedelta(2) == monday - timedelta(1) == date.fromisoformat(f"{year}-{sunday}")


@given(st.integers(1900, 2200))
def test_thanksgiving_is_the_fourth_thursday(year: int) -> None:
    day = thanksgiving(year).first
    assert (day.month, day.strftime("%a")) == (11, "Thu") and 22 <= day.day <= 28


@given(dates, st.sampled_from(["summer", "winter", "Christmas", "Easter", "Halloween"]))
def test_the_last_is_over_and_the_next_has_not_begun(today: date, what: str) -> None:
    (past,), (coming,) = (named_dates(f"{which} {what}", today) for which in ("last", "next"))
    assert isinstance(past, Days) and isinstance(coming, Days)
    assert past.last < today < coming.first
    assert coming.first - past.first < timedelta(3 * 366)


def test_a_text_may_begin_with_a_date() -> None:
    assert leading_date("3 May 2023 in the morning", TUESDAY) == days("2023-05-03")
    assert leading_date("the wedding in May 2023", TUESDAY) is None
