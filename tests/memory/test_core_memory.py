"""Blocks in the database: shared, guarded, and every edit with its event."""

import threading
from collections.abc import Callable, Sequence

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


def without(label: str) -> Callable[[tuple[Block, ...]], list[Block]]:
    return lambda held: [block for block in held if block.label != label]


def renamed(**labels: str) -> Callable[[tuple[Block, ...]], list[Block]]:
    return lambda held: [blocks.rename(b, labels.get(b.label, b.label)) for b in held]


def edit(memory: MemoryOf, change: Callable[[tuple[Block, ...]], Sequence[Block]]) -> list[str]:
    with memory.write() as transaction:
        return labels(core_memory.edit_blocks(transaction, memory.agent, change))


def told(memory: MemoryOf, after: int) -> list[str]:
    return [event.action for event in memory.events() if event.number > after]


def test_a_block_that_is_left_out_is_deleted_with_its_last_text_in_the_journal(
    ada: MemoryOf,
) -> None:
    human, last = ada.block("human"), ada.events()[-1].number
    ada.state()
    assert edit(ada, without("human")) == ["persona"]
    assert labels(ada.state().blocks) == ["persona"]
    assert told(ada, last) == ["block.detach", "block.delete"]
    event = ada.events()[-1]
    assert (event.subject, event.before) == (human.id, core_memory.describe(human))


def test_a_block_that_another_agent_has_is_only_detached(ada: MemoryOf, bob: MemoryOf) -> None:
    with bob.write() as transaction:
        core_memory.attach_block(transaction, bob.agent, ada.block("human"))
    last = ada.events()[-1].number
    ada.state(), bob.state()
    assert edit(ada, without("human")) == ["persona"]
    assert told(ada, last) == ["block.detach"]
    assert labels(ada.state().blocks) == ["persona"]
    assert labels(bob.state().blocks) == ["human"]


def test_a_renamed_block_is_the_same_block_for_all_who_share_it(
    ada: MemoryOf, bob: MemoryOf
) -> None:
    before = ada.block("human")
    with bob.write() as transaction:
        core_memory.attach_block(transaction, bob.agent, before)
    ada.state(), bob.state()
    assert edit(ada, renamed(human="user")) == ["persona", "user"]
    after = bob.state().blocks[0]
    assert (after.id, after.label, after.value) == (before.id, "user", before.value)
    assert after.version == before.version + 1
    event = ada.events()[-1]
    assert event.before and event.after
    assert (event.before["label"], event.after["label"]) == ("human", "user")


def test_a_new_label_must_be_free_on_every_agent_that_shares_the_block(
    ada: MemoryOf, bob: MemoryOf
) -> None:
    with bob.write() as transaction:
        core_memory.attach_block(transaction, bob.agent, ada.block("human"))
        core_memory.create_block(transaction, bob.agent, Block("user", "Bob's own"))
    before = ada.state(), bob.state(), ada.events()
    with pytest.raises(InvalidValue, match="shares block 'human' has a block 'user' already"):
        edit(ada, renamed(human="user"))
    with pytest.raises(InvalidValue, match="'Ada' has a block 'persona' already"):
        edit(ada, renamed(human="persona"))
    assert (ada.state(), bob.state(), ada.events()) == before


def test_shared_blocks_can_swap_their_labels(ada: MemoryOf, bob: MemoryOf) -> None:
    with bob.write() as transaction:
        for label in ("persona", "human"):
            core_memory.attach_block(transaction, bob.agent, ada.block(label))
    assert edit(ada, renamed(persona="human", human="persona")) == ["human", "persona"]
    assert labels(bob.state().blocks) == ["human", "persona"]


def test_blocks_are_edited_all_or_none(ada: MemoryOf) -> None:
    before, events_before = ada.state(), ada.events()

    def too_much(held: tuple[Block, ...]) -> list[Block]:
        persona, _ = held
        return [blocks.append(persona, "more"), Block("plan", "x" * 11, limit_chars=10)]

    with pytest.raises(BlockOverflow):
        edit(ada, too_much)
    assert (ada.state(), ada.events()) == (before, events_before)


@pytest.mark.parametrize("change", [without("rules"), renamed(rules="laws")])
def test_a_read_only_block_is_neither_deleted_nor_renamed(
    ada: MemoryOf, change: Callable[[tuple[Block, ...]], list[Block]]
) -> None:
    with ada.write() as transaction:
        core_memory.create_block(transaction, ada.agent, Block("rules", "be kind", read_only=True))
    with pytest.raises(BlockReadOnly):
        edit(ada, change)
    assert edit(ada, without("human")) == ["persona", "rules"]


def test_a_new_block_is_the_last_also_after_one_was_deleted(ada: MemoryOf) -> None:
    edit(ada, lambda held: [*held, Block("plan")])
    edit(ada, without("persona"))
    edit(ada, lambda held: [Block("goals"), *held])
    assert labels(ada.state().blocks) == ["human", "plan", "goals"]


def test_no_more_blocks_than_may_be(ada: MemoryOf) -> None:
    with pytest.raises(InvalidValue, match="has 50 blocks, which is the limit"):
        edit(ada, lambda held: [*held, *(Block(f"b{n}") for n in range(49))])
    assert len(edit(ada, lambda held: [*held, *(Block(f"b{n}") for n in range(48))])) == 50
