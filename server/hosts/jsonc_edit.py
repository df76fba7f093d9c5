"""Setting and removing one entry in the text of a configuration; everything else stays as it is.

Pure: text in, text out. An entry is a member of a section, which is a member of the root:
{"mcpServers": {"mnemon": {...}}}. Indentation and newlines are those of the text around it.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from server.hosts.jsonc import BOM, Document, JsoncError, Member, Node, parse

BLANKS = " \t\r\n"


def read_entry(text: str, section: str, name: str) -> Any:
    """The entry's value; None: there is none.

    Raises:
        JsoncError: the text is not JSON with comments, or has no place for the entry.
    """
    document = parse(text)
    entries = _section(document, section)
    member = entries.node.find(name) if entries else None
    return document.value(member.node) if member else None


def has_section(text: str, section: str) -> bool:
    """Whether a section is there.

    Raises:
        JsoncError: as for read_entry.
    """
    return _section(parse(text), section) is not None


def set_entry(text: str, section: str, name: str, value: Mapping[str, Any]) -> str:
    """The text with an entry: a new one stands last, an old one's value is replaced.

    Raises:
        JsoncError: as for read_entry.
    """
    document = parse(text)
    layout = _Layout.of(document)
    entries = _section(document, section)
    if document.root is None:
        comments = text.rstrip() + layout.newline if text.strip(BOM + BLANKS) else ""
        return comments + layout.render({section: {name: value}}, "") + layout.newline
    if entries is None:
        return _append(document, document.root, section, {name: value}, layout)
    member = entries.node.find(name)
    if member is None:
        return _append(document, entries.node, name, value, layout)
    return _replace(text, member, value, layout)


def remove_entry(text: str, section: str, name: str, with_section: bool) -> str:
    """The text without an entry, and without its section when that is asked for and empty then.

    Raises:
        JsoncError: as for read_entry.
    """
    text = _without(text, section, name)
    document = parse(text)
    entries = _section(document, section)
    if not (with_section and document.root and entries) or _content(text, entries.node):
        return text
    return _remove(document, document.root, entries)


def is_bare(text: str) -> bool:
    """Whether nothing is in it: blanks only, or an object without members and comments."""
    return re.fullmatch(rf"{BOM}?\s*(\{{\s*\}}\s*)?", text) is not None


def _without(text: str, section: str, name: str) -> str:
    document = parse(text)
    entries = _section(document, section)
    member = entries.node.find(name) if entries else None
    return _remove(document, entries.node, member) if entries and member else text


def _section(document: Document, section: str) -> Member | None:
    root = document.root
    if root is None:
        return None
    if root.kind != "object":
        raise JsoncError("not an object in braces", document.text, root.start)
    member = root.find(section)
    if member is not None and member.node.kind != "object":
        raise JsoncError(f"{section} is not an object", document.text, member.node.start)
    return member


@dataclass(frozen=True, slots=True)
class _Layout:
    """How a text is laid out."""

    newline: str
    indent: str

    @classmethod
    def of(cls, document: Document) -> "_Layout":
        newline = "\r\n" if "\r\n" in document.text else "\n"
        members = document.root.members if document.root else ()
        indents = (_indent(document.text, member.start) for member in members)
        return cls(newline, next((i for i in indents if i), "  "))

    def render(self, value: Any, margin: str) -> str:
        """A value over several lines, of which all but the first begin with a margin."""
        text = json.dumps(value, indent=self.indent, ensure_ascii=False)
        return text.replace("\n", self.newline + margin)


def _append(document: Document, parent: Node, key: str, value: Any, layout: _Layout) -> str:
    """Add a member at the end of an object, behind all comments in it."""
    text = document.text
    closing = parent.end - 1
    end = _end_of_content(document, closing)
    last = parent.members[-1] if parent.members else None
    tail = text[end:closing]
    if end == parent.start + 1 and not _breaks(tail) and (parent is document.root or _breaks(text)):
        tail = layout.newline + _margin(text, parent.start)
    if _breaks(tail):
        outer = tail[max(tail.rfind("\n"), tail.rfind("\r")) + 1 :]
        inner = (_indent(text, last.start) if last else None) or outer + layout.indent
        added = f"{layout.newline}{inner}{_quoted(key)}: {layout.render(value, inner)}"
    else:
        added = f"{' ' if last else ''}{_quoted(key)}: {_quoted(value)}"
    if last is None:
        return text[:end] + added + tail + text[closing:]
    if last.comma is not None:
        return text[:end] + added + "," + tail + text[closing:]  # with a comma, as it was
    return text[: last.node.end] + "," + text[last.node.end : end] + added + tail + text[closing:]


def _replace(text: str, member: Member, value: Any, layout: _Layout) -> str:
    margin = _indent(text, member.start)
    rendered = _quoted(value) if margin is None else layout.render(value, margin)
    return text[: member.node.start] + rendered + text[member.node.end :]


def _remove(document: Document, parent: Node, member: Member) -> str:
    """Take out a member, its comma and the blanks before it; comments around it stay."""
    text = document.text
    start = _end_of_content(document, member.start)
    end = member.node.end if member.comma is None else member.comma + 1
    before, after = text[:start], text[end:]
    place = parent.members.index(member)
    if member.comma is None and place > 0:
        comma = parent.members[place - 1].comma
        if comma is not None:
            before = text[:comma] + text[comma + 1 : start]
    if len(parent.members) == 1 and not text[parent.start + 1 : start].strip(BLANKS):
        after = after.lstrip(BLANKS) if after.lstrip(BLANKS).startswith("}") else after
    if start in document.line_comment_ends and not after.lstrip(" \t").startswith(("\r", "\n")):
        after = text[start : member.start] + after  # else what follows would join the comment
    return before + after


def _end_of_content(document: Document, offset: int) -> int:
    """Where the blanks before an offset begin; those at the end of a line comment are its own."""
    end = len(document.text[:offset].rstrip(BLANKS))
    return max(end, *(e for e in document.line_comment_ends if e <= offset), 0)


def _content(text: str, node: Node) -> str:
    """What stands between the braces of an object."""
    return text[node.start + 1 : node.end - 1].strip(BLANKS)


def _quoted(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _breaks(text: str) -> bool:
    return "\n" in text or "\r" in text


def _margin(text: str, offset: int) -> str:
    """The blanks that the line of an offset begins with."""
    line = text[max(text.rfind("\n", 0, offset), text.rfind("\r", 0, offset)) + 1 : offset]
    return line[: len(line) - len(line.lstrip(" \t"))]


def _indent(text: str, offset: int) -> str | None:
    """The blanks between the start of a line and an offset; None: there is more than blanks."""
    margin = _margin(text, offset)
    before = text[: offset - len(margin)]
    return margin if before.endswith(("\n", "\r")) else None
