"""The HNSW index: its answer is the exact one; never a deleted passage, never one too few."""

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from memory import agents
from memory.embedder import Embedder, TextKind, Vectors
from memory.records import NewPassage
from memory.store import MemoryStore, SearchMeans
from tests.memory.given import MemoryOf

SUBJECTS = "cat dog teacher sailor baker doctor robot queen farmer painter".split()
VERBS = "sees likes buys draws paints carries forgets remembers sells cleans".split()
OBJECTS = "a boat the piano an apple two letters the moon old shoes bread a map".split()
PLACES = ["at night", "in Rome", "by the sea", "at home", "on Monday", "in the rain"]
THRESHOLD = 300


def sentences(count: int, seed: int = 1) -> list[str]:
    choose = random.Random(seed)  # noqa: S311
    lists = (SUBJECTS, VERBS, OBJECTS, PLACES)
    return [" ".join(choose.choice(words) for words in lists) + f" ({n})" for n in range(count)]


def passages() -> list[NewPassage]:
    """600, of which every other one has the tag even."""
    return [NewPassage(s, () if n % 2 else ("even",)) for n, s in enumerate(sentences(600))]


class Remembering:
    """The real embedder, which embeds each text once for all tests."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self.name, self.dimensions = embedder.name, embedder.dimensions
        self._seen: dict[str, Vectors] = {}

    def embed(self, texts: Sequence[str], kind: TextKind) -> Vectors:
        new = [text for text in texts if text not in self._seen]
        self._seen.update(zip(new, self._embedder.embed(new, kind), strict=True))
        return np.array([self._seen[text] for text in texts])

    def split(self, text: str) -> list[str]:
        return self._embedder.split(text)


@pytest.fixture(scope="module")
def embedder(minilm: Embedder) -> Embedder:
    return Remembering(minilm)


def until(fact: Callable[[], bool]) -> None:
    """Wait for the index's own thread; it reports to nobody."""
    waiting = threading.Event()
    for _ in range(2_000):
        if fact():
            return
        waiting.wait(0.01)
    raise AssertionError("the index was not built")


@pytest.fixture
def indexed(embedder: Embedder) -> Iterator[MemoryOf]:
    """An archive of 600 sentences behind an index that holds them all."""
    with MemoryStore(None, lambda: embedder, means=SearchMeans(0, THRESHOLD)) as store:
        memory = MemoryOf.new_agent(store, "Ada")
        memory.archive(*passages())
        memory.embedded()
        until(lambda: memory.agent.archive_key in store.index.collections)
        yield memory


@pytest.fixture
def exact(embedder: Embedder) -> Iterator[MemoryOf]:
    """The same archive, searched exactly."""
    with MemoryStore(None, lambda: embedder) as store:
        memory = MemoryOf.new_agent(store, "Ada")
        memory.archive(*passages())
        yield memory.embedded()


def test_the_answers_are_the_exact_ones(indexed: MemoryOf, exact: MemoryOf) -> None:
    asked = [f"which {s} {v} something?" for s in SUBJECTS for v in VERBS[:2]]
    same = sum(len(set(indexed.found(query)) & set(exact.found(query))) for query in asked)
    assert same >= 0.99 * 10 * len(asked)


def test_a_filtered_search_is_exact(indexed: MemoryOf, exact: MemoryOf) -> None:
    for query in ("a pet at home", "music", "royalty and fruit"):
        found = indexed.search(query, tags_any=("even",))[0]
        wanted = exact.search(query, tags_any=("even",))[0]
        assert [hit.passage.text for hit in found] == [hit.passage.text for hit in wanted]


def test_a_deleted_passage_is_never_found(indexed: MemoryOf) -> None:
    for _ in range(3):
        hits = indexed.search("the cat by the sea")[0]
        for hit in hits:
            indexed.forget(hit.passage)
        gone = {hit.passage.id for hit in hits}
        after = indexed.search("the cat by the sea")[0]
        assert len(after) == 10 and not gone & {hit.passage.id for hit in after}


def test_a_new_passage_is_found_at_once(indexed: MemoryOf) -> None:
    for n, text in enumerate(["volcanoes erupt", "taxes are due", "chess has openings"]):
        indexed.archive(text)
        indexed.embedded()
        assert indexed.found(["lava", "paying the state", "a board game"][n], limit=1) == [text]


def test_no_search_that_races_with_the_index_misses_what_is_embedded(indexed: MemoryOf) -> None:
    new = [f"a submarine dives deep number {n}" for n in range(120)]

    def write() -> None:
        for start in range(0, len(new), 6):
            indexed.archive(*new[start : start + 6])

    writer = threading.Thread(target=write)
    writer.start()
    seen = 0
    while writer.is_alive():
        found = indexed.found("underwater vessel", limit=100)
        now = sum("submarine" in text for text in found)
        assert now >= min(seen, 100)
        seen = now
    writer.join()
    indexed.embedded()
    found = indexed.found("underwater vessel", limit=100)
    # A date makes a filter, and a filtered search is exact.
    exactly = indexed.found("underwater vessel", limit=100, since=datetime(1970, 1, 1, tzinfo=UTC))
    assert len(set(found) & set(exactly)) >= 99


def test_an_archive_is_indexed_again_after_a_restart(embedder: Embedder, path: Path) -> None:
    with MemoryStore(path, lambda: embedder) as store:
        memory = MemoryOf.new_agent(store, "Ada")
        memory.archive(*sentences(THRESHOLD))
        memory.embedded()
        assert not store.index.collections
    with MemoryStore(path, lambda: embedder, means=SearchMeans(0, THRESHOLD)) as store:
        again = MemoryOf(store, memory.agent)
        until(lambda: memory.agent.archive_key in store.index.collections)
        assert len(again.found("a pet at home")) == 10


def test_a_small_archive_is_not_indexed_and_a_deleted_one_no_longer(
    embedder: Embedder, indexed: MemoryOf
) -> None:
    small = MemoryOf.new_agent(indexed.store, "Bob")
    small.archive(*sentences(20))
    small.embedded()
    with indexed.write() as transaction:
        agents.delete_agent(transaction, indexed.agent)
    until(lambda: not indexed.store.index.collections)
    assert indexed.found("a pet at home") == [] and len(small.found("a pet at home")) == 10


def test_without_the_extension_every_search_is_exact_and_the_reason_is_told(
    embedder: Embedder, exact: MemoryOf, tmp_path: Path
) -> None:
    missing = tmp_path / "no.duckdb_extension"
    with MemoryStore(None, lambda: embedder, means=SearchMeans(0, 10), vss_file=missing) as store:
        memory = MemoryOf.new_agent(store, "Ada")
        memory.archive(*sentences(600))
        memory.embedded()
        assert memory.found("a pet at home") == exact.found("a pet at home")
        assert not store.index.collections
        assert "no.duckdb_extension" in str(store.index.vss_error)


def test_a_damaged_extension_is_not_loaded(tmp_path: Path) -> None:
    damaged = tmp_path / "vss.duckdb_extension"
    damaged.write_bytes(b"not an extension" * 1_000)
    with MemoryStore(None, None, means=SearchMeans(0, 1), vss_file=damaged) as store:
        assert store.index.vss_error
        assert MemoryOf.new_agent(store, "Ada").archive("tea")


def test_closing_while_an_index_is_built_ends_promptly(embedder: Embedder, path: Path) -> None:
    with MemoryStore(path, lambda: embedder) as store:
        memory = MemoryOf.new_agent(store, "Ada")
        memory.archive(*sentences(600) * 4)
        memory.embedded()
    store = MemoryStore(path, lambda: embedder, means=SearchMeans(0, THRESHOLD))
    until(lambda: bool(store.index.collections))
    began = time.monotonic()
    store.close()
    assert time.monotonic() - began < 2
