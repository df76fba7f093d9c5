"""What strict JSON is, on bytes and on values; and that nothing else gets through."""

import dataclasses
import datetime
import decimal
import enum
import json
import math
import pathlib
import uuid
from collections import Counter, OrderedDict, namedtuple
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.strict_json import NotStrictJson, check, dumps, loads

MIB = 1 << 20

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inside: st.lists(inside) | st.dictionaries(st.text(), inside),
    max_leaves=30,
)


def depth(value: Any) -> int:
    """By hand: how many lists and objects lie in each other."""
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(depth, value), default=0)
    return 0


@given(json_values)
def test_what_is_encoded_is_read_back_the_same(value: Any) -> None:
    assert loads(dumps(value)) == value


@given(json_values, st.integers(0, 6))
def test_depth_is_counted_on_bytes_as_it_is_on_values(value: Any, allowed: int) -> None:
    data = json.dumps(value, indent=1).encode()
    if depth(value) <= allowed:
        assert loads(data, allowed) == value
    else:
        with pytest.raises(NotStrictJson, match=f"deeper than {allowed} levels"):
            loads(data, allowed)


@given(st.binary() | st.text(alphabet='[]{}",:\\ud0 1eNa-').map(str.encode))
def test_any_bytes_are_json_that_comes_back_or_a_refusal(data: bytes) -> None:
    try:
        value = loads(data)
    except NotStrictJson:
        return
    assert loads(dumps(value)) == value
    assert json.loads(data) == value


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"NaN", "NaN is no number of JSON; send null"),
        (b"[-Infinity]", "-Infinity is no number of JSON"),
        (b"1e999", "1e999 is larger than any number"),
        (b"1" * 4_301, "an integer has 4301 digits; 4300 are possible"),
        (b"-" + b"1" * 9_999, "4300 are possible"),
        (rb'"\ud800"', r"'\\ud800' is half a surrogate pair"),
        (rb'{"\uDFFF": 1}', r"'\\udfff' is half a surrogate pair"),
        (b'"\xed\xa0\x80"', "byte 1 is not UTF-8"),
        (b'"\xff"', "byte 1 is not UTF-8"),
        (b'{"a": 1, "b": 2, "a": 3}', "an object has the key 'a' twice"),
        (b"", "it is not JSON"),
        (b"1 2", "it is not JSON: Extra data at character 2"),
        (b"{'a': 1}", "it is not JSON"),
        (b"\xef\xbb\xbf1", "it is not JSON"),
        (b"[[", "its brackets do not match"),
        (b"]" * 100, "its brackets do not match"),
        (b"[" * 65 + b"]" * 65, "nested deeper than 64 levels"),
        (b"[" * 100_000, "nested deeper than 64 levels"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "nested deeper than 64 levels"),
        (b'"' + b"\\" * 3 + b'"' + b"[" * 100_000, "it is not JSON"),
    ],
)
def test_bytes_that_are_not_strict_json_are_refused_with_the_reason(
    data: bytes, problem: str
) -> None:
    with pytest.raises(NotStrictJson) as caught:
        loads(data)
    assert problem.replace(r"\\", "\\") in str(caught.value)


def test_brackets_in_strings_are_no_depth() -> None:
    value = ["[" * 100, '\\"' + "{" * 100, "\\"]
    assert loads(json.dumps(value).encode()) == value


def test_a_pair_of_surrogates_is_one_character() -> None:
    assert loads(rb'"\ud83d\ude00"') == "\N{GRINNING FACE}"


@pytest.mark.parametrize(
    "data",
    [
        b'"' + b'\\"' * (MIB // 2),
        b'"' * MIB,
        b"[" * MIB,
        (b"[" * 64 + b"]" * 64) * (MIB // 128),
        b"[]" * (MIB // 2),
        b"[" + b"1" * (MIB - 2) + b"]",
        b"\\" * MIB,
    ],
    ids=["open string", "quotes", "open lists", "combs", "pairs", "digits", "backslashes"],
)
def test_a_mebibyte_made_to_be_slow_is_refused_all_the_same(data: bytes) -> None:
    with pytest.raises(NotStrictJson):
        loads(data)


class Text(str):
    """Looks like a str."""


class Colour(enum.IntEnum):
    RED = 1


@dataclasses.dataclass
class Point:
    x: int


Pair = namedtuple("Pair", "a b")
NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({1, 2}, "result is a set; return a list"),
        ({"items": [0, 1, 2, {3}]}, "result.items[3] is a set; return a list"),
        ({"a b": {"c": b"x"}}, "result['a b'].c is a bytes; return text, e.g. base64"),
        (math.nan, "result is NaN, which JSON has not; return None"),
        ([-math.inf], "result[0] is Infinity, which JSON has not; return None"),
        ({"n": 10**4_300}, "result.n is an integer of more than 4300 digits"),
        ({(1, 2): 1}, "result has a key that is a tuple; use text as the key"),
        ({None: 1}, "result has a key that is a None; use text as the key"),
        ({"x": {1: 2}}, "result.x has a key that is an int; use text as the key"),
        (["\ud800"], "result[0] holds half a surrogate pair at character 0"),
        ({"a\udfff": 1}, "result has a key that holds half a surrogate pair"),
        (Text("x"), "result is a Text; return str(value)"),
        ([Colour.RED], "result[0] is a Colour; return int(value)"),
        (Counter("aab"), "result is a Counter; return dict(value)"),
        (OrderedDict(), "result is an OrderedDict; return dict(value)"),
        (Pair(1, 2), "result is a Pair; return list(value)"),
        (Point(1), "result is a Point; return dataclasses.asdict(value)"),
        ({"at": NOW}, "result.at is a datetime; return value.isoformat()"),
        (decimal.Decimal(1), "result is a Decimal; return float(value) or str(value)"),
        (pathlib.Path("x"), "Path; return str(value)"),
        (uuid.UUID(int=1), "result is a UUID; return str(value)"),
        (np.float64(1), "result is a float64; return value.item()"),
        (np.zeros(2), "result is a ndarray; return value.tolist()"),
        ((n for n in "ab"), "result is a generator; return a list"),
        (1j, "result is a complex; return [value.real, value.imag]"),
        (print, "result is a builtin_function_or_method; return text, a number"),
    ],
)
def test_a_value_that_is_no_strict_json_is_named_by_its_path_with_a_cure(
    value: Any, said: str
) -> None:
    with pytest.raises(NotStrictJson) as caught:
        check(value)
    assert said in str(caught.value)


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def test_sixty_four_levels_are_json_and_one_more_is_not() -> None:
    check(nested(64))
    with pytest.raises(NotStrictJson, match="nested deeper than 64 levels"):
        check(nested(65))
    with pytest.raises(NotStrictJson, match="nested deeper than 64 levels"):
        check(nested(100_000))


def test_what_contains_itself_is_refused_and_what_occurs_twice_is_not() -> None:
    circle: dict[str, Any] = {"a": []}
    circle["a"].append(circle)
    with pytest.raises(NotStrictJson, match=r"result\.a\[0\] contains itself"):
        check(circle)
    shared = [1]
    check([shared, shared])


@given(json_values)
def test_every_json_value_passes_and_its_encoding_is_what_the_standard_library_writes(
    value: Any,
) -> None:
    check(value)
    assert json.loads(dumps(value)) == json.loads(json.dumps(value))
