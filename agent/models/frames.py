"""Frames: how the server and a model worker speak over a pair of pipes.

A frame is four bytes of length (big endian) and that many bytes of UTF-8 JSON, an object. Pure: no
I/O here; wire.py says what the objects mean, worker_process.py and llama_worker.py move the bytes.
"""

import json
import struct
from typing import Any

MAX_FRAME_BYTES = (
    64 * 1024 * 1024
)  # far above any prompt; bounds what a broken peer can make us hold
_LENGTH = struct.Struct(">I")


class FrameInvalid(ValueError):
    """The bytes are not a frame of this protocol; the connection cannot be used further."""


def encode_frame(message: dict[str, Any]) -> bytes:
    """Write one frame. Lone surrogates survive, as JSON escapes."""
    body = json.dumps(message, ensure_ascii=True, separators=(",", ":")).encode("ascii")
    if len(body) > MAX_FRAME_BYTES:
        raise FrameInvalid(f"a frame of {len(body)} bytes exceeds {MAX_FRAME_BYTES}")
    return _LENGTH.pack(len(body)) + body


class FrameDecoder:
    """Cuts a stream of bytes, however it is split, into messages."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """Take the next bytes and return the messages they complete, in order.

        Raises:
            FrameInvalid: on a length beyond MAX_FRAME_BYTES or a body that is no JSON object.
        """
        self._buffer += data
        messages = []
        while (body := self._next_body()) is not None:
            messages.append(_decode_body(body))
        return messages

    def _next_body(self) -> bytes | None:
        if len(self._buffer) < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack_from(self._buffer)
        if length > MAX_FRAME_BYTES:
            raise FrameInvalid(f"a frame of {length} bytes exceeds {MAX_FRAME_BYTES}")
        end = _LENGTH.size + length
        if len(self._buffer) < end:
            return None
        body = bytes(self._buffer[_LENGTH.size : end])
        del self._buffer[:end]
        return body


def _decode_body(body: bytes) -> dict[str, Any]:
    try:
        message = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise FrameInvalid(f"a frame is not JSON: {error}") from error
    if not isinstance(message, dict):
        raise FrameInvalid(f"a frame holds {type(message).__name__}, not an object")
    return message
