"""From a text to the terms by which it is found."""

from datetime import UTC, datetime

import pytest
from hypothesis import given

from memory.terms import indexed_text, term_counts, terms
from tests.memory.given import texts


def test_words_are_found_whatever_their_ending_case_or_accent() -> None:
    assert terms("The cafés were CLOSING") == terms("cafe closed")


def test_function_words_do_not_count_unless_there_is_nothing_else() -> None:
    assert terms("who is the author of it") == terms("author")
    assert terms("who is it") == ["who", "is", "it"]


def test_a_repeated_word_counts_as_often_as_it_stands_there() -> None:
    assert term_counts("tea, teas and more tea")["tea"] == 3


def test_a_text_without_words_has_no_terms() -> None:
    assert terms("... !? \N{EM DASH} __") == []


def test_a_word_of_a_hundred_thousand_letters_is_one_short_term() -> None:
    (term,) = terms("x" * 100_000)
    assert len(term) <= 64


@pytest.mark.parametrize(
    ("author", "when", "indexed"),
    [
        (None, None, "tea"),
        ("Ada", None, "Ada: tea"),
        ("Ada", datetime(2026, 3, 7, tzinfo=UTC), "[7 March 2026] Ada: tea"),
        (None, datetime(950, 3, 7, tzinfo=UTC), "[7 March 950] tea"),
    ],
)
def test_author_and_day_are_indexed_with_the_text(
    author: str | None, when: datetime | None, indexed: str
) -> None:
    assert indexed_text("tea", author, when) == indexed


@given(texts(0))
def test_a_term_holds_no_white_space_and_no_capital(text: str) -> None:
    for term in terms(text):
        assert term and not any(character.isspace() for character in term)
        assert term == term.lower()


@given(texts(0), texts(0))
def test_the_terms_of_two_texts_are_those_of_both_together(one: str, other: str) -> None:
    word = "zebra "  # so that neither is of function words only
    together = terms(f"{word}{one} {word}{other}")
    assert together == terms(f"{word}{one}") + terms(f"{word}{other}")
