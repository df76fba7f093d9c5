"""Reading JSON with comments: what it takes, and what it says about what it does not."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.hosts.jsonc import JsoncError, parse
from tests.server.hosts.given import json_values, jsonc_texts


def value_of(text: str) -> Any:
    document = parse(text)
    assert document.root is not None
    return document.value(document.root)


@given(json_values(), st.sampled_from([None, 2, "\t"]), st.booleans())
def test_json_is_read_as_the_standard_library_reads_it(
    value: Any, indent: int | str | None, ascii_only: bool
) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    assert value_of(text) == json.loads(text)


@given(jsonc_texts())
def test_comments_and_trailing_commas_change_no_value(given: tuple[str, Any, list[str]]) -> None:
    text, value, _ = given
    assert value_of(text) == value


@given(st.text(alphabet='{}[]",:/*\\ \n\t01aeu.-', max_size=30))
def test_any_text_is_read_or_refused_with_a_place_in_it(text: str) -> None:
    try:
        parse(text)
    except JsoncError as error:
        assert 1 <= error.line <= text.count("\n") + 1
        assert 1 <= error.column <= len(text) + 1
        with pytest.raises(ValueError, match=r"."):
            json.loads(text)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('{"a": 1', "a comma or } is missing at line 1, column 8"),
        ('{"a": 1\n "b": 2}', "a comma or } is missing at line 2, column 2"),
        ('{"a" 1}', "a colon is missing at line 1, column 6"),
        ("{a: 1}", "a name in double quotes or } is missing at line 1, column 2"),
        ('{"a": }', "a value is missing at line 1, column 7"),
        ('{"a": "b}\n', "a string is wrong or has no end at line 1, column 7"),
        ('{"a": 01}', "a value is missing at line 1, column 7"),
        ("[1 2]", "a comma or ] is missing at line 1, column 4"),
        ("{} {}", "there is more after the end of the value at line 1, column 4"),
        ("{\n  /* to be\n", "a comment has no end at line 2, column 3"),
        ("[" * 1000, "nested deeper than 200 levels at line 1, column 202"),
    ],
)
def test_a_mistake_is_named_with_its_line_and_column(text: str, complaint: str) -> None:
    with pytest.raises(JsoncError) as caught:
        parse(text)
    assert str(caught.value) == complaint


def test_of_members_with_one_name_the_last_counts() -> None:
    assert value_of('{"a": 1, "a": 2}') == {"a": 2}


def test_a_text_of_blanks_and_comments_has_no_value() -> None:
    assert parse(" \n// nothing yet\n").root is None
