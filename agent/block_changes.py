"""Edits of several blocks at once, and what a model and a host are told of them."""

from collections.abc import Callable, Sequence

from agent.memory_tools import BlockEdited, Result, Scope, edited
from memory import core_memory
from memory.errors import UnknownBlock
from memory.records import Block

Edit = Callable[[tuple[Block, ...]], Sequence[Block]]
"""From an agent's blocks to what they should be; see core_memory.edit_blocks."""


class BlocksChanged(Result):
    """What an edit did: sentences, and the blocks that are new or have another value."""

    done: list[str]
    blocks: list[BlockEdited]


class Told(Result):
    """A result that is text only."""

    text: str


def change_blocks(scope: Scope, edit: Edit) -> BlocksChanged:
    """Apply a pure edit to all of the agent's blocks: all of it is stored, or nothing."""
    before = core_memory.list_blocks(scope.reader, scope.agent)
    after = core_memory.edit_blocks(scope.transaction, scope.agent, edit)
    old = {block.key: block for block in before}
    kept = {block.key for block in after}
    done = [_gone(scope, block) for block in before if block.key not in kept]
    for block in after:
        done += _settings(old.get(block.key), block)
    changed = [b for b in after if b.key not in old or b.value != old[b.key].value]
    return BlocksChanged(done=done, blocks=[edited(block) for block in changed])


def with_block(
    scope: Scope, held: Sequence[Block], label: str, change: Callable[[Block], Block]
) -> list[Block]:
    """The agent's blocks, one of them changed.

    Raises:
        UnknownBlock: there is none with this label.
    """
    _check_known(scope, held, label)
    return [change(block) if block.label == label else block for block in held]


def without_block(scope: Scope, held: Sequence[Block], label: str) -> list[Block]:
    """The agent's blocks, without one.

    Raises:
        UnknownBlock: there is none with this label.
    """
    _check_known(scope, held, label)
    return [block for block in held if block.label != label]


def changed_text(result: BlocksChanged) -> str:
    """The result for a model, whose view of a block may be that of before the edit."""
    shown = [f"Block {block.label} is now:\n{block.value}" for block in result.blocks]
    told = " ".join(["Memory updated.", *result.done])
    if not result.done and len(shown) == 1:
        return f"{told} {shown[0]}"
    return "\n".join([told, *shown])


def told_text(result: Told) -> str:
    """The result for a model."""
    return result.text


def _check_known(scope: Scope, held: Sequence[Block], label: str) -> None:
    labels = [block.label for block in held]
    if label not in labels:
        raise UnknownBlock(scope.agent.name, label, labels)


def _gone(scope: Scope, block: Block) -> str:
    if core_memory.users_of_block(scope.reader, block.id):
        return f"You no longer have block {block.label}; other agents still do."
    return f"Block {block.label} is deleted."


def _settings(old: Block | None, new: Block) -> list[str]:
    """What is other than the value."""
    if old is None:
        return [f"Block {new.label} is created."]
    said = []
    if new.label != old.label:
        said.append(f"Block {old.label} is now called {new.label}.")
    if new.description != old.description:
        said.append(f"Block {new.label} is now described as: {new.description}")
    return said
