"""Collections in memory: they answer as the database does, after whatever happened to it."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memory import archival
from memory.clones import Parts, clone_agent
from memory.embedder import TextKind, Vectors
from memory.gathering import Collection, Kind, Wanted
from memory.records import NewMessage, NewPassage, Passage
from memory.resident.cache import BYTES_PER_DOCUMENT
from memory.resident.collection import ResidentCollection
from memory.resident.growing import Growing
from memory.resident.postings import MAX_TAIL, Postings
from memory.resident.vectors import ResidentVectors, quantise
from memory.search_pages import Query
from memory.store import MemoryStore, SearchMeans
from memory.stored import StoredCorpus
from memory.surroundings import Texts
from memory.transaction import Reader, to_json
from memory.vectors import Filter
from tests.memory.given import MemoryOf, words_only_store

WORDS = "tea milk sugar, lemon honey ginger?".split()
DAY = datetime(2026, 3, 31, tzinfo=UTC)


class ByLetters:
    """An embedder without a model: texts with the same letters are near. Long texts have parts."""

    name, dimensions = "letters", 26

    def embed(self, texts: Sequence[str], kind: TextKind) -> Vectors:
        rows = [[text.lower().count(chr(97 + i)) + 0.01 for i in range(26)] for text in texts]
        found = np.asarray(rows, np.float32)
        unit: Vectors = found / np.linalg.norm(found, axis=1, keepdims=True)
        return unit

    def split(self, text: str) -> list[str]:
        return [text[:20], text[20:]] if len(text) > 20 else [text]


said = st.lists(st.sampled_from(WORDS), min_size=1, max_size=9).map(" ".join)
passages = st.builds(
    NewPassage,
    said,
    tags=st.lists(st.sampled_from(["a", "b", "c"]), max_size=2, unique=True).map(tuple),
    author=st.sampled_from([None, "Ada", "Bob"]),
    session=st.sampled_from([None, "one", "two"]),
    sequence=st.none() | st.integers(0, 20),
    occurred_at=st.none() | st.integers(0, 3).map(lambda days: DAY + timedelta(days)),
)
some_tags = st.none() | st.lists(st.sampled_from(["a", "b", "x"]), min_size=1).map(to_json)
filters = st.builds(
    Filter,
    tags_any=some_tags,
    tags_all=some_tags,
    roles=st.none() | st.just(to_json(["user"])),
    since=st.none() | st.just(datetime(2026, 4, 1)),
    until=st.none() | st.just(datetime(2026, 4, 2)),
)


@dataclass(frozen=True)
class Step:
    """Something that happens to an agent's memory; and whether somebody searches it then."""

    kind: str
    new: tuple[NewPassage, ...]
    at: int
    searched: bool


steps = st.builds(
    Step,
    st.sampled_from(["archive", "archive", "say", "forget", "forget", "clone"]),
    st.lists(passages, min_size=1, max_size=5).map(tuple),
    st.integers(0, 30),
    st.booleans(),
)
searches = st.tuples(said, filters, st.sampled_from(["passages", "passages", "messages"]))


@pytest.fixture(scope="module")
def store() -> Iterator[MemoryStore]:
    with MemoryStore(None, ByLetters, vss_file=Path("none")) as opened:
        yield opened


@pytest.fixture(scope="module")
def words_only() -> Iterator[MemoryStore]:
    with words_only_store() as opened:
        yield opened


def happen(memory: MemoryOf, kept: list[Passage], step: Step) -> MemoryOf:
    """Do it, and return whose memory the next step is about. kept: its passages."""
    match step.kind:
        case "archive":
            kept += memory.archive(*step.new)
        case "say":
            for new in step.new:
                memory.say(new.text, NewMessage("assistant", new.text))
        case "forget" if kept:
            memory.forget(kept.pop(step.at % len(kept)))
        case "clone":
            with memory.write() as transaction:
                name, parts = f"{memory.agent.name}+", Parts(messages=True)
                clone = MemoryOf(memory.store, clone_agent(transaction, memory.agent, name, parts))
            kept.clear()
            return clone
    return memory


def collection(memory: MemoryOf, kind: Kind) -> Collection:
    return Collection(memory.agent.archive_key if kind == "passages" else memory.agent.key, kind)


def in_memory(memory: MemoryOf, kind: Kind) -> ResidentCollection:
    found = memory.store.resident.get(collection(memory, kind))
    assert found is not None
    return found


def named(texts: Texts) -> list[dict[str, Any]]:
    """Texts as rows, with names in place of numbers that only mean something among each other."""
    proposed = (texts.keyword_rank > 0, texts.vector_rank > 0)
    return [
        {
            "doc": int(texts.doc[n]),
            "length": int(texts.length[n]),
            "dated": int(texts.dated[n]),
            "counts": texts.counts[n].tolist(),
            "author": None if texts.author[n] < 0 else texts.authors[texts.author[n]],
            "sequence": int(texts.sequence[n]) if texts.thread[n] >= 0 else None,
            "thread of": int(np.argmax(texts.thread == texts.thread[n])),
            "session of": int(np.argmax(texts.session == texts.session[n])),
            "in a session": bool(texts.session[n] >= 0),
            "asks": bool(texts.asks[n]),
            "only asks": bool(texts.only_asks[n]),
            "allowed": bool(texts.allowed[n]),
            "proposed": [bool(by[n]) for by in proposed],
        }
        for n in range(len(texts))
    ]


@given(st.lists(steps, min_size=1, max_size=8), searches)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_memory_answers_as_the_database_does(
    store: MemoryStore,
    words_only: MemoryStore,
    history: list[Step],
    search: tuple[str, Filter, Kind],
) -> None:
    for opened in (store, words_only):
        answers_alike(MemoryOf.new_agent(opened, f"Ada {uuid4()}"), history, *search)


def answers_alike(
    memory: MemoryOf, history: list[Step], query: str, where: Filter, kind: Kind
) -> None:
    kept = list[Passage]()
    in_memory(memory, kind)
    for step in history:
        memory = happen(memory, kept, step)
        if step.searched:
            in_memory(memory.embedded(), kind)
    memory.embedded()
    (vector,) = ByLetters().embed([query], "query")
    wanted = Wanted(query, vector, where, 100)
    with memory.read() as reader:
        stored = StoredCorpus(reader, collection(memory, kind))
        expected, newest = stored.gather(wanted), stored.newest()
    held = in_memory(memory, kind)
    answered = held.gather(wanted)
    assert named(answered.texts) == named(expected.texts)
    assert answered.texts.cosine == pytest.approx(expected.texts.cosine, abs=1e-4, nan_ok=True)
    assert answered.statistics.idf == pytest.approx(expected.statistics.idf)
    assert held.newest() == newest


def test_a_page_holds_what_its_first_one_saw(store: MemoryStore) -> None:
    memory = MemoryOf.new_agent(store, "Pages")
    memory.archive(*(f"tea {n}" for n in range(20)))
    first, page = memory.search("tea", limit=10)
    memory.archive("tea tea tea")
    second, _ = memory.search("tea", limit=10, cursor=page.next_cursor)
    texts = [hit.passage.text for hit in (*first, *second)]
    assert sorted(texts) == sorted(f"tea {n}" for n in range(20))


def test_a_transaction_finds_what_it_wrote_itself(store: MemoryStore) -> None:
    memory = MemoryOf.new_agent(store, "Writes")
    with memory.write() as transaction:
        archival.insert_passages(transaction, memory.agent, [NewPassage("tea, unseen")])
        query = Query(memory.agent.archive_key, "tea")
        hits, _ = store.search_passages(transaction, query)
        assert [hit.passage.text for hit in hits] == ["tea, unseen"]
        assert memory.found("tea") == []
    assert memory.found("tea") == ["tea, unseen"]


def test_what_was_searched_last_stays_within_the_bound() -> None:
    bound = 40 * BYTES_PER_DOCUMENT
    with MemoryStore(None, ByLetters, SearchMeans(bound), vss_file=Path("none")) as store:
        many = [MemoryOf.new_agent(store, f"Ada {n}") for n in range(30)]
        for memory in many:
            memory.archive(*(f"tea {n}" for n in range(30)))
            assert memory.embedded().found("tea 7")[0] == "tea 7"
            assert store.resident.nbytes <= bound
        assert many[-1].agent.archive_key in store.resident.collections
        assert many[0].agent.archive_key not in store.resident.collections
        assert many[0].found("tea 7")[0] == "tea 7"


def test_a_collection_beyond_the_bound_is_left_to_the_database() -> None:
    bound = 10 * BYTES_PER_DOCUMENT
    with MemoryStore(None, ByLetters, SearchMeans(bound), vss_file=Path("none")) as store:
        memory = MemoryOf.new_agent(store, "Ada")
        memory.archive(*(f"tea {n}" for n in range(11)))
        assert memory.embedded().found("tea 7")[0] == "tea 7"
        assert not store.resident.collections


def test_what_outgrows_the_bound_is_let_go_and_found_all_the_same() -> None:
    bound = 10 * BYTES_PER_DOCUMENT
    with MemoryStore(None, None, SearchMeans(bound), vss_file=Path("none")) as store:
        memory = MemoryOf.new_agent(store, "Ada")
        memory.archive(*(" ".join(f"tea{n}x{i}" for i in range(200)) for n in range(9)))
        for _ in range(2):
            assert len(memory.found("tea3x7")) == 1
            assert not store.resident.collections


def test_without_memory_every_search_asks_the_database() -> None:
    with MemoryStore(None, None, SearchMeans(0), vss_file=Path("none")) as store:
        memory = MemoryOf.new_agent(store, "Ada")
        memory.archive("tea", "milk")
        assert memory.found("tea") == ["tea"]
        assert not store.resident.collections


def test_a_large_collection_is_read_in_the_background(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memory.resident.cache.AT_ONCE", 10)
    with MemoryStore(None, ByLetters, vss_file=Path("none")) as store:
        memory = MemoryOf.new_agent(store, "Ada")
        memory.archive(*(f"tea {n}" for n in range(30)))
        assert memory.embedded().found("tea 7")[0] == "tea 7"
        store.resident.settle()
        assert memory.agent.archive_key in store.resident.collections
        assert memory.found("tea 7")[0] == "tea 7"


def test_while_a_very_large_collection_is_read_searches_are_by_words_and_say_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("memory.resident.cache.AT_ONCE", 10)
    monkeypatch.setattr("memory.resident.cache.WORDS_FIRST", 20)
    may_read, read_on = threading.Event(), ResidentCollection.read_on

    def read_later(held: ResidentCollection, reader: Reader) -> None:
        may_read.wait(60)
        read_on(held, reader)

    monkeypatch.setattr(ResidentCollection, "read_on", read_later)
    with MemoryStore(None, ByLetters, vss_file=Path("none")) as store:
        memory = MemoryOf.new_agent(store, "Ada")
        memory.archive(*(f"tea {n}" for n in range(30)))
        hits, page = memory.embedded().search("tea 7")
        assert hits[0].passage.text == "tea 7" and not page.by_meaning
        may_read.set()
        store.resident.settle()
        assert memory.search("tea 7")[1].by_meaning


def test_searches_while_others_write_and_delete_find_what_is_there(store: MemoryStore) -> None:
    memory, failed = MemoryOf.new_agent(store, "Busy"), list[BaseException]()
    memory.archive("kept tea")

    def write() -> None:
        try:
            for n in range(30):
                (passage,) = memory.archive(f"milk {n}")
                memory.forget(passage)
        except BaseException as error:
            failed.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    while writer.is_alive():
        assert "kept tea" in memory.found("tea milk")
    writer.join()
    assert not failed
    assert memory.found("tea milk") == ["kept tea"]


@given(st.lists(st.lists(st.integers(0, 9), max_size=30), max_size=6))
def test_an_array_that_grows_holds_what_was_appended(parts: list[list[int]]) -> None:
    grown = Growing(np.int64)
    for part in parts:
        grown.append(part)
    assert grown.values.tolist() == [number for part in parts for number in part]


def test_postings_sorted_in_are_the_postings_that_were_appended() -> None:
    postings, rows = Postings(), MAX_TAIL // 3
    for part in range(4):
        positions = np.arange(part * rows, (part + 1) * rows, dtype=np.int32)
        postings.append((positions % 7).astype(np.uint64), positions, positions % 5)
    positions, counts = postings.of(3)
    assert positions.tolist() == list(range(3, 4 * rows, 7))
    assert counts.tolist() == [position % 5 for position in range(3, 4 * rows, 7)]
    assert [len(column) for column in postings.of(8)] == [0, 0]


def unit(rows: int, seed: int) -> Vectors:
    found = np.random.default_rng(seed).standard_normal((rows, 48)).astype(np.float32)
    rows_of_length_1: Vectors = found / np.linalg.norm(found, axis=1, keepdims=True)
    return rows_of_length_1


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_two_planes_hold_a_vector_to_four_digits(seed: int) -> None:
    vectors = unit(50, seed)
    rows = quantise(vectors)
    back = (rows.coarse + rows.fine / 254) * rows.scale[:, None]
    assert np.abs(back - vectors).max() < 1e-4


@given(st.integers(0, 2**32 - 1), st.floats(0, 1), st.integers(1, 30))
@settings(max_examples=40, deadline=None)
def test_the_nearest_are_those_of_exact_search_among_what_is_allowed(
    seed: int, share: float, limit: int
) -> None:
    # Every third document has two vectors, as a long text has.
    vectors, owners = unit(400, seed), np.repeat(np.arange(300), np.tile([1, 1, 2], 100))
    held = ResidentVectors(48)
    held.append(vectors, owners.astype(np.int32))
    allowed = np.random.default_rng(seed).random(300) < share
    (query,) = unit(1, seed + 1)
    exact = {
        int(document): float((vectors[owners == document] @ query).max())
        for document in np.flatnonzero(allowed)
    }
    best = sorted(exact, key=lambda document: -exact[document])[:limit]
    found = held.nearest(query, allowed, limit)
    assert len(found) == len(best)
    assert all(exact[document] >= exact[best[-1]] - 1e-4 for document in found)
    assert [found[document] for document in found] == pytest.approx(
        [exact[document] for document in found], abs=1e-4
    )
    asked = np.flatnonzero(allowed)
    assert held.cosines(query, asked) == pytest.approx(list(exact.values()), abs=1e-4)
