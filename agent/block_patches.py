"""Patches of core memory: a text that says how blocks are to change, all of them or none.

Two forms, both Letta's. A unified diff of one block; or several operations:

    *** Add Block: label             then optionally `Description: ...`, then lines with `+`
    *** Delete Block: label
    *** Update Block: label          then optionally `*** Move to: label`, then hunks

A hunk's lines begin with ` ` (kept), `-` (removed) or `+` (added); `@@` begins the next one. What
it keeps and removes must stand together in the block at exactly one place; numbers behind `@@` are
not looked at. A hunk that only adds goes to the end. Empty lines around hunks are none of theirs.

Pure: read_patch makes operations, apply_patch the blocks as they should be.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from agent.block_paths import label_of
from agent.containment import as_stored
from memory import blocks
from memory.errors import EditMismatch, InvalidValue, MemoryStoreError
from memory.limits import MAX_TEXT_CHARS, check_text
from memory.records import Block


@dataclass(frozen=True, slots=True)
class Hunk:
    """Lines to find and what to put there. `line` is where the hunk begins in the patch, from 1."""

    line: int
    old: tuple[str, ...]
    new: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AddBlock:
    """A block to create."""

    line: int
    label: str
    value: str
    description: str = ""


@dataclass(frozen=True, slots=True)
class DeleteBlock:
    """A block to take away."""

    line: int
    label: str


@dataclass(frozen=True, slots=True)
class UpdateBlock:
    """A block to change, to rename, or both."""

    line: int
    label: str
    hunks: tuple[Hunk, ...]
    new_label: str | None = None


Operation = AddBlock | DeleteBlock | UpdateBlock

_ADD, _DELETE, _UPDATE, _MOVE = (
    f"*** {what}:" for what in ("Add Block", "Delete Block", "Update Block", "Move to")
)
_FRAME = ("*** Begin Patch", "*** End Patch", "*** End of File")
_NO_NEWLINE = "\\ No newline at end of file"

_Line = tuple[int, str]
"""A line of the patch with its number, from 1."""


def read_patch(patch: str, label: str | None = None) -> tuple[Operation, ...]:
    """Read a patch.

    Args:
        label: of the block that a patch without `***` lines is for.

    Raises:
        InvalidValue: it cannot be read, with the number of the line; or it changes nothing.
    """
    check_text(patch, "patch", 2 * MAX_TEXT_CHARS)
    lines = [line for line in enumerate(patch.split("\n"), 1) if line[1].rstrip() not in _FRAME]
    if not any(text.startswith((_ADD, _DELETE, _UPDATE, _MOVE)) for _, text in lines):
        if label is None:
            raise InvalidValue(
                "the patch names no block; give `label`, or begin it with '*** Update Block: LABEL'"
            )
        return (_update(1, label, lines, ()),)
    sections = _sections(lines)
    return tuple(_operation(header, body) for header, body in sections)


def apply_patch(held: Sequence[Block], operations: Sequence[Operation]) -> tuple[Block, ...]:
    """Return an agent's blocks as they are after all operations, in order.

    Raises:
        InvalidValue: an operation cannot be done, with its line in the patch.
    """
    for operation in operations:
        with _at(operation.line):
            held = _applied(operation, held)
    return tuple(held)


# --- reading


def _sections(lines: Sequence[_Line]) -> list[tuple[_Line, list[_Line]]]:
    """The headers, each with the lines up to the next one."""
    sections: list[tuple[_Line, list[_Line]]] = []
    for number, text in lines:
        if text.startswith((_ADD, _DELETE, _UPDATE)):
            sections.append(((number, text), []))
        elif sections:
            sections[-1][1].append((number, text))
        elif text.strip():
            raise _unreadable(number, text, f"'{_ADD} ...', '{_DELETE} ...' or '{_UPDATE} ...'")
    return sections


def _operation(header: _Line, body: list[_Line]) -> Operation:
    number, text = header
    kind, _, name = text.partition(":")
    label = _label(number, name)
    if f"{kind}:" == _ADD:
        return _add(number, label, body)
    if f"{kind}:" == _UPDATE:
        moves = tuple(line for line in body if line[1].startswith(_MOVE))
        return _update(number, label, [line for line in body if line not in moves], moves)
    for body_number, line in body:
        if line.strip():
            raise _unreadable(
                body_number, line, "nothing after a block to delete, or the next '***'"
            )
    return DeleteBlock(number, label)


def _add(number: int, label: str, body: list[_Line]) -> AddBlock:
    description, value = "", list[str]()
    if body and body[0][1].startswith("Description:"):
        description = body.pop(0)[1].partition(":")[2].strip()
    for body_number, line in _trimmed(body):
        if line and not line.startswith("+"):
            raise _unreadable(body_number, line, "a line of the new block, with '+' before it")
        value.append(line[1:])
    return AddBlock(number, label, "\n".join(value), description)


def _update(number: int, label: str, body: Sequence[_Line], moves: Sequence[_Line]) -> UpdateBlock:
    if len(moves) > 1:
        raise InvalidValue(f"line {moves[1][0]} of the patch: the block was moved already")
    new_label = _label(moves[0][0], moves[0][1].partition(":")[2]) if moves else None
    hunks = tuple(_hunks(body))
    if not hunks and not moves:
        raise InvalidValue(
            f"line {number} of the patch: there is nothing to change; give lines that begin with"
            " '-' or '+'"
        )
    return UpdateBlock(number, label_of(label), hunks, new_label)


def _hunks(body: Sequence[_Line]) -> list[Hunk]:
    found, lines = list[Hunk](), list[_Line]()
    for number, text in [*_without_file_names(body), (0, "@@")]:
        if text.startswith("@@"):
            if hunk := _hunk(_trimmed(lines)):
                found.append(hunk)
            lines = []
        elif text.startswith((" ", "-", "+")) or not text:
            lines.append((number, text))
        elif text != _NO_NEWLINE:
            raise _unreadable(number, text, "a line with ' ', '-' or '+' before it, or '@@'")
    return found


def _hunk(lines: Sequence[_Line]) -> Hunk | None:
    if not lines:
        return None
    old = tuple(text[1:] for _, text in lines if not text.startswith("+"))
    new = tuple(text[1:] for _, text in lines if not text.startswith("-"))
    return Hunk(lines[0][0], old, new)


def _without_file_names(body: Sequence[_Line]) -> Sequence[_Line]:
    """The lines without `---` and `+++` of a diff's head; alone they are lines of a hunk."""
    lines = _trimmed(body)
    if len(lines) > 1 and lines[0][1].startswith("--- ") and lines[1][1].startswith("+++ "):
        return lines[2:]
    return lines


def _trimmed(lines: Sequence[_Line]) -> Sequence[_Line]:
    """Lines without the empty ones around them."""
    filled = [place for place, (_, text) in enumerate(lines) if text]
    return lines[filled[0] : filled[-1] + 1] if filled else ()


def _label(number: int, name: str) -> str:
    with _at(number):
        return label_of(name.strip())


class _Placed(InvalidValue):
    """Says at which line of the patch the problem is."""


@contextmanager
def _at(line: int) -> Iterator[None]:
    """Have an error say the line of the patch."""
    try:
        yield
    except _Placed:
        raise
    except MemoryStoreError as error:
        raise _Placed(f"line {line} of the patch: {error}") from None


def _unreadable(number: int, text: str, expected: str) -> InvalidValue:
    return InvalidValue(f"line {number} of the patch is {text[:60]!r}; expected {expected}")


# --- applying


def _applied(operation: Operation, held: Sequence[Block]) -> list[Block]:
    labels = [block.label for block in held]
    if isinstance(operation, AddBlock):
        if operation.label in labels:
            raise InvalidValue(f"there is a block {operation.label!r} already; update it")
        draft = Block(operation.label, operation.value, description=operation.description)
        return [*held, blocks.configure(draft, {})]
    if operation.label not in labels:
        raise InvalidValue(
            f"there is no block {operation.label!r}, only {', '.join(labels) or 'none'}"
        )
    place = labels.index(operation.label)
    block = blocks.editable(held[place])
    if isinstance(operation, DeleteBlock):
        return [*held[:place], *held[place + 1 :]]
    for hunk in operation.hunks:
        with _at(hunk.line):
            block = _with_hunk(block, hunk, labels)
    if operation.new_label is not None:
        block = blocks.rename(block, operation.new_label)
        if operation.new_label in (*labels[:place], *labels[place + 1 :]):
            raise InvalidValue(f"there is a block {operation.new_label!r} already; choose another")
    return [*held[:place], block, *held[place + 1 :]]


def _with_hunk(block: Block, hunk: Hunk, labels: Sequence[str]) -> Block:
    lines = block.value.split("\n") if block.value else []
    old, new = (_stored(part, block, labels) for part in (hunk.old, hunk.new))
    if not old:
        return blocks.rewrite(block, "\n".join([*lines, *new]))
    places = [at for at in range(len(lines)) if lines[at : at + len(old)] == old]
    if len(places) == 1:
        (at,) = places
        return blocks.rewrite(block, "\n".join([*lines[:at], *new, *lines[at + len(old) :]]))
    shown = f"{old[0][:60]!r}" + (f" and the {len(old) - 1} lines after it" if len(old) > 1 else "")
    if not places:
        problem = f"does not hold {shown}, together and exactly so; copy them from the block"
    else:
        where = ", ".join(str(at + 1) for at in places[:10])
        problem = f"holds {shown} at lines {where}; add more of the lines around the change"
    raise EditMismatch(f"block {block.label!r} {problem}")


def _stored(lines: tuple[str, ...], block: Block, labels: Sequence[str]) -> list[str]:
    """Lines copied from the view of a block, as the block holds them."""
    return as_stored("\n".join(lines), block.value, labels).split("\n") if lines else []
