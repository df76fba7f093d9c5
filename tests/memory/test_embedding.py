"""The embedding queue: behind the writer, never lost, never in the way of closing."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from memory import agents
from memory.embedder import Embedder, TextKind, Vectors
from memory.errors import EmbedderMismatch
from memory.search_pages import Query
from memory.store import MemoryStore
from tests.memory.given import MemoryOf

OpenStore = Callable[[Path], AbstractContextManager[MemoryStore]]


class Guarded:
    """The real embedder behind a gate: it fails, or waits, when it is told to."""

    def __init__(self, embedder: Embedder, name: str | None = None) -> None:
        self._embedder = embedder
        self.name, self.dimensions = name or embedder.name, embedder.dimensions
        self.open, self.waiting = threading.Event(), threading.Event()
        self.open.set()
        self.broken = False
        self.poison: str | None = None

    def embed(self, texts: Sequence[str], kind: TextKind) -> Vectors:
        if kind == "passage":
            self.waiting.set()
            assert self.open.wait(60)
        if self.broken:
            raise RuntimeError("out of memory")
        if self.poison and any(self.poison in text for text in texts):
            raise ValueError("cannot be tokenized")
        return self._embedder.embed(texts, kind)

    def split(self, text: str) -> list[str]:
        return self._embedder.split(text)


@pytest.fixture
def guarded(minilm: Embedder) -> Guarded:
    return Guarded(minilm)


def pending(memory: MemoryOf) -> int:
    with memory.read() as reader:
        return agents.holdings(reader, memory.agent).pending_vectors


def test_texts_of_both_kinds_get_their_vectors(ada: MemoryOf) -> None:
    ada.archive("tea", "coffee")
    ada.say("hello")
    assert pending(ada.embedded()) == 0


def test_what_a_run_left_without_vectors_gets_them_in_the_next(
    path: Path, open_store: OpenStore
) -> None:
    with MemoryStore(path, None) as store:
        ada = MemoryOf.new_agent(store, "Ada")
        ada.archive(*(f"passage {n}" for n in range(100)), "The cat sleeps.")
        assert pending(ada) == 101
    with open_store(path) as store:
        again = MemoryOf(store, ada.agent)
        assert "The cat sleeps." in again.embedded().found("feline", limit=1)
        assert pending(again) == 0


def test_a_passage_deleted_while_it_waits_leaves_no_vector(guarded: Guarded) -> None:
    with MemoryStore(None, lambda: guarded) as store:
        ada = MemoryOf.new_agent(store, "Ada")
        guarded.open.clear()
        first, second, last = ada.archive("tea", "milk", "rum")
        assert guarded.waiting.wait(60)
        ada.forget(second)
        ada.forget(last)
        guarded.open.set()
        ada.embedded()
        with ada.read() as reader:
            assert reader.value("count_vectors", collection=ada.agent.archive_key) == 1
        assert ada.found("tea") == [first.text] and pending(ada) == 0


def test_an_agent_deleted_while_its_texts_wait_leaves_no_vector(guarded: Guarded) -> None:
    with MemoryStore(None, lambda: guarded) as store:
        ada = MemoryOf.new_agent(store, "Ada")
        guarded.open.clear()
        ada.archive("tea")
        assert guarded.waiting.wait(60)
        with ada.write() as transaction:
            agents.delete_agent(transaction, ada.agent)
        guarded.open.set()
        ada.embedded()
        with ada.read() as reader:
            assert reader.value("count_vectors", collection=ada.agent.archive_key) == 0


def test_a_failing_embedder_leaves_keyword_search_and_is_tried_again(guarded: Guarded) -> None:
    with MemoryStore(None, lambda: guarded) as store:
        ada = MemoryOf.new_agent(store, "Ada")
        assert store.embedding.query_vector("load it", 60) is not None
        guarded.broken = True
        ada.archive("tea")
        assert store.embedding.settle([ada.agent.archive_key], 60)
        assert "out of memory" in str(store.embedding.problem) and pending(ada) == 1
        guarded.broken = False
        assert ada.found("tea") == ["tea"]
        ada.archive("milk")
        while pending(ada):
            store.embedding.settle(None, 1)
        assert store.embedding.problem is None


def test_a_text_that_cannot_be_embedded_is_skipped_once_and_for_all(
    guarded: Guarded, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    guarded.poison = "poison"
    with MemoryStore(path, lambda: guarded) as store:
        ada = MemoryOf.new_agent(store, "Ada")
        _, bad, _ = ada.archive("tea", "poisoned herring", "milk")
        (last,) = ada.embedded().archive("poisoned apple")
        assert pending(ada.embedded()) == 0 and store.embedding.problem is None
        assert ada.found("herring", limit=1) == ["poisoned herring"]
        with ada.read() as reader:
            assert reader.value("count_vectors", collection=ada.agent.archive_key) == 2
    said = [record.getMessage() for record in caplog.records]
    assert [f"document {p.doc} " in line for p, line in zip((bad, last), said, strict=True)]
    with MemoryStore(path, lambda: guarded) as store:
        assert pending(MemoryOf(store, ada.agent).embedded()) == 0
    assert len(caplog.records) == 2, "it is not tried again after a restart"


def test_an_embedder_that_cannot_be_loaded_leaves_keyword_search() -> None:
    def load() -> Embedder:
        raise OSError("the weights are gone")

    with MemoryStore(None, load) as store:
        ada = MemoryOf.new_agent(store, "Ada")
        ada.archive("tea")
        hits, page = ada.search("tea")
        assert len(hits) == 1 and not page.by_meaning
        assert str(store.embedding.problem) == "the weights are gone"


def test_vectors_of_another_embedder_are_never_mixed_with_the_stored_ones(
    path: Path, open_store: OpenStore, minilm: Embedder
) -> None:
    with open_store(path) as store:
        ada = MemoryOf.new_agent(store, "Ada")
        ada.archive("tea")
        ada.embedded()
    with MemoryStore(path, lambda: Guarded(minilm, "another")) as store:
        again = MemoryOf(store, ada.agent)
        with pytest.raises(EmbedderMismatch, match="run `mnemon reindex`"):
            again.search("tea")
        again.archive("is still stored")
    with open_store(path) as store:
        assert MemoryOf(store, ada.agent).embedded().found("is stored", limit=1)


def test_an_embedder_of_another_width_may_own_a_new_file_while_somebody_reads(
    minilm: Embedder, path: Path
) -> None:
    class Narrow(Guarded):
        def embed(self, texts: Sequence[str], kind: TextKind) -> Vectors:
            return super().embed(texts, kind)[:, :64]

    narrow = Narrow(minilm, "narrow")
    narrow.dimensions = 64
    may_load = threading.Event()

    def load() -> Embedder:
        assert may_load.wait(60)
        return narrow

    for name in ("Ada", "Bob"):  # the second time, the width comes from the file
        with MemoryStore(path, load) as store:
            ada = MemoryOf.new_agent(store, name)
            ada.archive("The cat sleeps.", "Revenue grew.")
            with store.read() as reader:
                agents.find_agent(reader, name)
                may_load.set()
                query = Query(ada.agent.archive_key, "a sleeping cat", limit=1)
                hits, page = store.search_passages(reader, query)
            assert page.by_meaning and hits[0].passage.text == "The cat sleeps."


def test_closing_while_the_queue_is_busy_ends_promptly(minilm: Embedder, path: Path) -> None:
    store = MemoryStore(path, lambda: minilm)
    ada = MemoryOf.new_agent(store, "Ada")
    long = "The committee discussed the annual budget of the town at length. " * 1_500
    ada.archive(*[long] * 20)
    began = time.monotonic()
    store.close()
    assert time.monotonic() - began < 5
    with MemoryStore(path, None) as store:
        assert pending(MemoryOf(store, ada.agent)) == 20


WRITE_UNTIL_KILLED = """
import sys
from pathlib import Path
from memory.embedders.factory import load_embedder
from memory.store import MemoryStore
from tests.memory.given import MemoryOf
store = MemoryStore(Path(sys.argv[1]), load_embedder)
ada = MemoryOf.new_agent(store, "Ada")
n = 0
while True:
    ada.archive(*(f"passage {m} of the diary" for m in range(n, n + 5)))
    ada.say(f"message {n}")
    block = ada.append("persona", f"step {n}") if n < 400 else None
    n += 5
    print(n, flush=True)
"""


@pytest.mark.parametrize("acknowledgements", [3, 25])
def test_a_kill_loses_nothing_that_was_acknowledged_and_the_rest_is_embedded_next_time(
    path: Path, open_store: OpenStore, acknowledgements: int
) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITE_UNTIL_KILLED, path], stdout=subprocess.PIPE, text=True
    )
    with writer:
        assert writer.stdout
        for _ in range(acknowledgements):
            acknowledged = int(writer.stdout.readline())
        writer.send_signal(signal.SIGKILL)
        acknowledged = max([acknowledged, *map(int, writer.stdout.read().split())])
    with open_store(path) as store:
        ada = MemoryOf(store, store.agent_state("Ada").agent)
        ada.embedded()
        with ada.read() as reader:
            held = agents.holdings(reader, ada.agent)
            vectors = reader.value("count_vectors", collection=ada.agent.archive_key)
        state = ada.state()
        assert acknowledged <= held.passages <= acknowledged + 5
        assert held.messages == state.total_messages >= acknowledged // 5
        assert vectors == held.passages and held.pending_vectors == 0
        docs = [message.doc for message in state.messages]
        assert len(set(docs)) == len(docs)
        assert "passage 4 of the diary" in ada.found("diary passage 4")
