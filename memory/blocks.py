"""Core memory: the blocks an agent always sees.

Pure functions from Block to Block; nothing here touches the database (see core_memory.py). Edits
keep a block within its limit or raise BlockOverflow; they never cut text silently. Semantics follow
Letta's tools of the same names.
"""

from collections.abc import Mapping
from dataclasses import replace as with_changes
from typing import Any

from memory.errors import BlockOverflow, BlockReadOnly, EditMismatch
from memory.limits import MAX_DESCRIPTION_CHARS, check_label, check_limit, check_text
from memory.records import Block


def rewrite(block: Block, value: str) -> Block:
    """Return the block with another value.

    Raises:
        BlockOverflow: the value is longer than the block's limit.
        InvalidValue: the value cannot be stored (see limits.check_text).
    """
    if len(value) > block.limit_chars:
        raise BlockOverflow(block.label, len(value), block.limit_chars)
    return with_changes(block, value=check_text(value, f"block {block.label!r}"))


def configure(block: Block, changes: Mapping[str, Any]) -> Block:
    """Return the block with another value, limit_chars, description or read_only.

    Raises:
        BlockOverflow: the value, old or new, does not fit the limit, old or new.
        InvalidValue: a setting cannot be.
    """
    changed = with_changes(block, **changes)
    check_limit(changed.limit_chars)
    check_text(changed.description, "description", MAX_DESCRIPTION_CHARS)
    return rewrite(changed, changed.value)


def rename(block: Block, label: str) -> Block:
    """Return the block with another label.

    Raises:
        InvalidValue: no block can have this label.
    """
    return with_changes(block, label=check_label(label))


def editable(block: Block) -> Block:
    """Return the block, or raise BlockReadOnly."""
    if block.read_only:
        raise BlockReadOnly(block.label)
    return block


def append(block: Block, content: str) -> Block:
    """Add content on a line of its own at the end."""
    return rewrite(block, f"{block.value}\n{content}" if block.value else content)


def replace(block: Block, old: str, new: str) -> Block:
    """Replace every occurrence of old; an empty new deletes."""
    if not old:
        raise EditMismatch("the text to replace is empty; give text that the block holds")
    if old not in block.value:
        raise EditMismatch(f"block {block.label!r} does not hold {_shown(old)}; copy it exactly")
    # Before it is made: a letter that stands everywhere, for a long text, would fill the memory.
    length_chars = len(block.value) + block.value.count(old) * (len(new) - len(old))
    if length_chars > block.limit_chars:
        raise BlockOverflow(block.label, length_chars, block.limit_chars)
    return rewrite(block, block.value.replace(old, new))


def replace_once(block: Block, old: str, new: str) -> Block:
    """Replace old, which must occur exactly once."""
    if not old:
        raise EditMismatch("the text to replace is empty; give text that the block holds")
    lines = lines_with(block.value, old)
    if not lines:
        raise EditMismatch(f"block {block.label!r} does not hold {_shown(old)}; copy it exactly")
    if len(lines) > 1:
        where = ", ".join(map(str, lines[:10]))
        raise EditMismatch(
            f"block {block.label!r} holds {_shown(old)} {len(lines)} times (lines {where}); give"
            " more of the text around it"
        )
    return rewrite(block, block.value.replace(old, new))


def insert(block: Block, text: str, line: int = -1) -> Block:
    """Insert text after a line: 0 is the top, -1 the end."""
    lines = block.value.split("\n") if block.value else []
    if line == -1:
        line = len(lines)
    if not 0 <= line <= len(lines):
        raise EditMismatch(
            f"line {line} is outside block {block.label!r}, which has {len(lines)} lines; use 0 for"
            " the top or -1 for the end"
        )
    return rewrite(block, "\n".join([*lines[:line], text, *lines[line:]]))


def lines_with(value: str, part: str) -> list[int]:
    """Line numbers, from 1, where each occurrence (overlaps included) of part begins."""
    found, start = [], value.find(part)
    while start >= 0:
        found.append(value.count("\n", 0, start) + 1)
        start = value.find(part, start + 1)
    return found


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")
