"""Docstrings in Google's style, as far as a model is told of them. Pure, linear in their length.

Source: Google Python Style Guide, 3.8.3.
"""

import inspect
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

_ARGUMENTS: Final = frozenset(
    {"args", "arguments", "parameters", "params", "keyword args", "keyword arguments", "attributes"}
)
_RETURNS: Final = frozenset({"returns", "return", "yields"})
_OTHERS: Final = frozenset(
    {"raises", "example", "examples", "note", "notes", "warning", "warnings", "see also", "todo"}
    | {"references", "other parameters", "source"}
)
_HEAD: Final = re.compile(r"\*{0,2}(\w{1,100})(?: ?\(.{0,200}\))?")


@dataclass(frozen=True, slots=True)
class Docstring:
    """What a docstring says: of the whole, of each argument, of the result."""

    description: str
    arguments: Mapping[str, str]
    returns: str


def read_docstring(text: str) -> Docstring:
    """Take a docstring apart; what has another style is its description."""
    lines = inspect.cleandoc(text).splitlines()
    begin = next((at for at, line in enumerate(lines) if _section(line)), len(lines))
    arguments = dict[str, str]()
    returns = ""
    for name, body in _sections(lines[begin:]):
        if name in _ARGUMENTS:
            arguments |= _entries(body)
        elif name in _RETURNS:
            returns = returns or " ".join(" ".join(body).split())
    return Docstring("\n".join(lines[:begin]).strip(), arguments, returns)


def _section(line: str) -> str | None:
    """The name of the section that begins with a line, if one does."""
    if line[:1].isspace() or not line.rstrip().endswith(":"):
        return None
    name = line.rstrip()[:-1].lower()
    return name if name in _ARGUMENTS | _RETURNS | _OTHERS else None


def _sections(lines: Sequence[str]) -> list[tuple[str, list[str]]]:
    found: list[tuple[str, list[str]]] = []
    for line in lines:
        name = _section(line)
        if name is not None:
            found.append((name, []))
        else:
            found[-1][1].append(line)
    return found


def _entries(lines: Sequence[str]) -> dict[str, str]:
    """What is said of each name: a line `name (type): text`, and those indented below it."""
    filled = [line for line in lines if line.strip()]
    indent = min((len(line) - len(line.lstrip()) for line in filled), default=0)
    found = dict[str, list[str]]()
    said: list[str] = []
    for line in filled:
        head, colon, rest = line.strip().partition(":")
        begins = len(line) - len(line.lstrip()) == indent and colon and len(head) <= 320
        named = _HEAD.fullmatch(head.rstrip()) if begins else None
        if named is None:
            said.append(line.strip())
        else:
            said = found.setdefault(named[1], [])
            said.append(rest.strip())
    return {name: " ".join(" ".join(words).split()) for name, words in found.items()}
