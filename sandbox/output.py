"""What a run printed, made fit to be kept and shown: bounded, decoded, without control characters.

A terminal obeys some control characters, and a log reader a forged line; nobody who prints here is
trusted. Tabs and line ends stay.
"""

import re
from dataclasses import dataclass, field
from typing import Final

ERROR_BYTES: Final = 4_000

# C0 without tab and line feed, DEL, C1, and what reorders or hides text around it.
_CONTROLS = re.compile(
    "[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\u200b\\u200e\\u200f\\u2028-\\u202e\\u2060-\\u2069\\ufeff]"
)


@dataclass(slots=True)
class Kept:
    """The first bytes of a stream, and how many came after them.

    limit_bytes: kept at most. dropped_bytes: read, counted and thrown away.
    """

    limit_bytes: int
    dropped_bytes: int = 0
    _head: bytearray = field(default_factory=bytearray)

    def add(self, data: bytes) -> None:
        """Keep what there is room for."""
        room = self.limit_bytes - len(self._head)
        self._head += data[:room]
        self.dropped_bytes += max(0, len(data) - room)

    def text(self) -> str:
        """What was kept, and a last line that counts what was not."""
        shown = visible(self._head.decode("utf-8", "replace"))
        if self.dropped_bytes:
            shown += f"\n[{self.dropped_bytes:,} more bytes were not kept]\n"
        return shown


def visible(text: str) -> str:
    """The text without characters that a terminal would obey; carriage returns end lines."""
    return _CONTROLS.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def bounded_error(text: str) -> str:
    """An error as it may be handed on: visible characters, at most ERROR_BYTES of UTF-8."""
    raw = visible(text[: 2 * ERROR_BYTES]).encode("utf-8", "replace")
    if len(raw) <= ERROR_BYTES:
        return raw.decode("utf-8")
    return raw[: ERROR_BYTES - 4].decode("utf-8", "ignore") + " …"
