"""Short words for what the tests of memory do: an agent's memory, and texts of every kind."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from hypothesis import strategies as st

from memory import agents, archival, blocks, core_memory, events, recall
from memory.agents import NewAgent
from memory.records import (
    Agent,
    AgentState,
    Block,
    Event,
    Message,
    NewMessage,
    NewPassage,
    Origin,
    Passage,
)
from memory.search_pages import MessageHit, Page, PassageHit, Query
from memory.store import MemoryStore
from memory.transaction import Reader, Transaction

TEST = Origin("person:test", "test", "request-1")

ALL_TEXTS = 30.0
"""Seconds until every text must have its vectors, on a busy machine."""


def words_only_store() -> MemoryStore:
    """In memory, without an embedder and without VSS, whose loading takes most of the opening."""
    return MemoryStore(None, load_embedder=None, vss_file=Path("none"))


def texts(min_size: int = 1, max_size: int = 40) -> st.SearchStrategy[str]:
    """Texts that can be stored: any characters but NUL and halves of surrogate pairs."""
    surrogates: tuple[Literal["Cs"]] = ("Cs",)
    letters = st.characters(exclude_categories=surrogates, exclude_characters="\0")
    return st.text(letters, min_size=min_size, max_size=max_size)


def filled_texts(max_size: int = 40) -> st.SearchStrategy[str]:
    """Texts that are more than white space."""
    return texts(1, max_size).filter(lambda text: bool(text.strip()))


@dataclass(frozen=True)
class MemoryOf:
    """One agent's memory in a store; every change is a transaction of its own."""

    store: MemoryStore
    agent: Agent

    @classmethod
    def new_agent(cls, store: MemoryStore, name: str, **settings: Any) -> "MemoryOf":
        drafts = (Block("persona", "I am helpful."), Block("human", "Ada", limit_chars=20))
        with store.write(TEST) as transaction:
            new = NewAgent(name, **{"blocks": drafts, **settings})
            return cls(store, agents.create_agent(transaction, new))

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        with self.store.write(TEST) as transaction:
            yield transaction

    @contextmanager
    def read(self) -> Iterator[Reader]:
        with self.store.read() as reader:
            yield reader

    def say(self, *said: NewMessage | str) -> list[Message]:
        new = [NewMessage("user", item) if isinstance(item, str) else item for item in said]
        with self.write() as transaction:
            last = recall.last_sequence(transaction, self.agent)
            return recall.append_messages(transaction, self.agent, "turn-1", last, new)

    def archive(self, *passages: NewPassage | str) -> list[Passage]:
        new = [NewPassage(item) if isinstance(item, str) else item for item in passages]
        with self.write() as transaction:
            return archival.insert_passages(transaction, self.agent, new)

    def forget(self, passage: Passage) -> None:
        with self.write() as transaction:
            archival.delete_passage(transaction, self.agent, passage.id)

    def append(self, label: str, text: str) -> Block:
        with self.write() as transaction:
            return core_memory.edit_block(
                transaction, self.agent, label, lambda block: blocks.append(block, text)
            )

    def block(self, label: str) -> Block:
        with self.read() as reader:
            return core_memory.get_block(reader, self.agent, label)

    def state(self) -> AgentState:
        return self.store.agent_state(self.agent.id)

    def events(self) -> list[Event]:
        with self.read() as reader:
            return events.list_events(reader, self.agent.id, limit=10_000)

    def search(self, text: str, **query: Any) -> tuple[list[PassageHit], Page]:
        with self.read() as reader:
            return self.store.search_passages(reader, Query(self.agent.archive_key, text, **query))

    def found(self, text: str, **query: Any) -> list[str]:
        """The texts of the passages that are found."""
        return [hit.passage.text for hit in self.search(text, **query)[0]]

    def search_messages(self, text: str, **query: Any) -> tuple[list[MessageHit], Page]:
        with self.read() as reader:
            return self.store.search_messages(reader, Query(self.agent.key, text, **query))

    def said(self, text: str, **query: Any) -> list[str]:
        """The contents of the messages that are found."""
        return [hit.message.content for hit in self.search_messages(text, **query)[0]]

    def embedded(self) -> "MemoryOf":
        """This memory, once all its texts have vectors."""
        assert self.store.embedding.settle(None, ALL_TEXTS)
        return self


def labels(found: Sequence[Block]) -> list[str]:
    return [block.label for block in found]
