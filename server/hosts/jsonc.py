"""Reading JSON with comments and trailing commas, with the place of everything in the text.

Only what an edit needs: spans of values and members, and where commas and line comments are. What
is stricter JSON is read too. Edits are jsonc_edit.py's.
"""

import json
import re
from dataclasses import dataclass, field
from typing import Any, Literal

BOM = "\ufeff"
MAX_DEPTH = 200  # far beyond any configuration, and well below Python's own limit

_BLANK = re.compile(r"[ \t\r\n]+")
_LINE_COMMENT = re.compile(r"//[^\r\n]*")
_BLOCK_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
# Possessive, so that a string without an end is found out in one pass.
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]++|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*+"')
_SCALAR = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.])|(?:true|false|null)\b")


class JsoncError(ValueError):
    """The text is not JSON with comments; line and column count from 1."""

    def __init__(self, what: str, text: str, offset: int) -> None:
        self.line = text.count("\n", 0, offset) + 1
        self.column = offset - (text.rfind("\n", 0, offset) + 1) + 1
        super().__init__(f"{what} at line {self.line}, column {self.column}")


@dataclass(frozen=True, slots=True)
class Node:
    """A value at text[start:end]; members are of an object, items of an array."""

    kind: Literal["object", "array", "scalar"]
    start: int
    end: int
    members: tuple["Member", ...] = ()
    items: tuple["Node", ...] = ()

    def find(self, key: str) -> "Member | None":
        """The member with a key; of several the last, as JSON parsers have it."""
        return next((m for m in reversed(self.members) if m.key == key), None)


@dataclass(frozen=True, slots=True)
class Member:
    """One `"key": value` of an object; comma is the offset of the one behind it, if any."""

    key: str
    start: int
    node: Node
    comma: int | None


@dataclass(frozen=True, slots=True)
class Document:
    """A text and what stands where; root is None when there is nothing but blanks and comments."""

    text: str
    root: Node | None
    line_comment_ends: frozenset[int]

    def value(self, node: Node) -> Any:
        """The node's value, as json.loads would have it."""
        if node.kind == "object":
            return {member.key: self.value(member.node) for member in node.members}
        if node.kind == "array":
            return [self.value(item) for item in node.items]
        return json.loads(self.text[node.start : node.end], parse_int=_integer)


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) < 4000 else float(digits)  # int() refuses longer ones


def parse(text: str) -> Document:
    """Read a text.

    Raises:
        JsoncError: saying what is wrong and where.
    """
    reader = _Reader(text)
    offset = reader.skip(1 if text.startswith(BOM) else 0)
    root = None
    if offset < len(text):
        root = reader.read(offset, depth=0)
        offset = reader.skip(root.end)
        if offset < len(text):
            raise JsoncError("there is more after the end of the value", text, offset)
    return Document(text, root, frozenset(reader.line_comment_ends))


@dataclass(slots=True)
class _Reader:
    text: str
    line_comment_ends: set[int] = field(default_factory=set)

    def skip(self, offset: int) -> int:
        """The offset of what follows blanks and comments."""
        while True:
            if blank := _BLANK.match(self.text, offset):
                offset = blank.end()
            elif comment := _LINE_COMMENT.match(self.text, offset):
                offset = comment.end()
                self.line_comment_ends.add(offset)
            elif comment := _BLOCK_COMMENT.match(self.text, offset):
                offset = comment.end()
            elif self.text.startswith("/*", offset):
                raise JsoncError("a comment has no end", self.text, offset)
            else:
                return offset

    def read(self, offset: int, depth: int) -> Node:
        """The value at an offset."""
        if depth > MAX_DEPTH:
            raise JsoncError(f"nested deeper than {MAX_DEPTH} levels", self.text, offset)
        first = self.text[offset : offset + 1]
        if first == "{":
            return self._object(offset, depth)
        if first == "[":
            return self._array(offset, depth)
        found = (_STRING if first == '"' else _SCALAR).match(self.text, offset)
        if found is None:
            wrong = "a string is wrong or has no end" if first == '"' else "a value is missing"
            raise JsoncError(wrong, self.text, offset)
        return Node("scalar", offset, found.end())

    def _object(self, start: int, depth: int) -> Node:
        members = list[Member]()
        offset = self.skip(start + 1)
        while not self.text.startswith("}", offset):
            if members and members[-1].comma is None:
                raise JsoncError("a comma or } is missing", self.text, offset)
            members.append(member := self._member(offset, depth))
            end = member.node.end if member.comma is None else member.comma + 1
            offset = self.skip(end)
        return Node("object", start, offset + 1, members=tuple(members))

    def _member(self, start: int, depth: int) -> Member:
        key = _STRING.match(self.text, start)
        if key is None:
            raise JsoncError("a name in double quotes or } is missing", self.text, start)
        colon = self.skip(key.end())
        if not self.text.startswith(":", colon):
            raise JsoncError("a colon is missing", self.text, colon)
        node = self.read(self.skip(colon + 1), depth + 1)
        return Member(json.loads(key.group()), start, node, self._comma(node.end))

    def _array(self, start: int, depth: int) -> Node:
        items = list[Node]()
        comma: int | None = start
        offset = self.skip(start + 1)
        while not self.text.startswith("]", offset):
            if comma is None:
                raise JsoncError("a comma or ] is missing", self.text, offset)
            items.append(item := self.read(offset, depth + 1))
            comma = self._comma(item.end)
            offset = self.skip(item.end if comma is None else comma + 1)
        return Node("array", start, offset + 1, items=tuple(items))

    def _comma(self, offset: int) -> int | None:
        offset = self.skip(offset)
        return offset if self.text.startswith(",", offset) else None
