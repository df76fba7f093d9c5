"""Cutting texts, with the packaged tokenizer and with a made-up one."""

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from memory.embedders.minilm import MODEL_FOLDER
from memory.embedders.text import Offsets, split_text, without_surrogates

TOKENIZER = Tokenizer.from_file(str(MODEL_FOLDER / "tokenizer.json"))
TOKENIZER.no_truncation()
TOKENIZER.no_padding()

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=300)
ORDINARY = ("a", "unbelievable", " ", "  ", "\n", "\n\n", ". ", "! ", "。", "漢")
ODD = ("\x1c", "\0", "\u0301", "\u302e", "\u00a0", "\ud800", "각", "İ", "ﬃ")
TELLING = ("[SEP]", "##ing", "x" * 120)  # a special token, a continuation, an unknown word
WORDY_TEXT = st.lists(st.sampled_from(ORDINARY + ODD + TELLING), max_size=150).map("".join)


def minilm_pieces(text: str) -> Offsets:
    offsets: Offsets = TOKENIZER.encode(text, add_special_tokens=False).offsets
    return offsets


def letter_pairs(text: str) -> Offsets:
    """A tokenizer whose count rises when a word is cut: pieces are pairs of letters."""
    return [match.span() for match in re.finditer(r"\S\S?", text)]


@settings(deadline=None, max_examples=300)
@given(ANY_TEXT | WORDY_TEXT, st.integers(4, 40))
def test_pieces_joined_are_the_text_and_each_fits(text: str, limit: int) -> None:
    pieces = split_text(text, limit, minilm_pieces)
    assert "".join(pieces) == text
    for piece in pieces:
        assert len(minilm_pieces(without_surrogates(piece))) <= limit


@given(WORDY_TEXT, st.integers(1, 20))
def test_pieces_fit_for_a_tokenizer_that_counts_more_after_a_cut(text: str, limit: int) -> None:
    pieces = split_text(text, limit, letter_pairs)
    assert "".join(pieces) == text
    for piece in pieces:
        assert len(letter_pairs(piece)) <= limit
        assert piece or not text


def test_a_text_that_fits_stays_whole_however_much_space_it_holds() -> None:
    text = "one" + " " * 5000 + "two"
    assert split_text(text, 2, minilm_pieces) == [text]


def test_the_empty_text_is_one_empty_piece() -> None:
    assert split_text("", 5, minilm_pieces) == [""]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a b c d e\n\nf\ng h i j", ["a b c d e\n\n", "f\ng h i j"]),
        ("a b c d\ne. f g h i j", ["a b c d\n", "e. f g h i j"]),
        ("a b c d. e f g h i j", ["a b c d. ", "e f g h i j"]),
        ("a b c d e f g h i j", ["a b c d e f g h ", "i j"]),
        ("漢字漢字漢字漢字漢字", ["漢字漢字漢字漢字", "漢字"]),
    ],
    ids=["paragraph", "line", "sentence", "word", "no boundary"],
)
def test_it_cuts_at_the_best_boundary_in_the_second_half(text: str, expected: list[str]) -> None:
    assert split_text(text, 8, minilm_pieces) == expected


@pytest.mark.parametrize("unit", ["Ada went home to feed the cat. ", "漢字", "x", " ", "a.", "\0"])
def test_a_megabyte_is_cut_in_linear_time(unit: str) -> None:
    text = unit * (1_000_000 // len(unit))
    before_s = time.perf_counter()
    pieces = split_text(text, 254, minilm_pieces)
    took_s = time.perf_counter() - before_s
    assert "".join(pieces) == text
    assert took_s < 15  # 1 to 2 on a quiet machine; a quadratic cut takes minutes
