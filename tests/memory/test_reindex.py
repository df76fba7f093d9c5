"""Embedding everything again: with progress, interrupted, resumed."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from memory.database import Database
from memory.embedder import Embedder, TextKind, Vectors
from memory.meta import stored_embedder
from memory.reindex import reindex
from memory.store import MemoryStore
from tests.memory.given import MemoryOf

TEXTS = [f"passage {n} about the sea" for n in range(399)] + ["The cat sleeps."]


class Shorter:
    """Another embedder: the first half of the real one's vectors."""

    name = "shorter"

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self.dimensions = embedder.dimensions // 2

    def embed(self, texts: Sequence[str], kind: TextKind) -> Vectors:
        return self._embedder.embed(texts, kind)[:, : self.dimensions]

    def split(self, text: str) -> list[str]:
        return self._embedder.split(text)


@pytest.fixture
def shorter(minilm: Embedder) -> Embedder:
    return Shorter(minilm)


@pytest.fixture
def embedded(path: Path, open_store: Callable[[Path], AbstractContextManager[MemoryStore]]) -> Path:
    """A file with a hundred passages that have MiniLM's vectors."""
    with open_store(path) as store:
        MemoryOf.new_agent(store, "Ada").archive(*TEXTS)
        assert store.embedding.settle(None, 60)
    return path


def vectors(database: Database) -> int:
    with database.read() as reader:
        pending = int(reader.value("count_pending"))
    return len(TEXTS) - pending


def test_another_embedder_takes_over_with_progress_from_nothing_to_all(
    embedded: Path, shorter: Embedder
) -> None:
    told: list[tuple[int, int]] = []
    with Database(embedded) as database:
        assert reindex(database, shorter, lambda *progress: told.append(progress)) == len(TEXTS)
        with database.read() as reader:
            assert stored_embedder(reader) == "shorter"
    assert told[0] == (0, len(TEXTS)) and told[-1] == (len(TEXTS), len(TEXTS))
    assert told == sorted(told) and len(told) > 3
    with MemoryStore(embedded, lambda: shorter) as store:
        ada = MemoryOf(store, store.agent_state("Ada").agent)
        hits, page = ada.search("the cat", limit=1)
        assert page.by_meaning and hits[0].passage.text == "The cat sleeps."


def test_a_reindex_that_is_interrupted_goes_on_where_it_was(
    embedded: Path, shorter: Embedder
) -> None:
    def interrupt(done: int, total: int) -> None:
        if done >= total / 2:
            raise KeyboardInterrupt

    with Database(embedded) as database, pytest.raises(KeyboardInterrupt):
        reindex(database, shorter, interrupt)
    with Database(embedded) as database:
        half = vectors(database)
        assert len(TEXTS) / 2 <= half < len(TEXTS)
        assert reindex(database, shorter, lambda *_: None) == len(TEXTS) - half
        assert vectors(database) == len(TEXTS)


def test_with_the_same_embedder_there_is_nothing_to_do_unless_forced(
    embedded: Path, minilm: Embedder
) -> None:
    with Database(embedded) as database:
        assert reindex(database, minilm, lambda *_: None) == 0
        assert reindex(database, minilm, lambda *_: None, force=True) == len(TEXTS)


def test_a_server_goes_on_with_an_interrupted_reindex(embedded: Path, shorter: Embedder) -> None:
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with Database(embedded) as database, pytest.raises(KeyboardInterrupt):
        reindex(database, shorter, interrupt)
    with MemoryStore(embedded, lambda: shorter) as store:
        ada = MemoryOf(store, store.agent_state("Ada").agent)
        assert ada.found("the cat", limit=1) == ["The cat sleeps."]
        assert vectors(ada.embedded().store.database) == len(TEXTS)
