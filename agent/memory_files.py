"""Core memory as a folder of files: the commands and answers of Anthropic's memory tool.

Each block is a file, `/memories/LABEL`; what stands before a `/` in labels is a folder. A path that
is both is the file. Not offered by default: an agent's setting names it (see tools.py).

Source of names and answers: Anthropic's documentation of the memory tool, version 2025-08-18.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from pydantic import Field

from agent.block_changes import Told, told_text
from agent.block_paths import ROOT, inside, label_of, path_of
from agent.containment import as_stored
from agent.memory_tools import Arguments, MemoryTool, Scope
from memory import blocks, core_memory
from memory.errors import EditMismatch, InvalidValue, NotFound
from memory.records import Block

SNIPPET_LINES = 2
"""Shown before and after an edited place."""


class MemoryFiles(Arguments):
    """Arguments of memory_files; which of them a command takes, their descriptions say."""

    command: Literal["view", "create", "str_replace", "insert", "delete", "rename"] = Field(
        description="What to do."
    )
    path: str | None = Field(
        None, description="File, e.g. /memories/human; for view and delete a folder, too."
    )
    view_range: list[int] | None = Field(
        None, description="view: first and last line to show; -1 is the end of the file."
    )
    file_text: str | None = Field(None, description="create: the file's text.")
    old_str: str | None = Field(
        None, description="str_replace: text to replace; it must occur exactly once."
    )
    new_str: str | None = Field(
        None, description="str_replace: text to put there; left out, the old one is deleted."
    )
    insert_line: int | None = Field(None, description="insert: after this line; 0 is the top.")
    insert_text: str | None = Field(None, description="insert: text to insert.")
    old_path: str | None = Field(None, description="rename: file or folder to rename.")
    new_path: str | None = Field(None, description="rename: its new path.")


def _run(scope: Scope, a: MemoryFiles) -> Told:
    return Told(text=_COMMANDS[a.command](scope, a))


def _view(scope: Scope, a: MemoryFiles) -> str:
    place = _place(_needed(a, "path"))
    held = core_memory.list_blocks(scope.reader, scope.agent)
    found = [block for block in held if block.label == place]
    if found:
        lines, (first, last) = _lines(found[0].value), (1, -1)
        if a.view_range is not None:
            first, last = _range(a.view_range, len(lines))
        shown = lines[first - 1 : None if last == -1 else last]
        head = f"Here's the content of {path_of(place)} with line numbers:"
        return "\n".join([head, *_numbered(shown, first)])
    if place and not _below(held, place):
        raise NotFound(_no_such_path(place))
    if a.view_range is not None:
        raise InvalidValue(f"view_range is for files, and {path_of(place)} is a folder")
    return _listing(place, held)


def _create(scope: Scope, a: MemoryFiles) -> str:
    label, text = label_of(_needed(a, "path")), _needed(a, "file_text")
    if _is_file(scope, label):
        raise InvalidValue(f"File {path_of(label)} already exists")
    core_memory.create_block(scope.transaction, scope.agent, Block(label, text))
    return f"File created successfully at: {path_of(label)}"


def _str_replace(scope: Scope, a: MemoryFiles) -> str:
    label, old = _place(_needed(a, "path")), _needed(a, "old_str")
    if not _is_file(scope, label):
        raise NotFound(_no_such_path(label))
    held = core_memory.list_blocks(scope.reader, scope.agent)
    labels, line = [block.label for block in held], 1

    def change(block: Block) -> Block:
        nonlocal line
        texts = [old, a.new_str or ""]
        if old not in block.value:  # it may be from the head of the prompt, not from view
            texts = [as_stored(text, block.value, labels) for text in texts]
        line = _only_line(block, texts[0])
        return blocks.replace_once(block, *texts)

    block = core_memory.edit_block(scope.transaction, scope.agent, label, change)
    first = max(1, line - SNIPPET_LINES)
    last = line + (a.new_str or "").count("\n") + SNIPPET_LINES
    snippet = _numbered(_lines(block.value)[first - 1 : last], first)
    return "\n".join(["The memory file has been edited.", *snippet])


def _insert(scope: Scope, a: MemoryFiles) -> str:
    label, text = _place(_needed(a, "path")), _needed(a, "insert_text")
    if not _is_file(scope, label):
        raise NotFound(f"The path {path_of(label)} does not exist")
    if a.insert_line is None:
        raise InvalidValue("insert needs insert_line")
    at = a.insert_line

    def change(block: Block) -> Block:
        count = len(_lines(block.value))
        if not 0 <= at <= count:
            raise EditMismatch(
                f"Invalid `insert_line` parameter: {at}. It should be within the range of lines of"
                f" the file: [0, {count}]"
            )
        # The text is lines, and each may end with its own line break.
        return blocks.insert(block, text.removesuffix("\n"), at)

    core_memory.edit_block(scope.transaction, scope.agent, label, change)
    return f"The file {path_of(label)} has been edited."


def _delete(scope: Scope, a: MemoryFiles) -> str:
    place = _place(_needed(a, "path"))
    if not place:
        raise InvalidValue(f"{ROOT} itself cannot be deleted; name a file or folder in it")

    def edit(held: tuple[Block, ...]) -> list[Block]:
        gone = _at(held, place)
        return [block for block in held if block not in gone]

    core_memory.edit_blocks(scope.transaction, scope.agent, edit)
    return f"Successfully deleted {path_of(place)}"


def _rename(scope: Scope, a: MemoryFiles) -> str:
    old, new = _place(_needed(a, "old_path")), label_of(_needed(a, "new_path").rstrip("/"))
    if not old:
        raise InvalidValue(f"{ROOT} itself cannot be renamed; name a file or folder in it")

    def edit(held: tuple[Block, ...]) -> list[Block]:
        moved = _at(held, old)
        if any(block.label == new for block in held) or _below(held, new):
            raise InvalidValue(f"The destination {path_of(new)} already exists")
        return [
            blocks.rename(block, new + block.label[len(old) :]) if block in moved else block
            for block in held
        ]

    core_memory.edit_blocks(scope.transaction, scope.agent, edit)
    return f"Successfully renamed {path_of(old)} to {path_of(new)}"


_COMMANDS: Mapping[str, Callable[[Scope, MemoryFiles], str]] = {
    "view": _view,
    "create": _create,
    "str_replace": _str_replace,
    "insert": _insert,
    "delete": _delete,
    "rename": _rename,
}


def _needed(a: MemoryFiles, name: str) -> str:
    value = getattr(a, name)
    if value is None:
        raise InvalidValue(f"{a.command} needs {name}")
    return str(value)


def _place(path: str) -> str:
    """A file's or folder's path behind /memories/; a folder may end with a slash."""
    return inside(path.removesuffix("/") if path != "/" else path)


def _is_file(scope: Scope, label: str) -> bool:
    held = core_memory.list_blocks(scope.reader, scope.agent)
    return any(block.label == label for block in held)


def _below(held: Sequence[Block], folder: str) -> list[Block]:
    return [block for block in held if block.label.startswith(f"{folder}/" if folder else "")]


def _at(held: Sequence[Block], place: str) -> list[Block]:
    """The file at a place, or what is in the folder there."""
    found = [block for block in held if block.label == place] or _below(held, place)
    if not found:
        raise NotFound(f"The path {path_of(place)} does not exist")
    return found


def _no_such_path(place: str) -> str:
    return f"The path {path_of(place)} does not exist. Please provide a valid path."


def _lines(value: str) -> list[str]:
    """The lines of a file; a line break at the end begins no line."""
    return value.removesuffix("\n").split("\n") if value else []


def _numbered(lines: Sequence[str], first: int) -> list[str]:
    return [f"{number:>6}\t{line}" for number, line in enumerate(lines, first)]


def _range(asked: Sequence[int], count: int) -> tuple[int, int]:
    match asked:
        case [first, last] if 1 <= first <= max(count, 1) and (last == -1 or last >= first):
            return first, last
    raise InvalidValue(
        f"view_range {list(asked)[:4]} cannot be shown of {count} lines; give [first, last] from 1,"
        " or [first, -1]"
    )


def _only_line(block: Block, old: str) -> int:
    """The line on which a text begins that must be there once."""
    path, lines = path_of(block.label), blocks.lines_with(block.value, old) if old else []
    if len(lines) == 1:
        return lines[0]
    if not lines:
        problem = f"old_str `{old}` did not appear verbatim in {path}."
        raise EditMismatch(f"No replacement was performed, {problem}")
    where = ", ".join(map(str, lines))
    raise EditMismatch(
        f"No replacement was performed. Multiple occurrences of old_str `{old}` in lines: {where}."
        " Please ensure it is unique"
    )


def _listing(folder: str, held: Sequence[Block]) -> str:
    """Files and folders up to two levels below a folder, with their sizes."""
    sizes, total = dict[str, int](), 0
    for block in _below(held, folder):
        parts = block.label[len(folder) + 1 if folder else 0 :].split("/")
        if any(part.startswith(".") or part == "node_modules" for part in parts):
            continue
        size = len(block.value.encode("utf-8"))
        total += size
        for depth in (1, 2):
            if len(parts) >= depth:
                name = "/".join(parts[:depth]) + ("/" if len(parts) > depth else "")
                sizes[name] = sizes.get(name, 0) + size
    path = path_of(folder)
    return "\n".join(
        [
            f"Here're the files and directories up to 2 levels deep in {path}, excluding hidden"
            " items and node_modules:",
            f"{_size(total)}\t{path}",
            *(f"{_size(size)}\t{path}/{name}" for name, size in sorted(sizes.items())),
        ]
    )


def _size(count: int) -> str:
    if count < 1024:
        return f"{count}B"
    return f"{count / 1024:.1f}K" if count < 1024 * 1024 else f"{count / 1024 / 1024:.1f}M"


FILE_TOOLS = (
    MemoryTool(
        name="memory_files",
        title="Core memory as files",
        description="View and edit core memory as text files in /memories, one for each block.",
        arguments=MemoryFiles,
        result=Told,
        run=_run,
        text=told_text,
        writes=True,
        destructive=True,
    ),
)
