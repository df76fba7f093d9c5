"""A tool's source as it is shown to a person who is asked about the tool. Pure.

It is a stranger's text: nothing in it may move the cursor, hide, or pass for our own words.
"""

import hashlib
from typing import Final

from server.counted import counted
from server.reply_size import prefix_chars

_ROOM_BYTES: Final = 1_500
_DIGEST_CHARS: Final = 12


def digest(source: str) -> str:
    """SHA-256 of a source, in hexadecimal."""
    return hashlib.sha256(source.encode()).hexdigest()


def mark(sha256: str, lines: int) -> str:
    """What tells a source from others, for people."""
    return f"{counted(lines, 'line')}, sha256 {sha256[:_DIGEST_CHARS]}"


def line_count(source: str) -> int:
    """How many lines a source has."""
    return len(source.rstrip("\n").split("\n"))


def quoted(source: str) -> str:
    """As much of a source's beginning as a question has room for, each line marked as not ours."""
    text = "".join(
        c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode()
        for c in source.rstrip("\n")
    )
    kept = prefix_chars(text, _ROOM_BYTES)
    left = len(text) - kept
    end = f"[{counted(left, 'more character')}]" if left else "[this is all of it]"
    return "\n".join([*(f"| {line}" for line in text[:kept].rstrip("\n").split("\n")), end])
