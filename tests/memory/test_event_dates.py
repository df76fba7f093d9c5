"""Days that a query counts from an event in memory: found, taken or left alone, and said."""

from datetime import UTC, date, datetime, timedelta

import pytest

from memory.calendar_days import Days
from memory.records import NewPassage
from memory.search_pages import Page
from memory.store import MemoryStore
from tests.memory.given import MemoryOf
from tests.memory.test_search import WORDS

WEDDING = date(2025, 6, 14)
TWO_WEEKS_BEFORE = Days(date(2025, 5, 28), date(2025, 6, 3))
ASKED = "What did Bruno do two weeks before the wedding?"


def noted(text: str, days: int, **known: str) -> NewPassage:
    """A note of a day, counted from the wedding."""
    day = WEDDING + timedelta(days)
    return NewPassage(text, occurred_at=datetime(day.year, day.month, day.day, 12, tzinfo=UTC))


def deeds(*days: int) -> list[NewPassage]:
    return [noted(f"Bruno bought {WORDS[n]}.", day) for n, day in enumerate(days)]


def meant(page: Page) -> tuple[Days, ...]:
    return page.meant.days if page.meant else ()


@pytest.fixture
def bruno(ada: MemoryOf) -> MemoryOf:
    """Much that Bruno did, of which only the fourth was two weeks before the wedding."""
    ada.archive(*deeds(-40, -30, -20, -14, -7, 3, 10, 14))
    ada.archive(noted("Today was the wedding of the two in the town hall.", 0))
    return ada.embedded()


def test_what_was_two_weeks_before_an_event_is_found_by_the_day_of_the_event(
    bruno: MemoryOf,
) -> None:
    hits, page = bruno.search(ASKED)
    said = [hit.passage.text for hit in hits if "Bruno" in hit.passage.text]
    assert said[0] == f"Bruno bought {WORDS[3]}."
    assert meant(page) == (TWO_WEEKS_BEFORE,)
    assert page.meant and page.meant.events == (
        "Today was the wedding of the two in the town hall.",
    )


def test_every_page_reads_the_date_alike(bruno: MemoryOf) -> None:
    whole, _ = bruno.search(ASKED)
    first, page = bruno.search(ASKED, limit=3)
    bruno.archive(noted("Today was the wedding, too.", 100))
    second, _ = bruno.search(ASKED, limit=len(whole), cursor=page.next_cursor)
    assert [hit.why.doc for hit in (*first, *second)] == [hit.why.doc for hit in whole]


def test_an_event_that_a_filter_leaves_out_is_not_counted_from(bruno: MemoryOf) -> None:
    until = datetime(2025, 6, 10, tzinfo=UTC)
    assert meant(bruno.search(ASKED, until=until)[1]) == ()


def test_the_day_that_a_text_names_is_that_of_the_event(ada: MemoryOf) -> None:
    ada.archive(noted("They plan the wedding for 14 June.", -60))
    ada.archive(noted("The wedding was three days ago.", 3))
    ada.archive(noted("Nothing but the wedding is spoken of.", -80))
    ada.archive(*deeds(-14, -50, -49, -48, -47, -46, -45))
    hits, page = ada.embedded().search(ASKED)
    assert meant(page) == (TWO_WEEKS_BEFORE,)
    assert [hit.passage.text for hit in hits if hit.why.date] == [f"Bruno bought {WORDS[0]}."]


def test_an_event_of_a_few_days_may_be_any_of_them_and_of_many_none(
    words_only: MemoryStore,
) -> None:
    memory = MemoryOf.new_agent(words_only, "Ada")
    for days in (0, 20, 40):
        memory.archive(noted("A word about the wedding.", days))
    first, last = TWO_WEEKS_BEFORE.first, TWO_WEEKS_BEFORE.last
    before = {Days(first + timedelta(n), last + timedelta(n)) for n in (0, 20, 40)}
    assert set(meant(memory.search(ASKED)[1])) == before
    memory.archive(noted("A word about the wedding.", 60))
    assert memory.search(ASKED)[1].meant is None


def test_without_the_event_the_search_is_as_if_it_counted_from_nothing(
    words_only: MemoryStore,
) -> None:
    memory = MemoryOf.new_agent(words_only, "Ada")
    memory.archive(*deeds(-14, -7, 3))
    hits, page = memory.search(ASKED)
    assert page.meant is None
    assert [hit.why.date for hit in hits] == [0.0] * 3


def test_an_event_that_was_spoken_of_is_found_in_the_conversation(ada: MemoryOf) -> None:
    ada.say("I had my job interview at the bank!", *(f"I like {word}." for word in WORDS))
    ada.embedded()
    hits, page = ada.search_messages("What did I say the day after my interview?")
    today = hits[0].message.created_at.date()
    assert meant(page) == (Days(today + timedelta(1), today + timedelta(1)),)


def test_a_date_that_is_counted_from_is_preferred_with_what_it_counts_to(
    words_only: MemoryStore,
) -> None:
    memory = MemoryOf.new_agent(words_only, "Ada")
    memory.archive(*deeds(-14, -7, 0))
    hits, page = memory.search("What did Bruno do two weeks before 14 June 2025?")
    assert meant(page) == (TWO_WEEKS_BEFORE,) and page.meant and not page.meant.events
    days = {hit.passage.text: hit.why.date for hit in hits}
    assert [days[f"Bruno bought {WORDS[n]}."] for n in range(3)] == [1.0, 0.0, 1.0]
