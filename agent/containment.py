"""Text inside the rendered blocks: it cannot close an element, and it can be read back.

A closing tag of our own elements or of a block gets a backslash before its slash, in any case and
with white space in it. One that had backslashes already gets one more: no two texts look the same,
so what an agent copies from its view tells exactly what is stored. Pure.
"""

import re
from collections.abc import Iterable

ELEMENTS = ("memory_blocks", "description", "metadata", "value")


def contain(text: str, labels: Iterable[str]) -> str:
    """Text as it is shown among blocks with these labels."""
    return re.sub(rf"(<\s*\\*)({_end_of_closer(labels)})", r"\1\\\2", text, flags=re.IGNORECASE)


def release(shown: str, labels: Iterable[str]) -> str:
    """Shown text as it is stored: the inverse of contain."""
    return re.sub(rf"(<\s*\\*)\\({_end_of_closer(labels)})", r"\1\2", shown, flags=re.IGNORECASE)


def as_stored(copied: str, value: str, labels: Iterable[str]) -> str:
    """Text that was copied from the view of a block with this value, as the block holds it.

    A block that is shown as it is stored takes every text as it is.
    """
    labels = tuple(labels)
    if "\\/" not in copied or contain(value, labels) == value:
        return copied
    return release(copied, labels)


def keep_inside(element: str, text: str) -> str:
    """Text as it can stand in an element of ours: it does not close it."""
    return re.sub(rf"<(\s*/\s*{element}\s*>)", r"<\\\1", text, flags=re.IGNORECASE)


def _end_of_closer(labels: Iterable[str]) -> str:
    return rf"/\s*(?:{'|'.join(map(re.escape, (*ELEMENTS, *labels)))})\s*>"
