"""The event loop of these tests, a store in memory, and the packaged embedder, loaded once."""

from collections.abc import Iterator

import pytest

from memory import agents
from memory.embedder import Embedder
from memory.embedders.factory import load_embedder
from memory.records import Agent
from memory.store import MemoryStore
from tests.agent.harness import PERSON, new_agent


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def minilm() -> Embedder:
    return load_embedder()


@pytest.fixture(scope="session")
def store_in_memory() -> Iterator[MemoryStore]:
    with MemoryStore(None, None) as opened:
        yield opened


@pytest.fixture
def store(store_in_memory: MemoryStore) -> Iterator[MemoryStore]:
    """A store without agents, searched by words only; emptied, for opening one takes longer."""
    yield store_in_memory
    with store_in_memory.write(PERSON) as transaction:
        for agent in agents.list_agents(transaction):
            agents.delete_agent(transaction, agent)


@pytest.fixture
def agent(store: MemoryStore) -> Agent:
    """Ada, with the blocks persona and human."""
    return new_agent(store, "ada")
