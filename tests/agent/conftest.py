"""The event loop of these tests, a store in memory, and the packaged embedder, loaded once."""

from collections.abc import Iterator

import pytest

from memory.embedder import Embedder
from memory.embedders.factory import load_embedder
from memory.records import Agent
from memory.store import MemoryStore
from tests.agent.harness import new_agent


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def minilm() -> Embedder:
    return load_embedder()


@pytest.fixture
def store() -> Iterator[MemoryStore]:
    """Everything in memory, searched by words only."""
    with MemoryStore(None, None) as opened:
        yield opened


@pytest.fixture
def agent(store: MemoryStore) -> Agent:
    """Ada, with the blocks persona and human."""
    return new_agent(store, "ada")
