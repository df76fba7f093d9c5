"""Bytes in, lines out: what the front, stdio and the owner's socket have in common.

Standard library only, because the front imports it.
"""

MAX_LINE_BYTES = 16 * 1024 * 1024  # four times what HTTP takes; a line is held in memory


class LineBuffer:
    """Cuts chunks into lines without their newline; of a longer line, the first limit + 1 bytes."""

    def __init__(self, limit_bytes: int = MAX_LINE_BYTES) -> None:
        self._limit = limit_bytes
        self._rest = bytearray()

    def feed(self, chunk: bytes) -> list[bytes]:
        """Take what was read; return the lines it ends."""
        *ended, rest = chunk.split(b"\n")
        lines = []
        for part in ended:
            self._append(part)
            lines.append(self.take_rest())
        self._append(rest)
        return lines

    def take_rest(self) -> bytes:
        """Return and forget what has no newline yet."""
        rest = bytes(self._rest)
        self._rest.clear()
        return rest

    def _append(self, part: bytes) -> None:
        self._rest += part[: self._limit + 1 - len(self._rest)]
