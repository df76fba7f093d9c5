"""What a tool wrote to memory while it ran, kept until its call has ended well. Pure.

Each edit of a block remembers what it was made against. When it is made again on the block of
then, it refuses if what it replaces, or what stood above it, is no longer what the tool saw:
compare-and-set by value, so that an edit elsewhere in the block is no hindrance.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from memory import blocks
from memory.errors import EditMismatch, UnknownBlock
from memory.limits import check_filled
from memory.records import Block


@dataclass(frozen=True, slots=True)
class Append:
    """A text on a line of its own at the end."""

    label: str
    content: str

    @classmethod
    def to(cls, block: Block, content: str) -> "Append":
        """The edit, made for this block."""
        return cls(block.label, check_filled(content, "content"))

    def apply(self, block: Block) -> Block:
        """The block with it."""
        return blocks.append(block, self.content)


@dataclass(frozen=True, slots=True)
class Replace:
    """Another text in place of each occurrence of one; times: how many the tool saw."""

    label: str
    old: str
    new: str
    times: int

    @classmethod
    def to(cls, block: Block, old: str, new: str) -> "Replace":
        """The edit, made for this block."""
        return cls(block.label, old, new, block.value.count(old))

    def apply(self, block: Block) -> Block:
        """The block with it."""
        times = block.value.count(self.old)
        if times != self.times:
            raise EditMismatch(
                f"block {block.label!r} was changed while the tool ran: it holds the text to"
                f" replace {times} times, not {self.times}; call the tool again"
            )
        return blocks.replace(block, self.old, self.new)


@dataclass(frozen=True, slots=True)
class Insert:
    """A text after a line. above: the lines that the tool saw before it; None: at an end."""

    label: str
    text: str
    line: int
    above: tuple[str, ...] | None

    @classmethod
    def to(cls, block: Block, text: str, line: int) -> "Insert":
        """The edit, made for this block."""
        above = tuple(block.value.split("\n")[:line]) if line > 0 else None
        return cls(block.label, text, line, above)

    def apply(self, block: Block) -> Block:
        """The block with it."""
        if self.above is not None and tuple(block.value.split("\n")[: self.line]) != self.above:
            raise EditMismatch(
                f"block {block.label!r} was changed while the tool ran: line {self.line} or one"
                " above it is another; call the tool again"
            )
        return blocks.insert(block, self.text, self.line)


Edit = Append | Replace | Insert


def find(agent_name: str, held: Sequence[Block], label: str) -> Block:
    """The block of an agent with this label.

    Raises:
        UnknownBlock: naming those that it has.
    """
    for block in held:
        if block.label == label:
            return block
    raise UnknownBlock(agent_name, label, [block.label for block in held])


def with_edits(agent_name: str, held: Sequence[Block], edits: Sequence[Edit]) -> tuple[Block, ...]:
    """The blocks of an agent with these edits, each made on what the one before it left.

    Raises:
        MemoryStoreError: an edit cannot be made, or not any more.
    """
    now = {block.label: block for block in held}
    for edit in edits:
        block = blocks.editable(find(agent_name, held, edit.label))
        now[block.label] = edit.apply(now[block.label])
    return tuple(now.values())
