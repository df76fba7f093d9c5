"""Passages: stored whole, placed in their session, deleted without a trace in search."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from memory import agents, archival
from memory.errors import InvalidValue, UnknownPassage
from memory.records import NewPassage
from memory.store import MemoryStore
from tests.memory.given import MemoryOf


@pytest.fixture
def ada(words_only: MemoryStore) -> MemoryOf:
    return MemoryOf.new_agent(words_only, "Ada")


def test_a_passage_comes_back_as_it_was_given(ada: MemoryOf) -> None:
    when = datetime(2026, 3, 31, 23, 30, tzinfo=timezone(timedelta(hours=-5)))
    new = NewPassage("It rained.", ("a", "b"), "Ada", "diary.txt", "spring", 4, when)
    (stored,) = ada.archive(new)
    with ada.read() as reader:
        assert archival.get_passage(reader, ada.agent, stored.id) == stored
    given = (stored.text, stored.tags, stored.author, stored.source, stored.session)
    assert given == ("It rained.", ("a", "b"), "Ada", "diary.txt", "spring")
    assert stored.occurred_at == when and stored.occurred_at.tzinfo is UTC
    assert stored.dated == when and stored.sequence == 4


def test_the_day_by_which_a_passage_is_found_is_the_one_that_is_indexed_again(
    ada: MemoryOf,
) -> None:
    # 23:30 in New York is the next day in UTC, and only UTC is stored.
    when = datetime(2026, 3, 31, 23, 30, tzinfo=timezone(timedelta(hours=-5)))
    ada.archive(NewPassage("It rained.", occurred_at=when))
    assert ada.found("april") == ["It rained."] and ada.found("march") == []


def test_passages_of_a_session_are_counted_on(ada: MemoryOf) -> None:
    stored = ada.archive(
        NewPassage("a", session="s"),
        NewPassage("b", session="s", sequence=10),
        NewPassage("c", session="s"),
        NewPassage("d", session="t"),
        NewPassage("e"),
    )
    assert [passage.sequence for passage in stored] == [1, 10, 11, 1, None]
    assert ada.archive(NewPassage("f", session="s"))[0].sequence == 12


@pytest.mark.parametrize(
    ("new", "message"),
    [
        (NewPassage(" \n"), "the passage is empty"),
        (NewPassage("a\0b"), "NUL character at position 1"),
        (NewPassage("\udc80"), "lone surrogate"),
        (NewPassage("x" * 1_000_000), "900000 over the limit"),
        (NewPassage("a", tags=("",)), "a tag is empty"),
        (NewPassage("a", tags=tuple(map(str, range(51)))), "the limit is 50"),
        (NewPassage("a", author="x" * 501), "1 over the limit"),
        (NewPassage("a", source="\0"), "source holds a NUL"),
        (NewPassage("a", session="s", sequence=-1), "outside 0"),
        (NewPassage("a", session="s", sequence=2**31), "outside 0"),
        (NewPassage("a", occurred_at=datetime(2026, 1, 1)), "has no time zone"),
        (
            NewPassage("a", occurred_at=datetime.min.replace(tzinfo=timezone(timedelta(hours=9)))),
            "years 1 to 9999",
        ),
    ],
)
def test_a_bad_passage_is_refused_with_all_that_came_with_it(
    ada: MemoryOf, new: NewPassage, message: str
) -> None:
    told = ada.events()
    with pytest.raises(InvalidValue, match=message):
        ada.archive("good", new)
    assert ada.found("good") == [] and ada.events() == told


def test_a_blank_author_is_no_author(ada: MemoryOf) -> None:
    assert ada.archive(NewPassage("a", author=" ", session=""))[0].author is None


def test_a_deleted_passage_is_gone_and_its_event_can_bring_it_back(ada: MemoryOf) -> None:
    passage = ada.archive("The cat sleeps.")[0]
    ada.forget(passage)
    assert ada.found("cat") == []
    event = ada.events()[-1]
    assert (event.action, event.subject) == ("passage.delete", passage.id)
    assert event.before and event.before["text"] == "The cat sleeps."
    with pytest.raises(UnknownPassage, match="archival_memory_search shows ids"):
        ada.forget(passage)


def test_a_passage_of_another_agent_is_unknown_to_this_one(
    ada: MemoryOf, words_only: MemoryStore
) -> None:
    bob = MemoryOf.new_agent(words_only, "Bob")
    passage = ada.archive("secret tea")[0]
    with pytest.raises(UnknownPassage):
        bob.forget(passage)
    assert bob.found("tea") == []


def test_holdings_count_what_there_is_and_name_the_tags_by_use(ada: MemoryOf) -> None:
    ada.archive(NewPassage("a", ("x", "y")), NewPassage("b", ("y",)))
    ada.say("hello")
    with ada.read() as reader:
        held = agents.holdings(reader, ada.agent)
    assert (held.messages, held.passages, held.pending_vectors) == (1, 2, 3)
    assert held.tags == ("y", "x")
