"""Frames come back as they were sent, however they are cut; and no bytes do harm."""

import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.errors import SandboxError
from sandbox.frames import FrameReader, FrameTooLong, encode
from sandbox.strict_json import NotStrictJson

MIB = 1 << 20

scalars = st.none() | st.booleans() | st.integers() | st.text()
messages = st.dictionaries(st.text(), scalars | st.lists(scalars), max_size=4)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """The data in pieces that end at these places."""
    ends = [*sorted(place % (len(data) + 1) for place in places), len(data)]
    starts = [0, *ends[:-1]]
    return [data[start:end] for start, end in zip(starts, ends, strict=True)]


@given(st.lists(messages, max_size=5), st.lists(st.integers(min_value=0), max_size=8))
def test_messages_come_back_in_order_however_the_bytes_are_cut(
    sent: list[dict[str, Any]], places: list[int]
) -> None:
    reader = FrameReader(MIB)
    data = b"".join(map(encode, sent))
    assert [each for piece in cut(data, places) for each in reader.feed(piece)] == sent
    assert not reader.is_within_frame


@given(st.lists(st.binary(max_size=40), max_size=10), st.integers(0, 64))
def test_any_bytes_give_objects_or_one_error_that_stays(pieces: list[bytes], cap: int) -> None:
    reader = FrameReader(cap)
    error: SandboxError | None = None
    for piece in pieces:
        try:
            assert all(isinstance(each, dict) for each in reader.feed(piece))
            assert error is None
        except SandboxError as raised:
            assert error is None or raised is error
            error = raised


@given(st.binary(max_size=200), st.lists(st.integers(min_value=0), max_size=6))
def test_where_the_bytes_are_cut_changes_nothing(data: bytes, places: list[int]) -> None:
    def read(pieces: list[bytes]) -> tuple[list[dict[str, Any]], str]:
        reader, found = FrameReader(100), list[dict[str, Any]]()
        for piece in pieces:
            try:
                found += reader.feed(piece)
            except SandboxError as error:
                return found, str(error)
        return found, "within" if reader.is_within_frame else ""

    one_by_one = read([data[n : n + 1] for n in range(len(data))])
    found, end = read(cut(data, places))
    assert end == one_by_one[1]
    # What was complete before an error in the same piece is not told.
    assert found == one_by_one[0][: len(found)]


def test_a_length_over_the_cap_is_refused_before_its_body_comes() -> None:
    with pytest.raises(FrameTooLong) as caught:
        FrameReader(100).feed((101).to_bytes(4, "big"))
    assert (caught.value.length, caught.value.max_bytes) == (101, 100)


def test_a_frame_of_exactly_the_cap_is_read() -> None:
    frame = encode({"text": "x" * 50})
    assert FrameReader(len(frame) - 4).feed(frame) == [{"text": "x" * 50}]


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "it is not JSON"),
        (b"[]", "a frame holds a list; it must hold an object"),
        (b"null", "a frame holds a NoneType"),
        (b'{"a": NaN}', "NaN is no number"),
        (b"[" * 100, "nested deeper than 65 levels"),
        (b"\x80\x04\x95", "byte 0 is not UTF-8"),
    ],
)
def test_a_body_that_is_no_json_object_is_refused(body: bytes, problem: str) -> None:
    with pytest.raises(NotStrictJson, match=problem):
        FrameReader(MIB).feed(len(body).to_bytes(4, "big") + body)


def test_a_value_of_the_greatest_depth_fits_into_a_frame() -> None:
    value: Any = 1
    for _ in range(64):
        value = [value]
    assert FrameReader(MIB).feed(encode({"result": value})) == [{"result": value}]
    with pytest.raises(NotStrictJson, match="deeper than 64"):
        encode({"result": [value]})


def test_what_is_no_json_is_not_encoded() -> None:
    with pytest.raises(NotStrictJson, match=r"arguments\.when is a set"):
        encode({"arguments": {"when": {1}}})


def test_a_reader_holds_no_more_than_its_cap() -> None:
    reader = FrameReader(100_000)
    piece = (100_000).to_bytes(4, "big") + b'"' + b"x" * 9_999
    tracemalloc.start()
    try:
        for _ in range(9):
            reader.feed(piece)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 300_000
