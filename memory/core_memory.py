"""Core memory in the database: an agent's blocks and every edit of them.

The edits themselves are pure (blocks.py); here they are checked against what is stored now, written
with compare-and-set on the block's version, and recorded.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace as with_changes
from typing import Any
from uuid import uuid4

from memory import blocks
from memory.errors import InvalidValue, UnknownBlock, UnknownId
from memory.limits import MAX_BLOCKS, check_label
from memory.records import Agent, Block
from memory.transaction import Reader, Transaction


def list_blocks(reader: Reader, agent: Agent) -> tuple[Block, ...]:
    """Return the agent's blocks in order."""
    known = reader.known_blocks(agent)
    if known is not None:
        return known
    return tuple(Block(*row) for row in reader.rows("blocks_of_agent", agent_key=agent.key))


def get_block(reader: Reader, agent: Agent, label: str) -> Block:
    """Return one block of an agent.

    Raises:
        UnknownBlock: naming the labels it has.
    """
    found = list_blocks(reader, agent)
    for block in found:
        if block.label == label:
            return block
    raise UnknownBlock(agent.name, label, [block.label for block in found])


def find_block(reader: Reader, block_id: str) -> Block:
    """Return the block with this id, whoever has it.

    Raises:
        UnknownId: there is none, or not for whoever asks.
    """
    row = reader.row("find_block", id=block_id, visible=reader.visible_ids)
    if row is None:
        raise UnknownId("block", block_id)
    return Block(*row)


def users_of_block(reader: Reader, block_id: str) -> list[tuple[str, str]]:
    """Return id and name of every agent that has a block."""
    return [(id_, name) for id_, name in reader.rows("users_of_block", block_id=block_id)]


def create_block(transaction: Transaction, agent: Agent, draft: Block) -> Block:
    """Store a new block and attach it to the agent as its last.

    Raises:
        InvalidValue: the label is taken on this agent, or a value cannot be stored.
    """
    _check_room(transaction, agent, draft.label)
    return _insert(transaction, agent, _checked(draft))


def attach_block(transaction: Transaction, agent: Agent, block: Block) -> None:
    """Let another agent see and edit a block; both then share it.

    Raises:
        InvalidValue: the label is taken on this agent, or it has as many blocks as it may.
    """
    _check_room(transaction, agent, block.label)
    _attach(transaction, agent, block)


def edit_block(
    transaction: Transaction, agent: Agent, label: str, edit: Callable[[Block], Block]
) -> Block:
    """Apply a pure edit to a block as an agent or host may: read-only blocks refuse.

    Returns:
        The block as it is now; the same when the edit changed nothing.
    """
    block = blocks.editable(get_block(transaction, agent, label))
    return _store(transaction, agent, block, edit(block))


def configure_block(
    transaction: Transaction, agent: Agent, label: str, edit: Callable[[Block], Block]
) -> Block:
    """Apply a pure edit as the person who owns the agent: read-only blocks too."""
    block = get_block(transaction, agent, label)
    return _store(transaction, agent, block, edit(block))


def edit_blocks(
    transaction: Transaction, agent: Agent, edit: Callable[[tuple[Block, ...]], Sequence[Block]]
) -> tuple[Block, ...]:
    """Apply a pure edit to all of an agent's blocks at once, as an agent or host may.

    A block that the edit leaves out is detached, and deleted when no other agent has it. One
    without a key is new and comes last. Labels may change: those of shared blocks for all who share
    them. Everything is checked before anything is written.

    Returns:
        The agent's blocks as they are now.

    Raises:
        BlockReadOnly: a block that would change or go may not.
        InvalidValue: a label is taken, here or on an agent that shares the block; there are too
            many blocks; or a value cannot be stored.
    """
    before = list_blocks(transaction, agent)
    wanted = [_checked_edit(before, block) for block in edit(before)]
    kept = {block.key: block for block in wanted if block.key}
    removed = [blocks.editable(block) for block in before if block.key not in kept]
    _check_labels(agent, before, wanted)
    for old in before:
        if old.key in kept and kept[old.key].label != old.label:
            _check_label_elsewhere(transaction, agent, old, kept)
    for block in removed:
        _remove(transaction, agent, block)
    for old in before:
        if old.key in kept:
            _store(transaction, agent, old, kept[old.key])
    for block in wanted:
        if not block.key:
            _insert(transaction, agent, block)
    return list_blocks(transaction, agent)


def detach_block(transaction: Transaction, agent: Agent, label: str) -> Block:
    """Take a block from an agent; it stays, if nobody else has it as an orphan.

    Raises:
        UnknownBlock: naming the labels it has.
    """
    block = get_block(transaction, agent, label)
    transaction.run("detach_block", agent_key=agent.key, block_key=block.key)
    transaction.record("block.detach", block.id, agent.id, before={"label": label})
    transaction.changes.stale_agents.add(agent.key)
    return block


def delete_block(transaction: Transaction, block: Block, agent_id: str | None) -> None:
    """Delete a block that no agent has any more; its event keeps the text."""
    transaction.run("delete_block", block_key=block.key)
    transaction.record("block.delete", block.id, agent_id, before=describe(block))


def describe(block: Block) -> dict[str, Any]:
    """A block as events keep it: its columns."""
    return {
        "label": block.label,
        "value": block.value,
        "limit_chars": block.limit_chars,
        "description": block.description,
        "read_only": block.read_only,
    }


def _store(transaction: Transaction, agent: Agent, old: Block, new: Block) -> Block:
    if new == old:
        return old
    version = transaction.value("update_block", key=old.key, version=old.version, **describe(new))
    # One writer at a time: the version read in this transaction cannot have moved.
    stored = with_changes(new, version=version)
    transaction.record("block.update", old.id, agent.id, describe(old), describe(stored))
    transaction.changes.blocks[stored.key] = stored
    return stored


def _insert(transaction: Transaction, agent: Agent, draft: Block) -> Block:
    block = with_changes(draft, key=transaction.value("next_key"))
    transaction.run("insert_block", key=block.key, id=block.id, **describe(block))
    transaction.record("block.create", block.id, agent.id, after=describe(block))
    _attach(transaction, agent, block)
    return block


def _attach(transaction: Transaction, agent: Agent, block: Block) -> None:
    position = transaction.value("next_position", agent_key=agent.key)
    transaction.run("attach_block", agent_key=agent.key, block_key=block.key, position=position)
    transaction.record("block.attach", block.id, agent.id)
    transaction.changes.stale_agents.add(agent.key)


def _remove(transaction: Transaction, agent: Agent, block: Block) -> None:
    """Detach a block, and delete it when nobody else has it."""
    detach_block(transaction, agent, block.label)
    if transaction.value("count_block_users", block_key=block.key) == 0:
        delete_block(transaction, block, agent.id)


def _check_room(reader: Reader, agent: Agent, label: str) -> None:
    """Refuse one more block with this label when the agent cannot have it."""
    existing = list_blocks(reader, agent)
    _check_labels(agent, existing, [*existing, Block(label)])


def _check_labels(agent: Agent, before: Sequence[Block], wanted: Sequence[Block]) -> None:
    if len(wanted) > max(len(before), MAX_BLOCKS):
        raise InvalidValue(f"agent {agent.name!r} has {MAX_BLOCKS} blocks, which is the limit")
    seen = set[str]()
    for block in wanted:
        if block.label in seen:
            raise InvalidValue(f"agent {agent.name!r} has a block {block.label!r} already; edit it")
        seen.add(block.label)


def _check_label_elsewhere(
    reader: Reader, agent: Agent, old: Block, kept: Mapping[int, Block]
) -> None:
    """Refuse a new label that another agent with this block uses for another block."""
    new = kept[old.key].label
    rows = reader.rows("blocks_of_other_users", agent_key=agent.key, block_key=old.key)
    for _, key, label in rows:
        if key != old.key and (kept[key].label if key in kept else label) == new:
            raise InvalidValue(
                f"an agent that shares block {old.label!r} has a block {new!r} already; choose"
                " another label"
            )


def _checked_edit(before: Sequence[Block], block: Block) -> Block:
    """A block as an edit of several wants it, when an agent may have it so."""
    if not block.key:
        return _checked(block)
    (old,) = [held for held in before if held.key == block.key]
    if block == old:
        return old
    blocks.editable(old)
    return blocks.configure(blocks.rename(block, block.label), {})


def _checked(draft: Block) -> Block:
    check_label(draft.label)
    return blocks.configure(with_changes(draft, id=f"block-{uuid4()}", version=1), {})
