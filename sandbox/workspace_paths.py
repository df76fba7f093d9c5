"""Paths of a workspace as callers write them: relative, bounded, without a way up. Pure."""

from typing import Final

from sandbox.errors import FileRefused

MAX_DEPTH: Final = 32
MAX_NAME_BYTES: Final = 255
MAX_PATH_CHARS: Final = 1_024


def names_of(path: str) -> tuple[str, ...]:
    """The names that a path consists of; none for the workspace itself ("" or ".").

    Raises:
        FileRefused: it is absolute, goes up, is too long, or holds what no name may.
    """
    if len(path) > MAX_PATH_CHARS:
        raise FileRefused(path, f"is longer than {MAX_PATH_CHARS} characters")
    if path.startswith("/"):
        raise FileRefused(path, "is absolute; give a path within the workspace, as notes/a.txt")
    if "\0" in path:
        raise FileRefused(path, "holds a NUL character")
    names = tuple(name for name in path.split("/") if name not in ("", "."))
    if ".." in names:
        raise FileRefused(path, "goes up; give a path within the workspace, without ..")
    if len(names) > MAX_DEPTH:
        raise FileRefused(path, f"is nested deeper than {MAX_DEPTH} folders")
    for name in names:
        _check_name(path, name)
    return names


def _check_name(path: str, name: str) -> None:
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        raise FileRefused(path, "is not valid Unicode") from None
    if size > MAX_NAME_BYTES:
        raise FileRefused(path, f"has a name of over {MAX_NAME_BYTES} bytes")


def file_names_of(path: str) -> tuple[str, ...]:
    """As names_of, of what cannot be the workspace itself.

    Raises:
        FileRefused: as there, or it names no file.
    """
    names = names_of(path)
    if not names or path.endswith("/"):
        raise FileRefused(path, "names no file")
    return names


def shown_name(name: str) -> str:
    """A name as it can be written in JSON and in a line, whatever bytes a program made it of."""
    return "".join(
        character
        if character.isprintable() and not "\ud800" <= character <= "\udfff"
        else character.encode("unicode_escape", "surrogatepass").decode("ascii")
        for character in name
    )
