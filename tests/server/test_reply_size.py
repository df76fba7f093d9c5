"""How much of a text a reply holds."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory.errors import InvalidValue
from server.memory_uris import piece_of
from server.reply_size import first_of, fitting, json_bytes, prefix_chars, shortened
from tests.memory.given import texts

TEXTS = texts(min_size=0, max_size=300)


@given(TEXTS)
def test_the_size_is_that_of_the_json_on_the_wire(text: str) -> None:
    assert json_bytes(text) == len(json.dumps(text, ensure_ascii=False).encode())


@given(TEXTS, st.integers(-5, 400))
def test_a_prefix_fits_its_room_and_a_text_that_fits_is_never_cut(text: str, room: int) -> None:
    kept = prefix_chars(text, room)
    assert json_bytes(text[:kept]) - 2 <= max(room, 0)
    assert (kept == len(text)) == (json_bytes(text) - 2 <= max(room, 0))


@given(TEXTS, st.integers(20, 400))
def test_the_pieces_of_a_text_joined_are_the_text(text: str, room: int) -> None:
    pieces = [piece_of(text, None, room)]
    while (cursor := pieces[-1].next_cursor) is not None:
        pieces.append(piece_of(text, cursor, room))
    assert "".join(piece.text for piece in pieces) == text
    assert all(json_bytes(piece.text) - 2 <= room for piece in pieces)


def test_a_text_is_cut_after_a_line_or_else_a_word_and_says_how_much_is_missing() -> None:
    assert shortened("a line\nand another", 8, "there") == "a line\n… [11 more characters: there]"
    assert shortened("some words here", 12, "there") == "some words … [4 more characters: there]"
    assert shortened("short", 5, "there") == "short"


@pytest.mark.parametrize("cursor", ["", "x", "-1", "3", "3-00000000", "99999999999-x", "3-"])
def test_a_cursor_of_another_text_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidValue, match="start without one"):
        piece_of("abcdef", cursor, 100)


def test_of_many_names_the_first_are_shown_and_the_rest_counted() -> None:
    assert first_of(["a", "b"], 100) == ["a", "b"]
    assert first_of(["aaaa", "bbbb", "cccc"], 15) == ["aaaa", "bbbb", "… 1 more"]


@given(st.lists(st.integers(0, 50), max_size=10), st.integers(0, 100))
def test_items_fit_in_order_and_one_always_does(sizes: list[int], room: int) -> None:
    count = fitting(sizes, room)
    assert count <= len(sizes)
    assert count >= min(1, len(sizes))
    assert count <= 1 or sum(sizes[:count]) <= room
    assert count == len(sizes) or sum(sizes[: count + 1]) > room or count == 1
