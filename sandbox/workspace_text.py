"""Files of a workspace as text, read in parts that never cut a character. Pure."""

import codecs
from dataclasses import dataclass

from sandbox.workspace_records import FilePart

_MAX_CHARACTER_BYTES = 4


class NotText(Exception):
    """The bytes are no UTF-8 text."""


@dataclass(frozen=True, slots=True)
class TextPart:
    """Part of a text. next_offset: of the part after it, in bytes; None at the end."""

    text: str
    next_offset: int | None
    size_bytes: int


def text_of(part: FilePart) -> TextPart:
    """The text of a part of a file, up to its last whole character.

    Raises:
        NotText: it is none, or begins in the middle of a character.
    """
    if b"\0" in part.data:
        raise NotText
    is_end = part.offset + len(part.data) >= part.size_bytes
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        text = decoder.decode(part.data, final=is_end)
    except UnicodeDecodeError:
        raise NotText from None
    left, _ = decoder.getstate()
    end = part.offset + len(part.data) - len(left)
    if end == part.offset and not is_end and len(part.data) >= _MAX_CHARACTER_BYTES:
        raise NotText
    return TextPart(text, None if is_end else end, part.size_bytes)
