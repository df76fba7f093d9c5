"""How much a reply may hold: pure functions over the bytes that a text takes as JSON on the wire.

A result travels twice, as text and as structure, so a tool that fills a page has PAGE_BYTES for
each. What does not fit is on the next page, or is cut with a mark that says where the rest is.
"""

import json
from collections.abc import Sequence
from typing import Any, Final

MAX_REPLY_BYTES: Final = 16_000
"""Some 4,000 tokens; hosts cut or refuse much more."""

PAGE_BYTES: Final = 7_000
"""Of a page's own texts, once; the rest is for names, dates and what surrounds them."""


def json_bytes(value: Any) -> int:
    """How many bytes a value takes on the wire.

    Raises:
        UnicodeEncodeError: a text in it is no valid Unicode.
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return len(text.encode())


def prefix_chars(text: str, room_bytes: int) -> int:
    """How many characters of a text fit into this many bytes of JSON, without its quotes.

    A text that fits is never cut; a longer one is cut at the end of a line, or else of a word, when
    there is one in the last quarter.
    """
    whole = json_bytes(text) - 2
    if whole <= room_bytes:
        return len(text)
    low, high = 0, min(len(text), max(room_bytes, 0))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (
            (middle, high) if json_bytes(text[:middle]) - 2 <= room_bytes else (low, middle - 1)
        )
    for separator in ("\n", " "):
        end = text.rfind(separator, low - low // 4, low)
        if end >= 0:
            return end + 1
    return low


def shortened(text: str, room_bytes: int, where: str) -> str:
    """The text, or as much of its beginning as fits, with a mark that says where the rest is."""
    kept = prefix_chars(text, room_bytes)
    if kept == len(text):
        return text
    return f"{text[:kept]}… [{len(text) - kept} more characters: {where}]"


def first_of(names: Sequence[str], room_bytes: int) -> list[str]:
    """As many names as fit, and how many more there are."""
    for count, name in enumerate(names):
        room_bytes -= json_bytes(name) + 1
        if room_bytes < 0:
            return [*names[:count], f"… {len(names) - count} more"]
    return list(names)


def fitting(sizes: Sequence[int], room_bytes: int) -> int:
    """How many items of these sizes fit, in order; one at least, when there is any."""
    for number, size in enumerate(sizes):
        room_bytes -= size
        if room_bytes < 0:
            return max(number, 1)
    return len(sizes)
