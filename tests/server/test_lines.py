"""Lines of JSON-RPC, without any process."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp_types import JSONRPCRequest, JSONRPCResponse

from server.lines import Refused, decode_line, encode_message, split_lines


@given(st.lists(st.binary(max_size=20)), st.integers(1, 10))
def test_lines_are_the_same_however_the_bytes_arrive(parts: list[bytes], size: int) -> None:
    data = b"".join(parts)
    chunks = [data[start : start + size] for start in range(0, len(data), size)]
    expected = data.split(b"\n")
    if expected[-1] == b"":
        expected.pop()
    assert list(split_lines(chunks)) == expected


@given(st.lists(st.binary(max_size=40)), st.integers(0, 10))
def test_no_line_is_held_beyond_the_limit_and_one_byte(chunks: list[bytes], limit: int) -> None:
    cut = list(split_lines(chunks, limit))
    assert cut == [line[: limit + 1] for line in split_lines(chunks, 10_000)]


REQUEST = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'


@pytest.mark.parametrize("end", [b"", b"\r", b" \t"])
def test_a_request_is_read_also_with_a_carriage_return(end: bytes) -> None:
    assert decode_line(REQUEST + end) == JSONRPCRequest(jsonrpc="2.0", id=1, method="ping")


@pytest.mark.parametrize(
    ("line", "code", "answered"),
    [
        (b"garbage", -32700, None),
        (b'{"jsonrpc":"2.0","id":7,"method":"x"', -32700, None),
        (b'{"jsonrpc":"2.0","id":7,"method":"x","params":{"a":"\\ud800"}}', -32700, 7),
        (b'{"jsonrpc":"2.0","id":7,"method":"x","params":{"a":"\xff"}}', -32700, 7),
        (b"[" * 100_000, -32700, None),
        (b"[" + REQUEST + b"]", -32600, None),
        (b"3", -32600, None),
        (b'{"id":"a","method":"x"}', -32600, "a"),
        (b'{"id":true,"method":"x"}', -32600, None),
        (b'{"jsonrpc":"2.0","id":"\\ud800","method":"x"}', -32700, None),
    ],
)
def test_a_line_that_is_no_message_is_answered(line: bytes, code: int, answered: object) -> None:
    refused = decode_line(line)
    assert isinstance(refused, Refused)
    assert refused.answer is not None
    wire = json.loads(encode_message(refused.answer))
    assert (wire["error"]["code"], wire["id"]) == (code, answered)


def test_a_broken_answer_is_not_answered() -> None:
    assert decode_line(b'{"id":1,"result":3}') == Refused(None)


def test_a_line_above_the_limit_is_refused() -> None:
    refused = decode_line(REQUEST, limit_bytes=len(REQUEST) - 1)
    assert isinstance(refused, Refused)
    assert not isinstance(decode_line(REQUEST, limit_bytes=len(REQUEST)), Refused)


def test_an_answer_that_is_not_unicode_becomes_an_error_for_the_same_request() -> None:
    bad = JSONRPCResponse(jsonrpc="2.0", id=9, result={"text": "\ud800"})
    wire = json.loads(encode_message(bad))
    assert (wire["id"], wire["error"]["code"]) == (9, -32603)


@given(st.text())
def test_a_message_is_one_line_whatever_it_says(text: str) -> None:
    line = encode_message(JSONRPCResponse(jsonrpc="2.0", id=1, result={"text": text}))
    assert line.index(b"\n") == len(line) - 1
    assert json.loads(line)["result"]["text"] == text
