"""What a GGUF file says of its model and vocabulary, for an engine that does not tell.

Reads the header only and believes no count beyond the file's size. Format:
https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from agent.errors import ModelFileInvalid

Scalar = str | int | float | bool
_SCALARS = dict(zip((0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12), "BbHhIif?Qqd", strict=True))
_TEXT, _ARRAY = 8, 9
_TOKENS, _TYPES = "tokenizer.ggml.tokens", "tokenizer.ggml.token_type"
_CONTROL, _USER_DEFINED = 3, 4


@dataclass(frozen=True, slots=True)
class GgufHeader:
    """Single values by key, and the texts of the vocabulary with their types."""

    values: Mapping[str, Scalar]
    tokens: tuple[str, ...]
    types: tuple[int, ...]

    def text(self, key: str) -> str | None:
        """Give a text, if there is one."""
        value = self.values.get(key)
        return value if isinstance(value, str) else None

    def number(self, key: str) -> int:
        """Give a whole number of the architecture, e.g. `block_count`; 0 when there is none."""
        value = self.values.get(f"{self.values.get('general.architecture')}.{key}")
        return value if isinstance(value, int) else 0

    def token_text(self, name: str) -> str:
        """Give the text of the `bos` or `eos` token; empty when there is none."""
        index = self.values.get(f"tokenizer.ggml.{name}_token_id", -1)
        known = isinstance(index, int) and 0 <= index < len(self.tokens)
        return self.tokens[int(index)] if known else ""

    @property
    def controls(self) -> list[str]:
        """The texts of control tokens."""
        return self._of_type(_CONTROL)

    @property
    def added(self) -> list[str]:
        """The texts of tokens added to the vocabulary by hand: markers, or plain markup."""
        return self._of_type(_USER_DEFINED)

    def _of_type(self, kind: int) -> list[str]:
        pairs = zip(self.tokens, self.types, strict=False)
        return [text for text, known in pairs if known == kind]


def read_header(path: Path) -> GgufHeader:
    """Read the header of a file that check_model_file has let pass.

    Raises:
        ModelFileInvalid: it is damaged.
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _Reader(data).header()
    except (struct.error, OSError, ValueError, KeyError, RecursionError) as error:
        raise ModelFileInvalid(path, f"is damaged or incomplete ({error})") from error


class _Reader:
    def __init__(self, data: mmap.mmap) -> None:
        self._data, self._at = data, 0

    def header(self) -> GgufHeader:
        _, _, _, entries = self._unpack("<4sIQQ")
        values: dict[str, Scalar] = {}
        arrays: dict[str, list[Scalar]] = {_TOKENS: [], _TYPES: []}
        for _ in range(entries):
            key = self._text()
            (kind,) = self._unpack("<I")
            if kind == _ARRAY:
                self._array(arrays.get(key))
            else:
                values[key] = self._value(kind)
        tokens = tuple(str(token) for token in arrays[_TOKENS])
        return GgufHeader(values, tokens, tuple(int(kind) for kind in arrays[_TYPES]))

    def _array(self, kept: list[Scalar] | None) -> None:
        kind, count = self._unpack("<IQ")
        if kind == _ARRAY:
            for _ in range(count):
                self._array(None)
        elif kind == _TEXT:
            texts = (self._text() for _ in range(count))
            for text in texts:
                if kept is not None:
                    kept.append(text)
        elif kept is not None:
            kept.extend(self._unpack(f"<{count}{_SCALARS[kind]}"))
        else:
            self._skip(count * struct.calcsize("<" + _SCALARS[kind]))

    def _value(self, kind: int) -> Scalar:
        if kind == _TEXT:
            return self._text()
        value: Scalar = self._unpack("<" + _SCALARS[kind])[0]
        return value

    def _text(self) -> str:
        (length,) = self._unpack("<Q")
        start = self._at
        self._skip(length)
        return self._data[start : self._at].decode("utf-8", "replace")

    def _skip(self, count: int) -> None:
        if self._at + count > len(self._data):
            raise ValueError("its header is cut off")
        self._at += count

    def _unpack(self, form: str) -> tuple[int, ...]:
        start = self._at
        self._skip(struct.calcsize(form))
        return struct.unpack_from(form, self._data, start)
