"""The tools that search the archive and the conversation."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from agent.memory_tools import Scope
from agent.search_tools import (
    ArchivalSearch,
    ConversationSearch,
    Searched,
    Wishes,
    search_archive,
    search_conversation,
)
from agent.tools import ALL_TOOLS, run_call
from memory import agents, archival, recall
from memory.embedder import Embedder
from memory.errors import InvalidValue
from memory.records import Agent, NewMessage, NewPassage
from memory.store import MemoryStore
from tests.agent.harness import PERSON, call, new_agent, use

NOTES = (
    NewPassage(
        "The cat sleeps on the boiler.",
        ("home", "pets"),
        occurred_at=datetime(2026, 3, 30, 12, tzinfo=UTC),
    ),
    NewPassage(
        "The boiler was serviced.", ("home",), occurred_at=datetime(2026, 3, 31, 21, 30, tzinfo=UTC)
    ),
    NewPassage(
        "The dog fears the boiler.", ("pets",), occurred_at=datetime(2026, 4, 1, 9, tzinfo=UTC)
    ),
)


@pytest.fixture
def noted(store: MemoryStore, agent: Agent) -> Agent:
    """Ada, with three notes in her archive."""
    with store.write(PERSON) as transaction:
        archival.insert_passages(transaction, agent, NOTES)
    return agent


@pytest.fixture(scope="module")
def by_meaning(minilm: Embedder) -> Iterator[MemoryStore]:
    with MemoryStore(None, lambda: minilm) as store:
        yield store


def tell(store: MemoryStore, agent: Agent, *messages: NewMessage) -> None:
    with store.write(PERSON) as transaction:
        last = recall.last_sequence(transaction, agent)
        recall.append_messages(transaction, agent, "turn-1", last, messages)


# The archive


def test_a_hit_is_a_line_with_its_day(store: MemoryStore, noted: Agent) -> None:
    result = use(store, noted, "archival_memory_search", query="cat")
    assert result == "- [2026-03-30] The cat sleeps on the boiler."


def test_nothing_found_is_said(store: MemoryStore, noted: Agent) -> None:
    assert use(store, noted, "archival_memory_search", query="giraffe") == "No results found."


def test_the_day_is_the_agents_own(store: MemoryStore) -> None:
    agent = new_agent(store, "tokyo")
    with store.write(PERSON) as transaction:
        agent = agents.update_agent(transaction, agent, {"timezone": "Asia/Tokyo"})
        archival.insert_passages(transaction, agent, NOTES[1:2])
    result = use(store, agent, "archival_memory_search", query="boiler")
    assert result == "- [2026-04-01] The boiler was serviced."


def test_tags_filter_before_the_limit_is_applied(store: MemoryStore, agent: Agent) -> None:
    many = [NewPassage("boiler boiler boiler", ("noise",)) for _ in range(300)]
    with store.write(PERSON) as transaction:
        archival.insert_passages(transaction, agent, [*many, NewPassage("a boiler", ("rare",))])
    result = use(store, agent, "archival_memory_search", query="boiler", tags=["rare"], top_k=1)
    assert result.endswith("a boiler")


@pytest.mark.parametrize(
    ("mode", "found"),
    [("any", ["cat", "dog", "serviced"]), ("all", ["cat"])],
)
def test_tags_match_any_or_all(
    store: MemoryStore, noted: Agent, mode: str, found: list[str]
) -> None:
    result = use(
        store,
        noted,
        "archival_memory_search",
        query="boiler",
        tags=["home", "pets"],
        tag_match_mode=mode,
    )
    assert [word for word in ("cat", "dog", "serviced") if word in result] == found


@pytest.mark.parametrize(
    ("start", "end", "found"),
    [
        (None, "2026-03-31", ["cat", "serviced"]),
        ("2026-03-31", None, ["dog", "serviced"]),
        ("2026-03-31", "2026-03-31", ["serviced"]),
        ("2026-03-30T12:00", "2026-03-30T12:00", ["cat"]),
        ("2026-04-02", None, []),
    ],
)
def test_dates_are_inclusive_and_a_day_ends_in_the_evening(
    store: MemoryStore, noted: Agent, start: str | None, end: str | None, found: list[str]
) -> None:
    result = use(
        store,
        noted,
        "archival_memory_search",
        query="boiler",
        start_datetime=start,
        end_datetime=end,
    )
    assert [word for word in ("cat", "dog", "serviced") if word in result] == found


def test_ten_results_are_given_unless_more_are_asked_for(store: MemoryStore, agent: Agent) -> None:
    with store.write(PERSON) as transaction:
        notes = [NewPassage(f"boiler note {number}") for number in range(30)]
        archival.insert_passages(transaction, agent, notes)
    default = use(store, agent, "archival_memory_search", query="boiler")
    more = use(store, agent, "archival_memory_search", query="boiler", top_k=25)
    assert (len(default.splitlines()), len(more.splitlines())) == (10, 25)


def test_agents_do_not_find_each_others_notes(store: MemoryStore, noted: Agent) -> None:
    other = new_agent(store, "grace")
    assert use(store, other, "archival_memory_search", query="boiler") == "No results found."


def test_a_note_is_found_by_its_meaning(by_meaning: MemoryStore) -> None:
    agent = new_agent(by_meaning, "meaning")
    texts = ("The physician removed her appendix.", "The bakery opens at six.", "Rain is likely.")
    with by_meaning.write(PERSON) as transaction:
        archival.insert_passages(transaction, agent, [NewPassage(text) for text in texts])
    assert by_meaning.embedding.settle(None, 30)
    with by_meaning.read() as reader:
        found = search_archive(
            Scope(by_meaning, reader, agent),
            ArchivalSearch(query="a doctor's operation"),
            Wishes(explain=True),
        )
    best = found.results[0]
    assert found.by_meaning
    assert best.content == "The physician removed her appendix."
    assert best.why is not None and best.why.vector > 0


# The conversation


@pytest.fixture
def talked(store: MemoryStore, agent: Agent) -> Agent:
    """Ada, with a short conversation."""
    tell(
        store,
        agent,
        NewMessage("user", "I planted indigo."),
        NewMessage("assistant", "Indigo is a fine plant."),
        NewMessage("tool", "indigo indigo", tool_call_id="call-1"),
        NewMessage("user", "It is blue."),
        NewMessage("assistant", "I see."),
    )
    return agent


def test_what_was_said_is_found_with_who_said_it(store: MemoryStore, talked: Agent) -> None:
    result = use(store, talked, "conversation_search", query="indigo")
    assert {line.split("] ", 1)[1] for line in result.splitlines()} == {
        "user: I planted indigo.",
        "assistant: Indigo is a fine plant.",
    }


def test_roles_filter(store: MemoryStore, talked: Agent) -> None:
    result = use(store, talked, "conversation_search", query="indigo", roles=["user"])
    assert result.endswith("user: I planted indigo.")
    assert len(result.splitlines()) == 1


def test_without_a_query_the_newest_come_first(store: MemoryStore, talked: Agent) -> None:
    result = use(store, talked, "conversation_search", limit=3)
    assert [line.split("] ", 1)[1] for line in result.splitlines()] == [
        "assistant: I see.",
        "user: It is blue.",
        "assistant: Indigo is a fine plant.",
    ]


@pytest.mark.parametrize("query", ["indigo", None])
def test_dates_filter_the_conversation_too(
    store: MemoryStore, talked: Agent, query: str | None
) -> None:
    today = datetime.now(UTC).date().isoformat()
    within = use(store, talked, "conversation_search", query=query, end_date="2100-01-01")
    before = use(store, talked, "conversation_search", query=query, end_date="2020-01-01")
    since = use(store, talked, "conversation_search", query=query, start_date=today)
    assert within == since != "No results found."
    assert before == "No results found."


@pytest.mark.parametrize("query", ["indigo", None])
def test_a_turn_does_not_find_its_own_messages(
    store: MemoryStore, talked: Agent, query: str | None
) -> None:
    tell(store, talked, NewMessage("user", "Where is the indigo now?"))
    with store.read() as reader:
        own = recall.newest_messages(reader, talked, ["user"], recall.Span(), 1)[0]
        scope = Scope(store, reader, talked, before_doc=own.doc)
        result = run_call(scope, ALL_TOOLS, call("conversation_search", query=query))
    assert "I planted indigo." in result
    assert "Where is" not in result


# What hosts may wish for


@pytest.mark.parametrize(
    ("searched", "found"),
    [
        ("archive", {"The cat sleeps on the boiler."}),
        ("recall", {"My cat is called Tom."}),
        ("both", {"The cat sleeps on the boiler.", "My cat is called Tom."}),
    ],
)
def test_archive_conversation_or_both_are_searched_and_hits_say_where_they_are_from(
    store: MemoryStore, noted: Agent, searched: Searched, found: set[str]
) -> None:
    tell(store, noted, NewMessage("user", "My cat is called Tom."))
    with store.read() as reader:
        wanted = ArchivalSearch(query="cat")
        hits = search_archive(Scope(store, reader, noted), wanted, Wishes(searched=searched))
    assert {hit.content for hit in hits.results} == found
    for hit in hits.results:
        said = hit.id.startswith("message-")
        assert said == (hit.content == "My cat is called Tom.")
        assert (hit.author, hit.session) == (("user", "turn-1") if said else (None, None))


def test_the_first_page_of_one_search_is_not_continued_by_another(
    store: MemoryStore, noted: Agent
) -> None:
    tell(store, noted, *(NewMessage("user", f"The boiler, part {n}.") for n in range(3)))
    with store.read() as reader:
        scope, wanted = Scope(store, reader, noted), ArchivalSearch(query="boiler", top_k=1)
        cursor = search_archive(scope, wanted, Wishes(searched="both")).next_cursor
        others: tuple[Searched, ...] = ("archive", "recall")
        for searched in others:
            with pytest.raises(InvalidValue, match="change nothing else"):
                search_archive(scope, wanted, Wishes(cursor, searched=searched))


def test_neighbours_are_shown_when_they_are_asked_for(store: MemoryStore, talked: Agent) -> None:
    with store.read() as reader:
        scope = Scope(store, reader, talked)
        wanted = ConversationSearch(query="blue")
        (hit,) = search_conversation(scope, wanted, Wishes(neighbours=1)).results
        (plain,) = search_conversation(scope, wanted).results
    assert [(n.step, n.author, n.content) for n in hit.neighbours] == [
        (-1, "assistant", "Indigo is a fine plant."),
        (1, "assistant", "I see."),
    ]
    assert plain.neighbours == ()


def test_an_explained_hit_has_its_ranks_and_the_parts_of_its_score(
    store: MemoryStore, noted: Agent
) -> None:
    with store.read() as reader:
        wanted = ArchivalSearch(query="cat on 30 March 2026")
        best = search_archive(Scope(store, reader, noted), wanted, Wishes(explain=True)).results[0]
    why = best.why
    assert why is not None and why.keyword_rank == 1 and why.vector_rank is None
    parts = why.keyword + why.vector + why.author + why.date + why.session + why.question
    assert why.date == 1.0 and why.score == pytest.approx(parts, abs=1e-3)


# What is refused


@pytest.mark.parametrize("tool", ["archival_memory_search", "conversation_search"])
@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("", "query is empty; give it some text"),
        (" \n", "query is empty; give it some text"),
        ("a\0b", "query holds a NUL character at position 1; remove it"),
        ("x" * 1_000_000, "query has 1000000 characters"),
        ("\ud800", "nicode"),
    ],
)
def test_a_query_that_is_none_is_refused(
    store: MemoryStore, noted: Agent, tool: str, query: str, told: str
) -> None:
    result = use(store, noted, tool, query=query)
    assert result.startswith("Error: ")
    assert told in result
    assert len(result) < 300


@pytest.mark.parametrize(
    ("tool", "argument"),
    [
        ("archival_memory_search", "start_datetime"),
        ("archival_memory_search", "end_datetime"),
        ("conversation_search", "start_date"),
        ("conversation_search", "end_date"),
    ],
)
@pytest.mark.parametrize("date", ["tomorrow", "2026-02-30", "31.3.2026", "2026-13-01", "99999-1-1"])
def test_a_date_that_is_none_is_refused_with_one_that_would_do(
    store: MemoryStore, noted: Agent, tool: str, argument: str, date: str
) -> None:
    result = use(store, noted, tool, query="boiler", **{argument: date})
    assert f"{date!r} is no date; write 2026-03-31 or 2026-03-31T18:00" in result


def test_a_range_that_ends_before_it_begins_is_refused(store: MemoryStore, noted: Agent) -> None:
    result = use(
        store, noted, "conversation_search", start_date="2026-04-01", end_date="2026-03-01"
    )
    assert "lies before" in result


@pytest.mark.parametrize(
    "arguments",
    [{"top_k": 0}, {"top_k": 101}, {"top_k": "many"}, {"tag_match_mode": "some"}, {"tags": "home"}],
)
def test_an_argument_out_of_its_range_is_refused(
    store: MemoryStore, noted: Agent, arguments: dict[str, object]
) -> None:
    result = use(store, noted, "archival_memory_search", query="boiler", **arguments)
    assert result.startswith(f"Error: {next(iter(arguments))}")
    assert "archival_memory_search takes query, tags, tag_match_mode, top_k" in result
