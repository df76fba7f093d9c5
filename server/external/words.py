"""Text of other servers, made fit to be shown. Pure."""

import re
from typing import Final

_HIDDEN: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"
    "\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e0fff\ud800-\udfff]"
)
"""Control characters, what changes the direction of text, and what is not seen at all."""


def clean(text: str) -> str:
    """The text without what people cannot see and models can read."""
    return _HIDDEN.sub("", text.replace("\r\n", "\n"))


def shortened(text: str, max_chars: int) -> str:
    """The text, or its beginning, with a mark of how much is missing."""
    if len(text) <= max_chars:
        return text
    return f"{text[:max_chars]}… [{len(text) - max_chars} more characters]"
