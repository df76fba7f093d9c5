import json
import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.models.frames import MAX_FRAME_BYTES, FrameDecoder, FrameInvalid, encode_frame

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
messages = st.lists(st.dictionaries(st.text(), json_values), max_size=4)


@settings(deadline=None)  # the machine may be busy
@given(messages, st.data())
def test_messages_come_back_however_the_bytes_are_split(
    sent: list[dict[str, Any]], data: st.DataObject
) -> None:
    stream = b"".join(encode_frame(message) for message in sent)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    decoder = FrameDecoder()

    received = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        received += decoder.feed(stream[start:end])

    assert received == sent


def test_lone_surrogates_survive() -> None:
    assert FrameDecoder().feed(encode_frame({"text": "a\ud800b"})) == [{"text": "a\ud800b"}]


def test_a_length_beyond_the_limit_is_refused_before_anything_is_held() -> None:
    with pytest.raises(FrameInvalid, match="exceeds"):
        FrameDecoder().feed(struct.pack(">I", MAX_FRAME_BYTES + 1))


@pytest.mark.parametrize("body", [b"{", b"\xff", b"[1]", b"7", b"[" * 100_000])
def test_a_body_that_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(FrameInvalid):
        FrameDecoder().feed(struct.pack(">I", len(body)) + body)


def test_a_frame_is_its_length_and_json() -> None:
    frame = encode_frame({"id": 1})
    assert struct.unpack(">I", frame[:4]) == (len(frame) - 4,)
    assert json.loads(frame[4:]) == {"id": 1}
