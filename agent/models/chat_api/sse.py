"""Server-sent events: bytes, however they are cut, to the data of events. Pure and bounded."""

from typing import Final

MAX_LINE_BYTES: Final = 4 * 1024 * 1024


class LineTooLong(ValueError):
    """A line has more bytes than any answer needs; nothing after it can be read."""


class SseDecoder:
    """Collects bytes and gives the data of each event that is complete."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0
        self._data: list[str] = []

    def feed(self, data: bytes) -> list[str]:
        """Take the next bytes.

        Raises:
            LineTooLong: see MAX_LINE_BYTES.
        """
        self._buffer += data
        events = []
        while (end := self._buffer.find(b"\n", self._searched)) >= 0:
            _check_length(end)
            line = bytes(self._buffer[:end]).removesuffix(b"\r")
            del self._buffer[: end + 1]
            self._searched = 0
            events += self._take(line)
        self._searched = len(self._buffer)
        _check_length(self._searched)
        return events

    def end(self) -> list[str]:
        """Give what a server that ends without an empty line leaves behind."""
        line = bytes(self._buffer).removesuffix(b"\r")
        self._buffer.clear()
        return [*self._take(line), *self._take(b"")]

    def _take(self, line: bytes) -> list[str]:
        if not line:
            data, self._data = self._data, []
            return ["\n".join(data)] if data else []
        field, _, value = line.decode("utf-8", "replace").lstrip("\ufeff").partition(":")
        value = value.removeprefix(" ")
        if field == "data":
            self._data.append(value)
        elif field == "error":  # llama-server, in this form of its own
            return [f'{{"error": {value}}}']
        return []


def _check_length(line_bytes: int) -> None:
    if line_bytes > MAX_LINE_BYTES:
        raise LineTooLong(f"a line has more than {MAX_LINE_BYTES} bytes")
