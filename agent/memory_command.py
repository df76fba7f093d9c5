"""Memory edited as Letta's newer agents do: one tool with commands, and patches of several blocks.

Not offered by default: an agent's setting names them (see tools.py).
"""

from collections.abc import Callable, Mapping
from typing import Literal

from pydantic import Field

from agent.block_changes import (
    BlocksChanged,
    Edit,
    Told,
    change_blocks,
    changed_text,
    told_text,
    with_block,
    without_block,
)
from agent.block_patches import apply_patch, read_patch
from agent.block_paths import label_of
from agent.containment import as_stored
from agent.memory_tools import Arguments, MemoryTool, Scope
from memory import blocks
from memory.errors import InvalidValue
from memory.records import Block


class Memory(Arguments):
    """Arguments of memory; which of them a command takes, their descriptions say."""

    command: Literal["create", "str_replace", "insert", "delete", "rename"] = Field(
        description="What to do."
    )
    path: str | None = Field(None, description="The block, e.g. /memories/human.")
    file_text: str | None = Field(None, description="create: the block's text.")
    description: str | None = Field(None, description="create, rename: what the block is for.")
    old_string: str | None = Field(
        None, description="str_replace: text to replace; it must occur exactly once."
    )
    new_string: str | None = Field(
        None, description="str_replace: text to put there; empty deletes."
    )
    insert_line: int = Field(-1, description="insert: after this line; 0 is the top, -1 the end.")
    insert_text: str | None = Field(None, description="insert: text to insert.")
    old_path: str | None = Field(None, description="rename: the block as it is called now.")
    new_path: str | None = Field(None, description="rename: what to call it.")


class ApplyPatch(Arguments):
    """Arguments of memory_apply_patch."""

    patch: str = Field(
        description="Lines of a block with ' ' (kept), '-' (removed) or '+' (added) before them, @@"
        " between places. For several blocks: '*** Add Block: LABEL' and lines with '+', '***"
        " Delete Block: LABEL', '*** Update Block: LABEL' and such lines, after it '*** Move to:"
        " LABEL' to rename."
    )
    label: str | None = Field(None, description="Block to patch; not with *** lines.")


class FinishEdits(Arguments):
    """Arguments of memory_finish_edits: none."""


def _memory(scope: Scope, a: Memory) -> BlocksChanged:
    return change_blocks(scope, _COMMANDS[a.command](scope, a))


def _create(_: Scope, a: Memory) -> Edit:
    path, description = _given(a, "path", "description")
    draft = Block(label_of(path), a.file_text or "", description=description)
    return lambda held: [*held, draft]


def _replace(scope: Scope, a: Memory) -> Edit:
    path, old, new = _given(a, "path", "old_string", "new_string")
    label = label_of(path)

    def edit(held: tuple[Block, ...]) -> list[Block]:
        def change(block: Block) -> Block:
            labels = [block.label for block in held]
            stored = (as_stored(text, block.value, labels) for text in (old, new))
            return blocks.replace_once(block, *stored)

        return with_block(scope, held, label, change)

    return edit


def _insert(scope: Scope, a: Memory) -> Edit:
    path, text = _given(a, "path", "insert_text")
    label = label_of(path)
    return lambda held: with_block(
        scope, held, label, lambda block: blocks.insert(block, text, a.insert_line)
    )


def _delete(scope: Scope, a: Memory) -> Edit:
    (path,) = _given(a, "path")
    return lambda held: without_block(scope, held, label_of(path))


def _rename(scope: Scope, a: Memory) -> Edit:
    """Another label; or, with path and description, another description, as in Letta."""
    if a.old_path is None and a.new_path is None and a.path and a.description is not None:
        label, changes = label_of(a.path), {"description": a.description}
        return lambda held: with_block(
            scope, held, label, lambda block: blocks.configure(block, changes)
        )
    if a.path is not None or a.description is not None:
        raise InvalidValue(
            "rename takes old_path and new_path for another label, or path and description for"
            " another description; give one pair"
        )
    old_path, new_path = _given(a, "old_path", "new_path")
    new = label_of(new_path)
    return lambda held: with_block(
        scope, held, label_of(old_path), lambda block: blocks.rename(block, new)
    )


_COMMANDS: Mapping[str, Callable[[Scope, Memory], Edit]] = {
    "create": _create,
    "str_replace": _replace,
    "insert": _insert,
    "delete": _delete,
    "rename": _rename,
}


def _given(a: Memory, *names: str) -> list[str]:
    """The arguments that a command cannot do without."""
    values = {name: getattr(a, name) for name in names}
    missing = [name for name, value in values.items() if value is None]
    if missing:
        raise InvalidValue(f"{a.command} needs {' and '.join(missing)}")
    return list(values.values())


def _apply_patch(scope: Scope, a: ApplyPatch) -> BlocksChanged:
    operations = read_patch(a.patch, a.label)
    return change_blocks(scope, lambda held: apply_patch(held, operations))


def _finish_edits(_: Scope, __: FinishEdits) -> Told:
    return Told(text="Memory edits are finished.")


COMMAND_TOOLS = (
    MemoryTool(
        name="memory",
        title="Edit core memory",
        description="Create, edit, delete or rename a core memory block.",
        arguments=Memory,
        result=BlocksChanged,
        run=_memory,
        text=changed_text,
        writes=True,
        destructive=True,
    ),
    MemoryTool(
        name="memory_apply_patch",
        title="Patch core memory",
        description="Change one or several core memory blocks with a patch; all of it or nothing.",
        arguments=ApplyPatch,
        result=BlocksChanged,
        run=_apply_patch,
        text=changed_text,
        writes=True,
        destructive=True,
    ),
    MemoryTool(
        name="memory_finish_edits",
        title="Finish memory edits",
        description="Say that all edits of memory are done.",
        arguments=FinishEdits,
        result=Told,
        run=_finish_edits,
        text=told_text,
        writes=False,
    ),
)
