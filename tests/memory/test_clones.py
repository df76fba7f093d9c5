"""Clones: what they have of another agent, and that nothing has to be embedded again for them."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Literal

import duckdb
import pytest

from memory import agents, core_memory
from memory.clones import Parts, clone_agent
from memory.embedder import Embedder, Vectors
from memory.errors import NameTaken, RunInProgress
from memory.records import NewPassage, View
from memory.store import MemoryStore, SearchMeans
from tests.memory.given import TEST, MemoryOf, labels


def cloned(of: MemoryOf, name: str = "Bob", **parts: bool) -> MemoryOf:
    with of.write() as transaction:
        return MemoryOf(of.store, clone_agent(transaction, of.agent, name, Parts(**parts)))


def test_a_clone_has_the_settings_blocks_and_archive_and_begins_a_new_conversation(
    words_only: MemoryStore,
) -> None:
    ada = MemoryOf.new_agent(
        words_only, "Ada", tags=("poet",), metadata={"team": 1}, settings={"max_steps": 3}
    )
    ada.say("hello")
    ada.archive(NewPassage("Ada sails.", ("sea",), session="s"))
    bob = cloned(ada)
    assert (bob.agent.tags, bob.agent.metadata) == (("poet",), {"team": 1})
    assert bob.agent.settings == {"max_steps": 3}
    assert bob.state().agent == bob.agent and bob.state().messages == ()
    assert bob.found("sails") == ["Ada sails."]
    bob.append("human", "Bob too")
    assert ada.block("human").value == "Ada"
    assert ada.search("sails")[0][0].passage.id != bob.search("sails")[0][0].passage.id


def test_shared_blocks_are_the_same_to_both(words_only: MemoryStore) -> None:
    ada = MemoryOf.new_agent(words_only, "Ada")
    bob = cloned(ada, share_blocks=True)
    bob.append("human", "and Bob")
    assert ada.block("human").value == "Ada\nand Bob"
    with ada.write() as transaction:
        gone = agents.delete_agent(transaction, ada.agent)
    assert labels(gone.shared_blocks) == ["persona", "human"]
    assert labels(bob.state().blocks) == ["persona", "human"]


def test_a_clone_with_messages_goes_on_where_the_other_is(words_only: MemoryStore) -> None:
    ada = MemoryOf.new_agent(words_only, "Ada")
    said = ada.say("one", "two", "three")
    with ada.write() as transaction:
        seen = {"human": "block-1:1"}
        view = View({"system": "the head"}, "It began with one.", seen, said[2].doc)
        agents.set_view(transaction, ada.agent, said[1].doc, view)
    source = MemoryOf(words_only, ada.state().agent)
    bob = cloned(source, messages=True)
    state = bob.state()
    assert [message.content for message in state.messages] == ["two", "three"]
    assert state.total_messages == 3
    steps_from = state.messages[1].doc
    assert state.agent.view == View(summary="It began with one.", steps_from=steps_from)
    bob.say("four")
    assert bob.said("one") == ["one"]
    assert ada.said("four") == []


def test_a_clone_of_an_agent_whose_window_is_empty_has_an_empty_window(
    words_only: MemoryStore,
) -> None:
    ada = MemoryOf.new_agent(words_only, "Ada")
    (message,) = ada.say("one")
    with ada.write() as transaction:
        agents.set_view(transaction, ada.agent, message.doc + 1, View(summary="One."))
    bob = cloned(MemoryOf(words_only, ada.state().agent), messages=True)
    assert bob.state().messages == ()
    bob.say("two")
    assert [message.content for message in bob.state().messages] == ["two"]


def test_a_clone_that_cannot_have_its_name_leaves_nothing(words_only: MemoryStore) -> None:
    ada = MemoryOf.new_agent(words_only, "Ada")
    ada.archive("one")
    with pytest.raises(NameTaken):
        cloned(ada, "ADA")
    with words_only.read() as reader:
        assert agents.list_agents(reader) == [ada.agent]
        assert reader.value("newest_document") == 1


def vectors(memory: MemoryOf, collection: int) -> int:
    with memory.read() as reader:
        return int(reader.value("count_vectors", collection=collection))


class Counting:
    """An embedder that keeps what it embedded of passages."""

    def __init__(self, of: Embedder) -> None:
        self.name, self.dimensions, self._of = of.name, of.dimensions, of
        self.embedded = list[str]()

    def split(self, text: str) -> list[str]:
        return list(self._of.split(text))

    def embed(self, texts: Sequence[str], kind: Literal["query", "passage"]) -> Vectors:
        self.embedded += texts if kind == "passage" else []
        return self._of.embed(texts, kind)


def test_vectors_are_copied_and_nothing_is_embedded_again(minilm: Embedder) -> None:
    counting = Counting(minilm)
    with MemoryStore(None, load_embedder=lambda: counting, means=SearchMeans(0, 2)) as store:
        ada = MemoryOf.new_agent(store, "Ada")
        ada.archive("The cat sat on the mat.", "Quarterly revenue grew.")
        ada.say("I love sailing.")
        ada.embedded()
        counting.embedded.clear()
        bob = cloned(ada, messages=True).embedded()
        assert (vectors(bob, bob.agent.archive_key), vectors(bob, bob.agent.key)) == (2, 1)
        assert bob.found("a kitten")[0] == "The cat sat on the mat."
        assert counting.embedded == []
        bob.archive("A new one.")
        bob.embedded()
        assert counting.embedded == ["A new one."]
        assert vectors(bob, bob.agent.archive_key) == 3


def test_copies_wait_for_their_vectors_when_some_text_still_waits(
    words_only: MemoryStore,
) -> None:
    ada = MemoryOf.new_agent(words_only, "Ada")
    ada.archive("one")
    bob = cloned(ada)
    with bob.read() as reader:
        assert reader.value("count_pending") == 2


def test_reset_messages_forgets_what_was_said_and_its_summary_and_nothing_else(
    store: MemoryStore,
) -> None:
    ada, bob = MemoryOf.new_agent(store, "Ada"), MemoryOf.new_agent(store, "Bob")
    bob.say("hello from Bob")
    said = ada.say("hello", "again")
    ada.archive("kept")
    ada.embedded()
    with ada.write() as transaction:
        agents.set_view(transaction, ada.agent, said[1].doc, View({"system": "head"}, "summary"))
    assert ada.state().agent.view.summary == "summary"
    with ada.write() as transaction:
        assert agents.reset_messages(transaction, ada.agent) == 2
    state = ada.state()
    assert (state.messages, state.total_messages) == ((), 0)
    assert (state.agent.view, state.agent.window_start) == (View(), 0)
    assert ada.said("hello") == [] and vectors(ada, ada.agent.key) == 0
    assert ada.found("kept") == ["kept"]
    assert bob.said("hello") == ["hello from Bob"]
    assert ada.say("new")[0].sequence == 1
    event = ada.events()[-1]
    assert (event.action, event.before) == ("agent.reset_messages", {"messages": 2})


def test_a_detached_block_stays_and_one_attached_comes_last(words_only: MemoryStore) -> None:
    ada, bob = MemoryOf.new_agent(words_only, "Ada"), MemoryOf.new_agent(words_only, "Bob")
    with words_only.write(TEST) as transaction:
        persona = core_memory.detach_block(transaction, ada.agent, "persona")
        core_memory.attach_block(transaction, ada.agent, persona)
    assert labels(ada.state().blocks) == ["human", "persona"]
    assert labels(bob.state().blocks) == ["persona", "human"]


def test_messages_are_not_forgotten_under_a_run_and_the_runs_go_with_them(tmp_path: Path) -> None:
    path = tmp_path / "mnemon.duckdb"
    with MemoryStore(path, None) as opened:
        ada = MemoryOf.new_agent(opened, "Ada")
        ada.say("hello")

    def change(statement: str, **values: object) -> list[tuple[object, ...]]:
        with duckdb.connect(path) as connection:
            return connection.execute(statement, values or None).fetchall()

    change(RUN, id="run-1", key=ada.agent.key, started=datetime.now())
    with (
        MemoryStore(path, None) as opened,
        pytest.raises(RunInProgress, match=r"has a run in progress \(run-1\)"),
        opened.write(TEST) as transaction,
    ):
        agents.reset_messages(transaction, ada.agent)
    change("UPDATE runs SET ended_at = now()")
    change(RUN, id="run-2", key=ada.agent.key, started=None)
    with MemoryStore(path, None) as opened, opened.write(TEST) as transaction:
        assert agents.reset_messages(transaction, ada.agent) == 1
    assert change("SELECT id FROM runs") == [("run-2",)]  # waits in the queue


RUN = """
INSERT INTO runs VALUES ($id, $key, 'running', NULL, false, 'host:test', 'hello', NULL, NULL,
                         0, 0, 0, 0, NULL, now(), $started, NULL, 0)
"""
