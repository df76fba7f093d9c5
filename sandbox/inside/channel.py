"""The frames of this end: a big-endian length of 4 bytes, then that many bytes of JSON.

The server's frames are trusted, so they are not checked here; frames.py checks ours out there.
"""

import os
from typing import Any

try:
    # The package json imports re for its error messages: 6 ms of a start of 15.
    import _json

    class _Reading:
        strict = True
        object_hook = object_pairs_hook = None
        parse_float = float
        parse_int = int
        parse_constant = float

    _c: Any = _json
    _scan = _c.make_scanner(_Reading)
    _encoder = _c.make_encoder(
        None, None, _c.encode_basestring, None, ":", ",", False, False, False
    )

    def from_json(text: str) -> Any:
        """Decode one value."""
        return _scan(text, 0)[0]

    def to_json(value: Any) -> str:
        """Encode one value, which must be strict JSON."""
        return "".join(_encoder(value, 0))

except (ImportError, AttributeError, TypeError):
    import json

    def from_json(text: str) -> Any:
        """Decode one value."""
        return json.loads(text)

    def to_json(value: Any) -> str:
        """Encode one value, which must be strict JSON."""
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


class Channel:
    """Both directions of the descriptor that the server gave us."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._received = bytearray()

    def receive(self) -> dict[str, Any]:
        """The next message.

        Raises:
            EOFError: the server has closed its end.
        """
        length = int.from_bytes(self._peek(4)[:4], "big")
        body = bytes(self._peek(4 + length)[4 : 4 + length])
        # Only now: what an exception of a signal handler interrupts is read again from its start.
        del self._received[: 4 + length]
        message: dict[str, Any] = from_json(body.decode())
        return message

    def send(self, message: dict[str, Any]) -> None:
        """Send all of a message."""
        body = to_json(message).encode()
        rest = memoryview(len(body).to_bytes(4, "big") + body)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]

    def _peek(self, size: int) -> bytearray:
        while len(self._received) < size:
            data = os.read(self._descriptor, max(65_536, size - len(self._received)))
            if not data:
                raise EOFError("the server has closed the connection")
            self._received += data
        return self._received
