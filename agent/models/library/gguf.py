"""The header of a GGUF file: metadata and what its tensors take. The weights are never read.

A file may be anything, so every count and length is checked before it is believed: work and memory
have a bound whatever the file says, and what is wrong becomes ModelFileInvalid.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md (versions 2 and 3).
"""

import hashlib
import json
import math
import os
import stat
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, NoReturn

from agent.errors import ModelFileInvalid

Value = bool | int | float | str | tuple[bool | int | float, ...]

MAX_ENTRIES: Final = 10_000
"""Of metadata; real files have some fifty."""
MAX_TENSORS: Final = 100_000
MAX_KEY_BYTES: Final = 65_535
MAX_TEXT_BYTES: Final = 1 << 20
"""Of a text that is kept; chat templates have some ten thousand."""
MAX_KEPT_ITEMS: Final = 1024
"""Of an array of numbers that is kept: one for each layer. Vocabularies are passed over."""
MAX_PASSED_TEXTS: Final = 4_000_000
"""Of all arrays together; the largest vocabulary with its merges has about a million."""
MAX_DEPTH: Final = 4

_WINDOW_BYTES: Final = 1 << 18
_NUMBERS: Final = {
    0: "<B",
    1: "<b",
    2: "<H",
    3: "<h",
    4: "<I",
    5: "<i",
    6: "<f",
    7: "<?",
    10: "<Q",
    11: "<q",
    12: "<d",
}
_TEXT, _ARRAY = 8, 9

TENSOR_BLOCKS: Final[Mapping[int, tuple[int, int]]] = {
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34),
    9: (32, 36), 10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210),
    15: (256, 292), 16: (256, 66), 17: (256, 74), 18: (256, 98), 19: (256, 50), 20: (32, 18),
    21: (256, 110), 22: (256, 82), 23: (256, 136), 24: (1, 1), 25: (1, 2), 26: (1, 4), 27: (1, 8),
    28: (1, 8), 29: (256, 56), 30: (1, 2), 34: (256, 54), 35: (256, 66), 39: (32, 17), 40: (64, 36),
    41: (128, 18), 42: (64, 18),
}  # fmt: skip
"""Weights in a block and bytes of a block, by ggml_type (ggml.h); others are left uncounted."""


@dataclass(frozen=True, slots=True)
class Header:
    """What the beginning of a GGUF file says.

    metadata: texts, numbers and short arrays of numbers; long arrays are left out.
    weights: how many numbers the tensors of this file hold. digest: SHA-256 of the above.
    """

    metadata: Mapping[str, Value]
    weights: int
    file_bytes: int
    digest: str


def read_header(path: Path) -> Header:
    """Read the header, and see that the file is as long as its tensors need.

    Raises:
        ModelFileInvalid: no plain file, not GGUF, cut off, or saying what cannot be.
    """
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):  # opening a pipe would wait for its writer
            raise ModelFileInvalid(path, "is not a plain file")
        with path.open("rb") as file:
            return _Reader(path, file, os.fstat(file.fileno()).st_size).header()
    except FileNotFoundError:
        raise ModelFileInvalid(path, "does not exist") from None
    except OSError as error:
        raise ModelFileInvalid(path, f"cannot be read ({error.strerror})") from error


class _Reader:
    """Walks through one header, front to back."""

    def __init__(self, path: Path, file: BinaryIO, size: int) -> None:
        self._path, self._file, self._size = path, file, size
        self._at = 0
        self._passed_texts = 0

    def header(self) -> Header:
        if not self._size:
            self._fail("is empty")
        if self._take(min(4, self._size)) != b"GGUF":
            self._fail("is not a GGUF file (its first bytes are not 'GGUF')")
        version = self._number("<I")
        if version in (1 << 24, 2 << 24, 3 << 24):
            self._fail("is written for big-endian machines")
        if version not in (2, 3):
            self._fail(f"has version {version} of the format; 2 and 3 are known")
        tensors = self._bounded("<Q", MAX_TENSORS, "tensors")
        entries = self._bounded("<Q", MAX_ENTRIES, "entries")
        metadata = dict[str, Value]()
        for _ in range(entries):
            key = self._text(MAX_KEY_BYTES)
            value = self._value(self._number("<I"))
            if value is not None:
                metadata.setdefault(key, value)
        weights, end = self._tensors(tensors, metadata.get("general.alignment", 32))
        if end > self._size:
            self._fail(f"is cut off: {self._size} bytes of {end}")
        said = json.dumps([metadata, weights, tensors], sort_keys=True)
        return Header(metadata, weights, self._size, hashlib.sha256(said.encode()).hexdigest())

    def _tensors(self, count: int, alignment: Value) -> tuple[int, int]:
        """How many weights there are, and where the last one ends in the file."""
        if not isinstance(alignment, int) or not 0 < alignment <= 1 << 20:
            self._fail(f"has an alignment of {str(alignment)[:40]}")
        weights = end = 0
        for _ in range(count):
            self._text(MAX_KEY_BYTES)
            shape = [self._number("<Q") for _ in range(self._bounded("<I", 8, "dimensions"))]
            kind, offset = self._number("<I"), self._number("<Q")
            size = math.prod(shape)
            weights += size
            per_block, block_bytes = TENSOR_BLOCKS.get(kind, (1, 0))
            end = max(end, offset + size // per_block * block_bytes)
        start = -(-self._at // alignment) * alignment
        return weights, start + end if count else 0

    def _value(self, kind: int) -> Value | None:
        if kind == _TEXT:
            return self._text(MAX_TEXT_BYTES)
        if kind == _ARRAY:
            return self._array(1)
        return self._number(self._form(kind))

    def _array(self, depth: int) -> tuple[bool | int | float, ...] | None:
        """The numbers of a short array; None for others, which are passed over."""
        kind, count = self._number("<I"), self._number("<Q")
        if kind == _TEXT:
            self._pass_texts(count)
        elif kind == _ARRAY:
            self._passed_texts += count
            if depth == MAX_DEPTH or self._passed_texts > MAX_PASSED_TEXTS:
                self._fail("has arrays beyond all measure")
            for _ in range(count):
                self._array(depth + 1)
        else:
            form = self._form(kind)
            size = struct.calcsize(form)
            if count <= MAX_KEPT_ITEMS:
                return struct.unpack(f"<{count}{form[1]}", self._take(count * size))
            self._pass(count * size)
        return None

    def _pass_texts(self, count: int) -> None:
        """Pass over texts: a window of the file at a time, for there may be a million."""
        self._passed_texts += count
        if self._passed_texts > MAX_PASSED_TEXTS:
            self._fail("has arrays beyond all measure")
        window, at = b"", 0
        while count:
            if at + 8 > len(window):
                self._pass(at)
                window, at = self._file.read(_WINDOW_BYTES), 0
                self._file.seek(self._at)
                if len(window) < 8:
                    self._cut_off()
            at += 8 + int.from_bytes(window[at : at + 8], "little")
            count -= 1
        self._pass(at)

    def _form(self, kind: int) -> str:
        form = _NUMBERS.get(kind)
        if form is None:
            self._fail(f"has a value of the unknown type {kind}")
        return form

    def _bounded(self, form: str, most: int, what: str) -> int:
        count = self._number(form)
        if count > most:
            self._fail(f"claims to have {count} {what}; {most} is the most that is believed")
        return count

    def _text(self, most: int) -> str:
        length = self._bounded("<Q", most, "bytes in a text")
        return self._take(length).decode("utf-8", "replace")

    def _number(self, form: str) -> int:
        # Floats and truth values come through _value and _array as what they are.
        number: int = struct.unpack(form, self._take(struct.calcsize(form)))[0]
        return number

    def _take(self, count: int) -> bytes:
        data = self._file.read(count) if self._at + count <= self._size else b""
        if len(data) < count:
            self._cut_off()
        self._at += count
        return data

    def _pass(self, count: int) -> None:
        if self._at + count > self._size:
            self._cut_off()
        self._at += count
        self._file.seek(self._at)

    def _cut_off(self) -> NoReturn:
        self._fail("is cut off within its header")

    def _fail(self, problem: str) -> NoReturn:
        raise ModelFileInvalid(self._path, problem)
