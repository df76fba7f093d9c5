"""What the ranking makes of a real store: neighbours, dates, both collections, a reranker."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory.gathering import Collection, Wanted
from memory.neighbours import messages_around, passages_around
from memory.records import NewMessage, NewPassage
from memory.search_pages import MessageHit, Query
from memory.store import MemoryStore
from memory.stored import StoredCorpus
from memory.vectors import Filter
from tests.memory.given import MemoryOf, words_only_store
from tests.memory.test_search import ANIMALS, WORDS


def test_what_stands_beside_a_hit_is_found_with_it(ada: MemoryOf) -> None:
    said = ["Where did you put the spare key?", "Under the blue pot.", "Fine, thank you."]
    noise = [f"Note {n}: the {WORDS[n]} was cold." for n in range(10)]
    ada.archive(*(NewPassage(line, session="chat") for line in said), *noise)
    found = ada.embedded().found("spare key", limit=2)
    assert "Under the blue pot." in found


def test_a_sequence_without_a_session_means_nothing(ada: MemoryOf, store: MemoryStore) -> None:
    bob = MemoryOf.new_agent(store, "bob")
    ada.archive(*(NewPassage(text, sequence=n) for n, text in enumerate(ANIMALS)))
    bob.archive(*ANIMALS)
    ada.embedded()
    for query in ("Which pet naps on the couch?", "eggs and a violin"):
        ours, theirs = ada.search(query)[0], bob.search(query)[0]
        assert [h.passage.text for h in ours] == [h.passage.text for h in theirs]
        assert [h.why.score for h in ours] == [h.why.score for h in theirs]


def test_a_day_that_is_named_is_preferred_and_is_the_agents_own(words_only: MemoryStore) -> None:
    memory = MemoryOf.new_agent(words_only, "Ada")
    late = datetime(2026, 3, 28, 23, 30, tzinfo=UTC)
    memory.archive("tea", NewPassage("tea", occurred_at=late), "tea")
    for zone, dated in (("UTC", 28), ("Europe/Berlin", 29)):
        for day in (28, 29):
            hits, _ = memory.search(f"tea on {day} March 2026", timezone=zone)
            given = [hit.why.date for hit in hits if hit.passage.occurred_at]
            assert given == [1.0 if day == dated else 0.0]


def test_a_question_that_is_archived_comes_after_what_answers_it(words_only: MemoryStore) -> None:
    memory = MemoryOf.new_agent(words_only, "Ada")
    memory.archive("Where is the key?", "That is the key.", "\u201cWho has the key?\u201d ")
    assert memory.found("key")[0] == "That is the key."


def test_a_question_that_was_archived_for_another_name_comes_after_the_facts(
    ada: MemoryOf,
) -> None:
    others = [f"Priya has seen the {word}." for word in WORDS]
    ada.archive("At what time does Samir have dinner?", "Priya eats supper at seven.", *others)
    found = ada.embedded().found("At what time does Priya have dinner?")
    assert found[0] == "Priya eats supper at seven."
    found = ada.found("who asked at what time we have dinner")
    assert found[0] == "At what time does Samir have dinner?"


@pytest.mark.parametrize(
    ("text", "only_asks"),
    [
        ("Where is the key?", True),
        ("Where? And since when?", True),
        ("\u00bfD\u00f3nde est\u00e1 la llave? ", True),
        ("\u9375\u306f\u3069\u3053\uff1f", True),
        ("The key is gone, right?", False),
        ("It is under the pot. Or is it?", False),
        ("Key: where?", False),
        ("The key is under the pot", False),
    ],
)
def test_only_a_text_without_a_telling_clause_only_asks(
    words_only: MemoryStore, text: str, only_asks: bool
) -> None:
    memory = MemoryOf.new_agent(words_only, "Ada")
    memory.archive(text)
    wanted = Wanted(text, None, Filter(), 10)
    with memory.read() as reader:
        collection = Collection(memory.agent.archive_key, "passages")
        texts = StoredCorpus(reader, collection).gather(wanted).texts
    assert texts.only_asks.tolist() == [only_asks]


class Longest:
    """Prefers long texts, and reads three."""

    depth = 3

    def scores(self, query: str, texts: Sequence[str]) -> Sequence[float]:
        return [len(text) for text in texts]


def test_a_reranker_orders_the_best_hits_anew_on_every_page_alike() -> None:
    texts = ["tea tea tea", "tea tea and milk", "tea and a lot of honey", "tea in a very large cup"]
    with MemoryStore(None, None, vss_file=Path("none"), reranker=Longest()) as store:
        memory = MemoryOf.new_agent(store, "Ada")
        memory.archive(*texts)
        whole = memory.search("tea")[0]
        first, page = memory.search("tea", limit=2)
        second, _ = memory.search("tea", limit=2, cursor=page.next_cursor)
    plain = sorted(whole, key=lambda hit: (-hit.why.score, hit.passage.doc))
    read = sorted(plain[:3], key=lambda hit: -len(hit.passage.text))
    assert whole == [*read, *plain[3:]] == [*first, *second]
    assert [hit.why.rerank for hit in whole] == [*(len(h.passage.text) for h in read), None]


def test_the_archive_and_the_conversation_are_searched_in_one_ranking(ada: MemoryOf) -> None:
    ada.archive("The cat is called Tom.", *ANIMALS[2:])
    ada.say("My dog is called Rex.", NewMessage("assistant", "Rex is a fine name."), "It rains.")
    query = Query(ada.embedded().agent.archive_key, "what is the dog called")
    with ada.read() as reader:
        hits, page = ada.store.search_both(reader, query, ada.agent)
    texts = [h.message.content if isinstance(h, MessageHit) else h.passage.text for h in hits]
    assert texts[0] == "My dog is called Rex." and "The cat is called Tom." in texts[:3]
    assert [h.why.score for h in hits] == sorted((h.why.score for h in hits), reverse=True)
    assert page.by_meaning


@given(
    st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=6), min_size=1, max_size=14),
    st.integers(1, 5),
)
@settings(max_examples=15)
def test_pages_over_both_lose_nothing_and_repeat_nothing(lines: list[list[str]], size: int) -> None:
    with words_only_store() as store:
        ada = MemoryOf.new_agent(store, "Ada")
        for number, words in enumerate(lines):
            line = " ".join(words)
            if number % 2:
                ada.say(line)
            else:
                ada.archive(NewPassage(line, session="chat" if number % 3 else None))

        def page(limit: int, cursor: str | None) -> tuple[list[int], str | None]:
            query = Query(ada.agent.archive_key, "tea honey", limit, cursor)
            with ada.read() as reader:
                hits, page = store.search_both(reader, query, ada.agent)
            return [hit.why.doc for hit in hits], page.next_cursor

        whole, _ = page(100, None)
        joined, cursor = page(size, None)
        while cursor is not None:
            ada.say("tea honey")
            ada.archive("tea honey")
            more, cursor = page(size, cursor)
            joined += more
    assert joined == whole


def test_messages_with_tool_results_between_them_are_neighbours(ada: MemoryOf) -> None:
    ada.say(
        "Which colour is the spare key?",
        NewMessage("assistant", ""),
        NewMessage("tool", "found it", tool_call_id="call-1"),
        NewMessage("assistant", "It is vermilion."),
        *(f"Note {n}: the {WORDS[n]} was cold." for n in range(8)),
    )
    hits, _ = ada.embedded().search_messages("spare key colour")
    answer = next(hit for hit in hits if hit.message.content == "It is vermilion.")
    assert answer.why.bm25_in_context > answer.why.bm25 == 0


def test_what_stands_around_a_hit_is_read_in_order_past_gaps_and_not_past_sessions(
    words_only: MemoryStore,
) -> None:
    ada = MemoryOf.new_agent(words_only, "Ada")
    chat = ada.archive(*(NewPassage(f"line {n}", session="chat") for n in range(6)))
    ada.archive(NewPassage("other", session="file"), "alone")
    ada.forget(chat[3])
    alone = ada.search("alone")[0][0].passage
    with ada.read() as reader:
        around = passages_around(reader, ada.agent, [chat[2], chat[5], alone], steps=2)
    shown = {
        hit: {step: passage.text for step, passage in beside.items()}
        for hit, beside in around.items()
    }
    assert shown[chat[2].doc] == {-2: "line 0", -1: "line 1", 1: "line 4", 2: "line 5"}
    assert shown[chat[5].doc] == {-2: "line 2", -1: "line 4"}
    assert alone.doc not in shown


def test_around_a_message_stands_what_was_said_and_no_tool_result(words_only: MemoryStore) -> None:
    ada = MemoryOf.new_agent(words_only, "Ada")
    said = ada.say(
        "one",
        NewMessage("assistant", " "),
        NewMessage("tool", "result", tool_call_id="call-1"),
        NewMessage("assistant", "two"),
        "three",
    )
    with ada.read() as reader:
        around = messages_around(reader, ada.agent, [said[3]], steps=1)
    assert {step: m.content for step, m in around[said[3].doc].items()} == {-1: "one", 1: "three"}
