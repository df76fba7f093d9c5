"""Importing: each passage once, however often it comes, and the index is that of the texts."""

import gc
import threading
import tracemalloc
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory import archival
from memory.embedder import Embedder, TextKind, Vectors
from memory.errors import InvalidValue
from memory.importing import MAX_CHARS, MAX_PASSAGES, Imported, import_passages
from memory.records import NewPassage, Passage
from memory.store import MemoryStore
from memory.terms import indexed_text, term_counts
from tests.memory.given import MemoryOf, filled_texts, words_only_store

NOON = datetime(2026, 3, 31, 12, tzinfo=UTC)


@pytest.fixture
def ada(words_only: MemoryStore) -> MemoryOf:
    return MemoryOf.new_agent(words_only, "Ada")


def bring(ada: MemoryOf, *passages: NewPassage) -> list[Passage]:
    """Import passages, each counted as a copy of the same ones before it."""
    seen: Counter[NewPassage] = Counter()
    imported = []
    for new in passages:
        imported.append(Imported(new, seen[new]))
        seen[new] += 1
    with ada.write() as transaction:
        return import_passages(transaction, ada.agent, imported)


def test_what_the_archive_holds_is_not_stored_again(ada: MemoryOf) -> None:
    tea = NewPassage("tea", ("drinks",), "Ada", "list.txt", "one", 1, NOON)
    assert len(bring(ada, tea)) == 1
    in_tokyo = NOON.astimezone(timezone(timedelta(hours=9)))
    same = NewPassage("tea", ("hot",), "Ada", "list.txt", "one", 7, in_tokyo)
    assert bring(ada, same) == []


@pytest.mark.parametrize(
    "other",
    [
        NewPassage("Tea", (), "Ada", "a", "b", 1, NOON),
        NewPassage("tea", (), None, "a", "b", 1, NOON),
        NewPassage("tea", (), "Ada", "c", "b", 1, NOON),
        NewPassage("tea", (), "Ada", "a", None, 1, NOON),
        NewPassage("tea", (), "Ada", "a", "b", 1, NOON + timedelta(seconds=1)),
    ],
)
def test_what_differs_in_what_is_said_or_by_whom_where_and_when_is_another(
    ada: MemoryOf, other: NewPassage
) -> None:
    bring(ada, NewPassage("tea", (), "Ada", "a", "b", 1, NOON))
    assert len(bring(ada, other)) == 1


def test_a_passage_of_another_archive_is_not_held(ada: MemoryOf) -> None:
    bob = MemoryOf.new_agent(ada.store, "Bob")
    bring(bob, NewPassage("tea"))
    assert len(bring(ada, NewPassage("tea"))) == 1


def test_what_is_brought_in_parts_has_its_place_in_the_session(ada: MemoryOf) -> None:
    lines = [NewPassage(f"line {n}", session="file") for n in range(5)]
    bring(ada, *lines[:2])
    assert [p.sequence for p in bring(ada, *lines)] == [3, 4, 5]


@pytest.mark.parametrize(
    ("passages", "message"),
    [
        ([NewPassage("a"), NewPassage(" ")], "passage 2: the passage is empty"),
        ([NewPassage("a")] * (MAX_PASSAGES + 1), "1001 passages of 1001 characters are too many"),
        ([NewPassage("a" * (MAX_CHARS // 10))] * 11, "1100000 characters are too many"),
    ],
)
def test_an_import_that_cannot_be_stored_stores_nothing(
    ada: MemoryOf, passages: Sequence[NewPassage], message: str
) -> None:
    with pytest.raises(InvalidValue, match=message):
        bring(ada, *passages)
    assert all(event.action != "passage.insert" for event in ada.events())


SAID = st.builds(
    NewPassage,
    st.sampled_from(["tea", "tea and tea", "milk"]) | filled_texts(12),
    author=st.sampled_from([None, "Ada"]),
)
STEPS = st.lists(
    st.tuples(st.sampled_from(["import", "import", "fail", "delete"]), st.lists(SAID, max_size=40)),
    max_size=8,
)


@given(STEPS)
@settings(max_examples=30)
def test_the_archive_and_its_index_are_those_of_what_was_brought_and_deleted(
    steps: list[tuple[str, list[NewPassage]]],
) -> None:
    with words_only_store() as store:
        ada, held = MemoryOf.new_agent(store, "Ada"), dict[str, Passage]()
        for step, passages in steps:
            if step == "import":
                before = Counter((p.text, p.author) for p in held.values())
                new = bring(ada, *passages)
                held |= {passage.id: passage for passage in new}
                wanted = before | Counter((p.text, p.author) for p in passages)
                assert Counter((p.text, p.author) for p in held.values()) == wanted
            elif step == "delete":
                for passage in list(held.values())[::3]:
                    ada.forget(held.pop(passage.id))
            else:
                with pytest.raises(ZeroDivisionError), ada.write() as transaction:
                    archival.insert_passages(transaction, ada.agent, passages)
                    for passage in list(held.values())[::2]:
                        archival.delete_passage(transaction, ada.agent, passage.id)
                    raise ZeroDivisionError
        counts = {p.doc: term_counts(indexed_text(p.text, p.author, None)) for p in held.values()}
        postings = sorted(
            (d, term, tf) for d, found in counts.items() for term, tf in found.items()
        )
        with ada.read() as reader:
            archive = ada.agent.archive_key
            assert sorted(reader.rows("postings_of", collection=archive)) == postings
            ((documents, mean),) = reader.rows(
                "collection_lengths", collection=archive, before_doc=None
            )
        assert documents == len(held)
        assert round(documents * mean) == sum(c.total() for c in counts.values()) or not held


class Stuck:
    """The real embedder, which does nothing until it is let go."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self.name, self.dimensions = embedder.name, embedder.dimensions
        self.go = threading.Event()

    def embed(self, texts: Sequence[str], kind: TextKind) -> Vectors:
        assert self.go.wait(60)
        return self._embedder.embed(texts, kind)

    def split(self, text: str) -> list[str]:
        return self._embedder.split(text)


def test_what_waits_for_vectors_waits_in_the_database_and_not_in_memory(minilm: Embedder) -> None:
    stuck = Stuck(minilm)
    with MemoryStore(None, lambda: stuck) as store:
        ada = MemoryOf.new_agent(store, "Ada")

        def insert(round_: int) -> int:
            """Insert 500 kB of text and return what Python holds after it, in bytes."""
            text = "tea " * 1_250
            ada.archive(*(f"{round_} {n} {text}" for n in range(100)))
            gc.collect()
            return tracemalloc.get_traced_memory()[0]

        tracemalloc.start()
        try:
            first, *_, last = [insert(round_) for round_ in range(6)]
        finally:
            tracemalloc.stop()
            stuck.go.set()
        assert last - first < 250_000
        assert store.embedding.behind == 600
