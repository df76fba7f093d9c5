"""Strict JSON: what is taken from a process nobody trusts, and what is let out to it.

Strict is what every reader understands alike: UTF-8, no NaN, no lone surrogates, no key twice.
frames.py puts lengths before it; inside/answer.py is the check of values, which the tool's own
process makes as well.
"""

import json
from math import isfinite
from typing import Any, Final, NoReturn

from sandbox.errors import SandboxError
from sandbox.inside.answer import MAX_DEPTH, MAX_DIGITS, complaint

_ONE_KIND: Final = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))


class NotStrictJson(SandboxError):
    """Bytes or a value that are no strict JSON; the message says where and why."""


def loads(data: bytes, max_depth: int = MAX_DEPTH) -> Any:
    """Decode one value. Costs a small multiple of the length of data, whatever is in it.

    An object with the same key twice is refused: readers disagree on which of them counts, so one
    that checks and one that uses could see different values.

    Args:
        max_depth: of lists and objects in each other; counted on the bytes, before parsing.

    Raises:
        NotStrictJson: it is none.
    """
    _check_depth(data, max_depth)
    try:
        text = data.decode()
        value = json.loads(
            text,
            parse_constant=_refuse_constant,
            parse_int=_integer,
            parse_float=_finite,
            object_pairs_hook=_object,
        )
    except UnicodeDecodeError as error:
        raise NotStrictJson(f"byte {error.start} is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise NotStrictJson(f"it is not JSON: {error.msg} at character {error.pos}") from None
    if b"\\ud" in data or b"\\uD" in data:
        _check_surrogates(value)
    return value


def dumps(value: Any, path: str = "it") -> bytes:
    """Encode one value, without spaces.

    Args:
        path: what the value is called in an error.

    Raises:
        NotStrictJson: it is none.
    """
    check(value, path)
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def check(value: Any, path: str = "result") -> None:
    """Say what in the value is no strict JSON.

    Args:
        path: what the value is called.

    Raises:
        NotStrictJson: with the first such thing, by its path and with what to return instead, e.g.
            `result.items[3] is a set; return a list`.
    """
    said = complaint(value, path)
    if said is not None:
        raise NotStrictJson(said)


def _check_depth(data: bytes, max_depth: int) -> None:
    # What is left of strings when their escapes are gone is every second part between quotes. A
    # backslash outside of a string can fool this, but the parser goes no further than that.
    parts = data.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')
    brackets = b"".join(parts[::2]).translate(_ONE_KIND, _NO_BRACKETS)
    # Each round takes away the innermost pairs everywhere, so well-formed depth d ends in d rounds.
    for _ in range(max_depth):
        fewer = brackets.replace(b"[]", b"")
        if len(fewer) == len(brackets):
            break
        brackets = fewer
    if b"[]" in brackets or brackets.count(b"[") > max_depth:
        raise NotStrictJson(f"it is nested deeper than {max_depth} levels")
    if brackets:
        raise NotStrictJson("it is not JSON: its brackets do not match")


def _check_surrogates(value: Any) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        half = ascii(error.object[error.start])
        raise NotStrictJson(f"{half} is half a surrogate pair, which UTF-8 cannot hold") from None


def _refuse_constant(name: str) -> NoReturn:
    raise NotStrictJson(f"{name} is no number of JSON; send null")


def _integer(digits: str) -> int:
    if len(digits.lstrip("-")) > MAX_DIGITS:
        raise NotStrictJson(f"an integer has {len(digits)} digits; {MAX_DIGITS} are possible")
    return int(digits)


def _finite(digits: str) -> float:
    value = float(digits)
    if not isfinite(value):
        raise NotStrictJson(f"{digits[:40]} is larger than any number; send text")
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise NotStrictJson(f"an object has the key {twice[:40]!a} twice")
    return made
