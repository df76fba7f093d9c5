"""What the tests of memory share: one loaded embedder, stores, and a way to write."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import hypothesis
import pytest

from memory.embedder import Embedder
from memory.embedders.factory import load_embedder
from memory.store import MemoryStore
from tests.memory.given import MemoryOf, words_only_store

hypothesis.settings.register_profile("here", deadline=None, max_examples=50)
hypothesis.settings.register_profile("ci", deadline=None, max_examples=50, derandomize=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "here")


@pytest.fixture(scope="session")
def minilm() -> Embedder:
    return load_embedder("minilm")


@pytest.fixture
def store(minilm: Embedder) -> Iterator[MemoryStore]:
    """Everything in memory, with the real embedder."""
    with MemoryStore(None, load_embedder=lambda: minilm) as opened:
        yield opened


@pytest.fixture
def words_only() -> Iterator[MemoryStore]:
    """Everything in memory, without an embedder."""
    with words_only_store() as opened:
        yield opened


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mnemon.duckdb"


@pytest.fixture
def ada(store: MemoryStore) -> MemoryOf:
    """An agent with blocks persona and human, in `store`."""
    return MemoryOf.new_agent(store, "ada")


@pytest.fixture
def open_store(minilm: Embedder) -> Callable[[Path], AbstractContextManager[MemoryStore]]:
    """Opens a file with the real embedder."""
    return lambda path: MemoryStore(path, load_embedder=lambda: minilm)
