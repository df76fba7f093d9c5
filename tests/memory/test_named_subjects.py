"""Names in queries: what is taken for one, and what is not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory.named_subjects import named_subjects


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("What is Otto's profession?", {"otto"}),
        ("Did Ada Lovelace write to Babbage?", {"ada", "lovelac", "babbag"}),
        ("who looks after “Heron”", {"heron"}),
        ("What does the LGBTQ group do?", {"lgbtq"}),
        ("Что знает Анна?", {"анна"}),
    ],
)
def test_a_word_with_a_capital_letter_inside_of_a_sentence_is_a_name(
    query: str, names: set[str]
) -> None:
    assert named_subjects(query) == names


@pytest.mark.parametrize(
    "query",
    [
        "Which key is it? Tell me.",
        "what do I eat, and what may I not",
        "what happened on Monday, 7 May",
        "Spare Key",
        "WHERE IS THE KEY",
        "Otto",
        "",
    ],
)
def test_what_begins_a_sentence_or_is_no_name_is_none(query: str) -> None:
    assert named_subjects(query) == frozenset()


@given(st.text(max_size=60))
def test_lower_case_names_nobody(text: str) -> None:
    assert named_subjects(text.lower()) == frozenset()
