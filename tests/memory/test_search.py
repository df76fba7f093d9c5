"""Search: against naive oracles, filter first, in pages of one ranking, explained."""

import math
import random
import threading
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory import archival
from memory.dates import parse_range
from memory.embedder import Embedder, TextKind, Vectors
from memory.errors import InvalidValue
from memory.records import NewMessage, NewPassage
from memory.search_pages import Query
from memory.store import MemoryStore
from memory.terms import indexed_text, terms
from tests.memory.given import MemoryOf, words_only_store

ANIMALS = [
    "The cat sleeps on the warm sofa all day.",
    "A dog barked at the postman this morning.",
    "Quarterly revenue grew by nine percent.",
    "My sister plays the violin in an orchestra.",
    "The recipe needs two eggs and a cup of flour.",
]
WORDS = "tea milk sugar lemon honey ginger water mint rum ice".split()


def bm25(query: str, documents: dict[str, str]) -> dict[str, float]:
    """BM25 straight from the formula: k1 1.2, b 0.75, idf ln(1 + (n - df + .5) / (df + .5))."""
    counts = {name: Counter(terms(text)) for name, text in documents.items()}
    mean = sum(c.total() for c in counts.values()) / len(counts)
    found: dict[str, float] = {}
    for term in set(terms(query)):
        df = sum(term in c for c in counts.values())
        idf = math.log(1 + (len(counts) - df + 0.5) / (df + 0.5))
        for name, c in counts.items():
            if term in c:
                norm = 1.2 * (0.25 + 0.75 * c.total() / mean)
                found[name] = found.get(name, 0.0) + idf * c[term] * 2.2 / (c[term] + norm)
    return found


@given(
    st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=8), min_size=1, max_size=12),
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=4),
)
@settings(max_examples=20)
def test_keyword_scores_are_those_of_the_formula(said: list[list[str]], asked: list[str]) -> None:
    with words_only_store() as store:
        memory = MemoryOf.new_agent(store, "Ada", blocks=())
        stored = memory.archive(*(" ".join(words) for words in said))
        hits, page = memory.search(" ".join(asked), limit=100)
    expected = bm25(" ".join(asked), {passage.id: passage.text for passage in stored})
    assert {hit.passage.id: hit.why.bm25 for hit in hits} == pytest.approx(expected)
    assert not page.by_meaning


def test_cosines_are_those_of_numpy(ada: MemoryOf, minilm: Embedder) -> None:
    ada.archive(*ANIMALS)
    hits, page = ada.embedded().search("Which pet naps on the couch?")
    query = minilm.embed(["Which pet naps on the couch?"], "query")[0]
    for hit in hits:
        expected = float(np.dot(minilm.embed([hit.passage.text], "passage")[0], query))
        assert hit.why.cosine == pytest.approx(expected, abs=1e-5)
    assert page.by_meaning and hits[0].passage.text == ANIMALS[0]


def test_a_long_passage_is_found_by_what_its_end_says(ada: MemoryOf, minilm: Embedder) -> None:
    filler = "The committee discussed the annual budget of the town. " * 80
    ada.archive(filler + "A kitten was sleeping on the sofa.", *ANIMALS[2:])
    hits, _ = ada.embedded().search("nap of a young cat")
    assert hits[0].passage.text.startswith("The committee")
    assert len(minilm.split(hits[0].passage.text)) > 1


def test_a_passage_is_found_by_word_at_once_even_inside_the_transaction_that_writes_it(
    store: MemoryStore, ada: MemoryOf
) -> None:
    with ada.write() as transaction:
        archival.insert_passages(transaction, ada.agent, [NewPassage("a zebra")])
        query = Query(ada.agent.archive_key, "zebra")
        assert [hit.passage.text for hit in store.search_passages(transaction, query)[0]] == [
            "a zebra"
        ]


def test_a_passage_just_written_is_found_by_meaning(ada: MemoryOf) -> None:
    ada.archive(*ANIMALS)
    ada.embedded()
    ada.archive("A hound growled at the mailman.")
    assert "A hound growled at the mailman." in ada.found("angry canine", limit=2)


def test_an_archive_never_answers_for_another(store: MemoryStore, ada: MemoryOf) -> None:
    bob = MemoryOf.new_agent(store, "bob")
    ada.archive("my cat is called Tom")
    bob.archive("my dog is called Rex")
    ada.say("my parrot is called Polly")
    ada.embedded()
    assert bob.found("cat") == ["my dog is called Rex"] and bob.said("parrot") == []
    assert ada.said("cat") == ["my parrot is called Polly"]


@pytest.fixture
def tagged(words_only: MemoryStore) -> MemoryOf:
    memory = MemoryOf.new_agent(words_only, "Ada")
    memory.archive(
        *(
            NewPassage(f"tea {n}", tags, occurred_at=datetime(2026, 3, 28 + n, 23, tzinfo=UTC))
            for n, tags in enumerate([("a",), ("a", "b"), ("b",), ()])
        )
    )
    return memory


def test_tags_filter_by_any_or_by_all(tagged: MemoryOf) -> None:
    assert sorted(tagged.found("tea", tags_any=("a", "b"))) == ["tea 0", "tea 1", "tea 2"]
    assert tagged.found("tea", tags_all=("a", "b")) == ["tea 1"]
    assert tagged.found("tea", tags_any=("c",)) == []


@pytest.mark.parametrize(
    ("zone", "expected"), [("UTC", ["tea 1", "tea 2"]), ("Europe/Berlin", ["tea 0", "tea 1"])]
)
def test_dates_filter_by_whole_days_of_the_agents_time_zone(
    tagged: MemoryOf, zone: str, expected: list[str]
) -> None:
    since, until = parse_range("2026-03-29", "2026-03-30", zone)
    assert sorted(tagged.found("tea", since=since, until=until)) == expected


def test_a_filter_comes_before_the_limit(words_only: MemoryStore) -> None:
    memory = MemoryOf.new_agent(words_only, "Ada")
    memory.archive("a long text in which tea is one word of many", *["tea tea tea"] * 400)
    rare = memory.archive(NewPassage("tea is mentioned here only in passing", ("rare",)))[0]
    assert memory.found("tea", tags_any=("rare",), limit=1) == [rare.text]


def test_a_score_does_not_depend_on_what_is_filtered_out(tagged: MemoryOf) -> None:
    whole = {hit.passage.id: hit.why.bm25 for hit in tagged.search("tea 1")[0]}
    for hit in tagged.search("tea 1", tags_any=("a",))[0]:
        assert hit.why.bm25 == whole[hit.passage.id]


def test_pages_joined_are_the_ranking_whatever_is_written_between_them(
    words_only: MemoryStore,
) -> None:
    memory = MemoryOf.new_agent(words_only, "Ada")
    choose = random.Random(7)  # noqa: S311
    memory.archive(*(" ".join(choose.choices(WORDS, k=9)) + f" {n}" for n in range(150)))
    whole = memory.found("tea honey", limit=100)
    pages: list[str] = []
    cursor = None
    while len(pages) < 100:
        hits, page = memory.search("tea honey", limit=25, cursor=cursor)
        pages += [hit.passage.text for hit in hits]
        memory.archive("tea honey tea honey")
        cursor = page.next_cursor
        if cursor is None:
            break
    assert len(pages) == len(set(pages)) == 100
    assert pages == whole


def test_the_last_page_has_no_cursor(words_only: MemoryStore) -> None:
    memory = MemoryOf.new_agent(words_only, "Ada")
    memory.archive("tea 1", "tea 2", "tea 3")
    hits, page = memory.search("tea", limit=2)
    assert len(hits) == 2 and page.next_cursor
    hits, page = memory.search("tea", limit=2, cursor=page.next_cursor)
    assert len(hits) == 1 and page.next_cursor is None


@pytest.mark.parametrize("cursor", ["x", "AAAA", "\ud800", "1:100:5:abc", "é" * 10_000])
def test_a_cursor_that_is_none_of_ours_is_refused(tagged: MemoryOf, cursor: str) -> None:
    with pytest.raises(InvalidValue, match="repeat the search without it"):
        tagged.search("tea", cursor=cursor)


def test_a_cursor_of_another_query_is_refused(tagged: MemoryOf) -> None:
    cursor = tagged.search("tea", limit=1)[1].next_cursor
    for other in ({"text": "milk"}, {"text": "tea", "tags_any": ("a",)}):
        with pytest.raises(InvalidValue, match="change nothing else"):
            tagged.search(**{"limit": 1, "cursor": cursor, **other})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "query is empty"),
        (" \n", "query is empty"),
        ("a\0", "NUL"),
        ("\ud800", "lone surrogate"),
        ("x" * 1_000_000, "996000 over the limit of 4000"),
    ],
)
def test_a_query_that_cannot_be_asked_is_refused(tagged: MemoryOf, text: str, message: str) -> None:
    with pytest.raises(InvalidValue, match=message):
        tagged.search(text)


@pytest.mark.parametrize("limit", [0, -1, 101])
def test_a_limit_outside_its_range_is_refused(tagged: MemoryOf, limit: int) -> None:
    with pytest.raises(InvalidValue, match="outside 1 to 100"):
        tagged.search("tea", limit=limit)


def test_a_query_of_signs_only_finds_nothing_by_word(tagged: MemoryOf) -> None:
    assert tagged.found("?!") == []


def test_a_hit_says_why_it_is_one(ada: MemoryOf) -> None:
    ada.archive(
        NewPassage("The cat sleeps.", author="Bob", session="chat", sequence=1),
        NewPassage("It snores, too.", author="Bob", session="chat", sequence=2),
        "A cat is an animal.",
        *ANIMALS[2:],
    )
    hits = ada.embedded().search("what did Bob say about a cat")[0]
    first, second = (hit for hit in hits if hit.passage.author)
    assert first.passage.text == "The cat sleeps."
    assert first.why.bm25 > 0 and first.why.cosine and first.why.author == 1.0
    assert second.passage.text == "It snores, too."
    assert second.why.bm25_in_context > second.why.bm25
    assert (first.why.keyword_rank, first.why.vector_rank) == (1, 1)


def test_author_and_date_of_a_passage_can_be_asked_for(words_only: MemoryStore) -> None:
    memory = MemoryOf.new_agent(words_only, "Ada")
    when = datetime(2026, 3, 7, tzinfo=UTC)
    memory.archive(NewPassage("it rained", author="Grace", occurred_at=when), "it snowed")
    assert memory.found("grace") == memory.found("march") == ["it rained"]
    assert indexed_text("it rained", "Grace", when) == "[7 March 2026] Grace: it rained"


def test_messages_are_filtered_by_role_and_date(ada: MemoryOf) -> None:
    said = ada.say("tea for me", NewMessage("assistant", "tea for you"))
    now = said[0].created_at
    assert ada.said("tea", roles=("user",)) == ["tea for me"]
    assert ada.said("tea", since=now + timedelta(seconds=1)) == []
    assert len(ada.said("tea", since=now, until=now + timedelta(seconds=1))) == 2


def test_a_search_sees_one_moment_while_others_delete(words_only: MemoryStore) -> None:
    memory = MemoryOf.new_agent(words_only, "Ada")
    passages = memory.archive(*(f"tea {n}" for n in range(60)))

    def delete() -> None:
        for passage in passages:
            memory.forget(passage)

    deleting = threading.Thread(target=delete)
    deleting.start()
    sizes = [len(memory.found("tea", limit=100))]
    while deleting.is_alive():
        sizes.append(len(memory.found("tea", limit=100)))
    deleting.join()
    assert sizes == sorted(sizes, reverse=True) and memory.found("tea") == []


def test_what_tags_have_chosen_is_ranked_last_and_not_left_out(ada: MemoryOf) -> None:
    far = NewPassage("Quarterly revenue grew by nine percent.", tags=("work",))
    ada.archive(far, *ANIMALS)
    ada.embedded()
    assert ada.found("violin orchestra zebra", tags_any=("work",)) == [far.text]


class Gated:
    """The real embedder, which embeds passages only once `gate` is open."""

    def __init__(self, embedder: Embedder) -> None:
        self.name, self.dimensions, self.split = embedder.name, embedder.dimensions, embedder.split
        self.gate = threading.Event()
        self._embedder = embedder

    def embed(self, texts: Sequence[str], kind: TextKind) -> Vectors:
        if kind == "passage":
            self.gate.wait(30)
        return self._embedder.embed(texts, kind)


def test_a_page_says_how_many_texts_it_could_not_compare_by_meaning(minilm: Embedder) -> None:
    gated = Gated(minilm)
    with MemoryStore(None, load_embedder=lambda: gated) as store:
        ada = MemoryOf.new_agent(store, "Ada")
        ada.archive(*ANIMALS)
        assert ada.search("pet")[1].pending == len(ANIMALS)
        gated.gate.set()
        ada.embedded()
        assert ada.search("pet")[1].pending == 0
