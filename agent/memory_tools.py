"""The memory tools, under Letta's names: one table for agents that think here and for hosts.

A tool's function takes validated arguments and what it may touch, changes memory inside the
caller's transaction, and returns a result; errors are memory's own and leave everything as it was.
Search tools are in search_tools.py.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from agent.containment import as_stored
from memory import archival, blocks, core_memory
from memory.errors import UnknownBlock
from memory.limits import check_filled
from memory.records import Agent, Block, NewPassage
from memory.transaction import Reader, Transaction

if TYPE_CHECKING:  # hosts list the tools before DuckDB is imported
    from memory.store import MemoryStore


class Arguments(BaseModel):
    """Base of the arguments: what does not exist is refused, not dropped; 42 may pass for "42".

    Built when first used: a host waits for the import, and lists tools only later.
    """

    model_config = ConfigDict(extra="forbid", coerce_numbers_to_str=True, defer_build=True)


class Result(BaseModel):
    """Base of the results; built when first used, as the arguments are."""

    model_config = ConfigDict(defer_build=True)


@dataclass(frozen=True, slots=True)
class Scope:
    """What a call may touch: one agent's memory, through one reader or transaction.

    before_doc: messages from this doc on are not searched (the turn that is searching).
    max_chars: how much of a result is shown to the model that asked; the rest it can read later.
    """

    store: "MemoryStore"
    reader: Reader
    agent: Agent
    before_doc: int | None = None
    max_chars: int = 8_000

    @property
    def transaction(self) -> Transaction:
        """The transaction of a tool that writes."""
        if not isinstance(self.reader, Transaction):
            raise TypeError("this tool writes and needs a transaction")
        return self.reader


@dataclass(frozen=True, slots=True)
class MemoryTool:
    """A memory tool: what the model is told, and what it does.

    result is rendered by `text` for a model; hosts also get it as data.
    """

    name: str
    title: str
    description: str
    arguments: type[Arguments]
    result: type[BaseModel]
    run: Callable[[Scope, Any], BaseModel]
    text: Callable[[Any], str]
    writes: bool
    destructive: bool = False


class BlockEdited(Result):
    """A block after an edit."""

    label: str
    value: str
    chars: int
    limit_chars: int
    version: int


class PassageStored(Result):
    """Where a passage went."""

    id: str


Label = Annotated[str, Field(description="Label of the memory block, e.g. human or persona.")]


class Append(Arguments):
    """Arguments of core_memory_append."""

    label: Label
    content: str = Field(description="Text to add, in full sentences.")


class Replace(Arguments):
    """Arguments of core_memory_replace."""

    label: Label
    old_content: str = Field(description="Text to replace, exactly as it stands in the block.")
    new_content: str = Field(description="Text to put there; empty deletes.")


class ReplaceOnce(Arguments):
    """Arguments of memory_replace."""

    label: Label
    old_string: str = Field(description="Text to replace; it must occur exactly once.")
    new_string: str = Field(description="Text to put there; empty deletes.")


class Insert(Arguments):
    """Arguments of memory_insert."""

    label: Label
    new_string: str = Field(description="Text to insert.")
    insert_line: int = Field(-1, description="Insert after this line; 0 is the top, -1 the end.")


class Rethink(Arguments):
    """Arguments of memory_rethink."""

    label: Label
    new_memory: str = Field(description="The block's whole new text.")


class ArchivalInsert(Arguments):
    """Arguments of archival_memory_insert."""

    content: str = Field(description="Text to keep; understandable by itself.")
    tags: list[str] | None = Field(None, description="Tags to filter by later.")


def edit(scope: Scope, label: str, change: Callable[[Block], Block]) -> BlockEdited:
    """Apply a pure edit to one of the agent's blocks."""
    block = core_memory.edit_block(scope.transaction, scope.agent, label, change)
    return edited(block)


def _append(scope: Scope, a: Append) -> BlockEdited:
    check_filled(a.content, "content")
    return edit(scope, a.label, lambda block: blocks.append(block, a.content))


def _replace(scope: Scope, a: Replace) -> BlockEdited:
    def change(block: Block) -> Block:
        return blocks.replace(block, *_stored(scope, block, a.old_content, a.new_content))

    return edit(scope, a.label, change)


def _replace_once(scope: Scope, a: ReplaceOnce) -> BlockEdited:
    def change(block: Block) -> Block:
        return blocks.replace_once(block, *_stored(scope, block, a.old_string, a.new_string))

    return edit(scope, a.label, change)


def _insert(scope: Scope, a: Insert) -> BlockEdited:
    return edit(scope, a.label, lambda b: blocks.insert(b, a.new_string, a.insert_line))


def _rethink(scope: Scope, a: Rethink) -> BlockEdited:
    """Overwrite a block, or create it: Letta promises the latter and cannot do it."""

    def change(block: Block) -> Block:
        return blocks.rewrite(block, *_stored(scope, block, a.new_memory))

    try:
        return edit(scope, a.label, change)
    except UnknownBlock:
        draft = Block(a.label, a.new_memory)
        return edited(core_memory.create_block(scope.transaction, scope.agent, draft))


def _stored(scope: Scope, block: Block, *texts: str) -> tuple[str, ...]:
    """Texts that were copied from the view of a block, as the block holds them."""
    if not any("\\/" in text for text in texts):  # nothing to release: spares most edits a query
        return texts
    labels = [block.label for block in core_memory.list_blocks(scope.reader, scope.agent)]
    return tuple(as_stored(text, block.value, labels) for text in texts)


def _archive(scope: Scope, a: ArchivalInsert) -> PassageStored:
    new = NewPassage(a.content, tuple(a.tags or ()))
    (passage,) = archival.insert_passages(scope.transaction, scope.agent, [new])
    return PassageStored(id=passage.id)


def edited(block: Block) -> BlockEdited:
    """A block as the result of an edit."""
    return BlockEdited(
        label=block.label,
        value=block.value,
        chars=len(block.value),
        limit_chars=block.limit_chars,
        version=block.version,
    )


def edited_text(result: BlockEdited) -> str:
    """What a model reads of an edit."""
    return f"Memory updated. Block {result.label} is now:\n{result.value}"


def _stored_text(result: PassageStored) -> str:
    return f"Saved to the archive as {result.id}."


EDIT_TOOLS = (
    MemoryTool(
        name="core_memory_append",
        title="Append to core memory",
        description="Add a fact to a core memory block, on a line of its own at the end.",
        arguments=Append,
        result=BlockEdited,
        run=_append,
        text=edited_text,
        writes=True,
    ),
    MemoryTool(
        name="core_memory_replace",
        title="Replace in core memory",
        description="Replace every occurrence of a text in a core memory block.",
        arguments=Replace,
        result=BlockEdited,
        run=_replace,
        text=edited_text,
        writes=True,
        destructive=True,
    ),
    MemoryTool(
        name="memory_insert",
        title="Insert into core memory",
        description="Insert lines into a core memory block after a given line.",
        arguments=Insert,
        result=BlockEdited,
        run=_insert,
        text=edited_text,
        writes=True,
    ),
    MemoryTool(
        name="memory_replace",
        title="Correct core memory",
        description="Correct a core memory block: replace a text that occurs exactly once.",
        arguments=ReplaceOnce,
        result=BlockEdited,
        run=_replace_once,
        text=edited_text,
        writes=True,
        destructive=True,
    ),
    MemoryTool(
        name="memory_rethink",
        title="Rewrite core memory",
        description="Rewrite a whole core memory block; a block that does not exist is created.",
        arguments=Rethink,
        result=BlockEdited,
        run=_rethink,
        text=edited_text,
        writes=True,
        destructive=True,
    ),
    MemoryTool(
        name="archival_memory_insert",
        title="Archive a text",
        description="Keep a text in archival memory, to be found by searching.",
        arguments=ArchivalInsert,
        result=PassageStored,
        run=_archive,
        text=_stored_text,
        writes=True,
    ),
)
