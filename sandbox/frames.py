"""Frames on the descriptor of a tool: a big-endian length of 4 bytes, then a JSON object.

Pure: bytes in, objects out. What is inside an object is checked by whoever reads it.
"""

from typing import Any, Final

from sandbox.errors import SandboxError
from sandbox.inside.answer import MAX_DEPTH
from sandbox.strict_json import NotStrictJson, dumps, loads

_LENGTH_BYTES: Final = 4
_MAX_LENGTH: Final = 2**32 - 1
FRAME_DEPTH: Final = MAX_DEPTH + 1
"""A value of the greatest depth, and the object of the frame around it."""


class FrameTooLong(SandboxError):
    """A frame announces more bytes than may be read."""

    def __init__(self, length: int, max_bytes: int) -> None:
        self.length, self.max_bytes = length, max_bytes
        super().__init__(f"a frame of {length} bytes; at most {max_bytes} are read")


def encode(message: dict[str, Any]) -> bytes:
    """One frame.

    Raises:
        NotStrictJson: the message is no strict JSON.
        FrameTooLong: it does not fit into the length field.
    """
    # Its values may be as deep as the check allows; each is checked by itself.
    body = b"{" + b",".join(dumps(k) + b":" + dumps(v, k) for k, v in message.items()) + b"}"
    if len(body) > _MAX_LENGTH:
        raise FrameTooLong(len(body), _MAX_LENGTH)
    return len(body).to_bytes(_LENGTH_BYTES, "big") + body


class FrameReader:
    """Puts frames together from pieces, as they come from a socket.

    Holds no more than one frame of max_bytes between calls. After an error it takes nothing more:
    where the next frame begins is not known.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._pending = bytearray()
        self._error: SandboxError | None = None

    @property
    def is_within_frame(self) -> bool:
        """Whether a frame has begun and not ended: the end of the stream would cut it off."""
        return bool(self._pending)

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """The objects that are complete with this piece.

        Raises:
            FrameTooLong: a frame is over max_bytes; its body has not been waited for.
            NotStrictJson: a frame is no strict JSON, or no object.
        """
        if self._error is not None:
            raise self._error
        self._pending += data
        try:
            return self._complete()
        except SandboxError as error:
            self._error = error
            self._pending.clear()
            raise

    def _complete(self) -> list[dict[str, Any]]:
        objects: list[dict[str, Any]] = []
        start = 0
        while len(self._pending) - start >= _LENGTH_BYTES:
            body = start + _LENGTH_BYTES
            length = int.from_bytes(self._pending[start:body], "big")
            if length > self._max_bytes:
                raise FrameTooLong(length, self._max_bytes)
            if len(self._pending) - body < length:
                break
            start = body + length
            objects.append(_object(bytes(self._pending[body:start])))
        del self._pending[:start]
        return objects


def _object(body: bytes) -> dict[str, Any]:
    value = loads(body, FRAME_DEPTH)
    if not isinstance(value, dict):
        raise NotStrictJson(f"a frame holds a {type(value).__name__}; it must hold an object")
    return value
