"""What may be stored: lengths, labels, names, clean text. Pure checks that raise InvalidValue."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from memory.errors import InvalidValue

MAX_TEXT_CHARS = 100_000
"""One passage, message or block: some 25,000 tokens, more than most local windows hold."""

MAX_QUERY_CHARS = 4_000
MAX_NAME_CHARS = 100
MAX_DESCRIPTION_CHARS = 2_000
MAX_NOTE_CHARS = 500
MAX_TAGS = 50
MAX_BLOCKS = 50
MAX_OBJECT_BYTES = 16_000
MAX_OBJECT_DEPTH = 20

MAX_TOOL_NAME_CHARS = 48
"""Letta's; some endpoints refuse more than 64, and a prefix must have room."""
MAX_SOURCE_BYTES = 100_000
MAX_REQUIREMENTS = 50
MAX_RETURN_CHARS = 1_000_000

_TOOL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# A name first: what begins as an option, a path or a URL would be one to an installer.
_REQUIREMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*[ !-.0-?A-~\[\]]{0,150}")
_LABEL = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./-]{0,62}")


def check_text(text: str, field: str, max_chars: int = MAX_TEXT_CHARS) -> str:
    """Return the text when it can be stored whole; it is never cut or cleaned silently.

    Raises:
        InvalidValue: it is too long, holds a NUL, or a lone surrogate (no character at all).
    """
    if len(text) > max_chars:
        instead = "store it in parts" if max_chars == MAX_TEXT_CHARS else "make it shorter"
        raise InvalidValue(
            f"{field} has {len(text)} characters, {len(text) - max_chars} over the limit of"
            f" {max_chars}; {instead}"
        )
    position = text.find("\0")
    if position >= 0:
        raise InvalidValue(f"{field} holds a NUL character at position {position}; remove it")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InvalidValue(
            f"{field} holds a lone surrogate (U+{ord(text[error.start]):04X}) at position"
            f" {error.start}, which is no character; send valid Unicode"
        ) from None
    return text


def check_filled(text: str, field: str, max_chars: int = MAX_TEXT_CHARS) -> str:
    """check_text, and there must be more than white space."""
    if not text.strip():
        raise InvalidValue(f"{field} is empty; give it some text")
    return check_text(text, field, max_chars)


def check_note(text: str | None, field: str) -> str | None:
    """An optional remark of at most 500 characters; a blank one is none."""
    if text is None or not text.strip():
        return None
    return check_text(text, field, MAX_NOTE_CHARS)


def check_label(label: str) -> str:
    """A block's label: 1 to 63 of A-Z, a-z, 0-9, `_ . / -`, not beginning with `. / -`."""
    if not _LABEL.fullmatch(label):
        raise InvalidValue(
            f"{label[:80]!r} cannot be a block's label; use 1 to 63 letters, digits, '_', '.', '/'"
            " or '-', beginning with a letter, digit or '_'"
        )
    return label


def check_name(name: str) -> str:
    """An agent's name, without white space around it: one line, at most 100 characters."""
    name = check_filled(name, "name", MAX_NAME_CHARS).strip()
    if not name.isprintable():
        raise InvalidValue(f"name {name!r} holds control characters; use one line of plain text")
    return name


def check_tags(tags: Sequence[str]) -> tuple[str, ...]:
    """Tags without repeats, in the order given."""
    if len(tags) > MAX_TAGS:
        raise InvalidValue(f"{len(tags)} tags are given; the limit is {MAX_TAGS}")
    return tuple(dict.fromkeys(check_filled(tag, "a tag", MAX_NAME_CHARS).strip() for tag in tags))


def check_tool_name(name: str) -> str:
    """A tool's name: 1 to 48 of A-Z, a-z, 0-9 and `_`, not beginning with a digit."""
    if len(name) > MAX_TOOL_NAME_CHARS or not _TOOL_NAME.fullmatch(name):
        raise InvalidValue(
            f"{name[:80]!a} cannot be a tool's name; use 1 to {MAX_TOOL_NAME_CHARS} letters, digits"
            " or '_' of ASCII, not beginning with a digit"
        )
    return name


def check_source(source: str) -> str:
    """A tool's source: at most 100,000 bytes."""
    size = len(source.encode("utf-8", "surrogatepass"))
    if size > MAX_SOURCE_BYTES:
        raise InvalidValue(
            f"source takes {size} bytes, {size - MAX_SOURCE_BYTES} over the limit of"
            f" {MAX_SOURCE_BYTES}; make two tools of it, or put the data in it into a file of the"
            " agent's workspace"
        )
    return check_filled(source, "source", MAX_SOURCE_BYTES)


def check_requirements(requirements: Sequence[str]) -> tuple[str, ...]:
    """What a tool imports: at most 50 packages as pip names them, without repeats."""
    if len(requirements) > MAX_REQUIREMENTS:
        raise InvalidValue(
            f"{len(requirements)} requirements are given; the limit is {MAX_REQUIREMENTS}"
        )
    for requirement in requirements:
        if not _REQUIREMENT.fullmatch(requirement.strip()):
            raise InvalidValue(
                f"{requirement[:80]!a} is no requirement; name a package, with versions if need be,"
                " e.g. 'requests>=2.32' (no options, paths or URLs)"
            )
    return tuple(dict.fromkeys(requirement.strip() for requirement in requirements))


def check_return_limit(limit_chars: int) -> int:
    """How much of a tool's result is kept: 1 to 1,000,000 characters."""
    if not 1 <= limit_chars <= MAX_RETURN_CHARS:
        raise InvalidValue(
            f"return_limit_chars is {limit_chars}; it must be 1 to {MAX_RETURN_CHARS}"
        )
    return limit_chars


def check_object(
    value: Mapping[str, Any], field: str, cure: str = "put texts into blocks or the archive"
) -> Mapping[str, Any]:
    """A JSON object, as metadata or settings: at most 16,000 bytes, 20 levels deep."""
    if _depth(value) > MAX_OBJECT_DEPTH:
        raise InvalidValue(
            f"{field} is nested more than {MAX_OBJECT_DEPTH} levels deep; flatten it"
        )
    try:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        size = len(text.encode())
    except (TypeError, ValueError) as error:  # UnicodeEncodeError is a ValueError
        raise InvalidValue(f"{field} cannot be written as JSON: {error}") from None
    if size > MAX_OBJECT_BYTES:
        raise InvalidValue(
            f"{field} takes {size} bytes as JSON, {size - MAX_OBJECT_BYTES} over the limit of"
            f" {MAX_OBJECT_BYTES}; {cure}"
        )
    return value


def _depth(value: Any) -> int:
    """How deep a value is nested, without recursion: it may be of any depth."""
    level, depth = [value], 0
    while level and depth <= MAX_OBJECT_DEPTH:
        nested = [item for item in level if isinstance(item, Mapping | list)]
        level = [
            inner
            for item in nested
            for inner in (item.values() if isinstance(item, Mapping) else item)
        ]
        depth += bool(nested)
        if not nested:
            break
    return depth


def check_timezone(name: str) -> str:
    """An IANA time zone that this machine knows."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidValue(
            f"{name[:80]!r} is no time zone; use an IANA name such as 'Europe/Berlin' or 'UTC'"
        ) from None
    return name


def check_limit(limit_chars: int) -> int:
    """A block's limit: 1 to MAX_TEXT_CHARS characters."""
    if not 1 <= limit_chars <= MAX_TEXT_CHARS:
        raise InvalidValue(f"limit {limit_chars} is outside 1 to {MAX_TEXT_CHARS} characters")
    return limit_chars
