"""Blocks in the database: shared, guarded, and every edit with its event."""

import threading

import pytest

from memory import blocks, core_memory
from memory.errors import BlockOverflow, BlockReadOnly, InvalidValue, UnknownBlock
from memory.records import Block
from memory.store import MemoryStore
from tests.memory.given import TEST, MemoryOf, labels


@pytest.fixture
def ada(words_only: MemoryStore) -> MemoryOf:
    return MemoryOf.new_agent(words_only, "Ada")


@pytest.fixture
def bob(words_only: MemoryStore) -> MemoryOf:
    return MemoryOf.new_agent(words_only, "Bob", blocks=())


def test_an_edit_is_stored_with_who_when_why_before_and_after(ada: MemoryOf) -> None:
    block = ada.append("human", "London")
    (event,) = [event for event in ada.events() if event.action == "block.update"]
    assert (event.actor, event.reason, event.subject) == (TEST.actor, TEST.reason, block.id)
    assert event.before and event.after
    assert (event.before["value"], event.after["value"]) == ("Ada", "Ada\nLondon")
    assert ada.block("human") == block and block.version == 2


def test_an_edit_beyond_the_limit_changes_nothing_and_says_by_how_much(ada: MemoryOf) -> None:
    before, told = ada.block("human"), ada.events()
    with pytest.raises(BlockOverflow) as caught:
        ada.append("human", "x" * 20)
    assert caught.value.excess_chars == len("Ada\n") + 20 - 20
    assert (ada.block("human"), ada.events()) == (before, told)


def test_an_edit_that_changes_nothing_leaves_no_event(ada: MemoryOf) -> None:
    told = ada.events()
    with ada.write() as transaction:
        core_memory.edit_block(transaction, ada.agent, "human", lambda block: block)
    assert ada.events() == told


def test_a_read_only_block_is_edited_by_its_owner_only(ada: MemoryOf) -> None:
    with ada.write() as transaction:
        core_memory.create_block(transaction, ada.agent, Block("rules", "be kind", read_only=True))
    with pytest.raises(BlockReadOnly):
        ada.append("rules", "or not")
    with ada.write() as transaction:
        core_memory.configure_block(
            transaction, ada.agent, "rules", lambda b: blocks.configure(b, {"value": "be brave"})
        )
    assert ada.block("rules").value == "be brave"


def test_an_unknown_block_is_answered_with_those_there_are(ada: MemoryOf) -> None:
    with pytest.raises(UnknownBlock, match="it has persona, human"):
        ada.block("hunam")


def test_blocks_keep_the_order_in_which_they_were_attached(ada: MemoryOf) -> None:
    with ada.write() as transaction:
        core_memory.create_block(transaction, ada.agent, Block("goals"))
    assert labels(ada.state().blocks) == ["persona", "human", "goals"]


def test_a_shared_block_is_the_same_for_both_at_once(ada: MemoryOf, bob: MemoryOf) -> None:
    with bob.write() as transaction:
        core_memory.attach_block(transaction, bob.agent, ada.block("human"))
    ada.state(), bob.state()
    bob.append("human", "met Bob")
    assert ada.block("human").value == "Ada\nmet Bob"
    assert ada.state().blocks[1] == bob.state().blocks[0] == ada.block("human")


def test_an_agent_has_a_label_once(ada: MemoryOf, bob: MemoryOf) -> None:
    with bob.write() as transaction:
        core_memory.create_block(transaction, bob.agent, Block("human"))
    with pytest.raises(InvalidValue, match="has a block 'human' already"), bob.write() as t:
        core_memory.attach_block(t, bob.agent, ada.block("human"))


def test_edits_of_a_shared_block_from_many_threads_are_all_kept(
    ada: MemoryOf, bob: MemoryOf
) -> None:
    with ada.write() as transaction:
        log = core_memory.create_block(transaction, ada.agent, Block("log"))
        core_memory.attach_block(transaction, bob.agent, log)
    writers = [
        threading.Thread(target=memory.append, args=("log", f"{name}{n}"))
        for n in range(10)
        for name, memory in (("a", ada), ("b", bob))
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert sorted(ada.block("log").value.split("\n")) == sorted(
        f"{name}{n}" for name in "ab" for n in range(10)
    )
    assert ada.block("log").version == 21
