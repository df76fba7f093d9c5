"""What a model is told when its arguments do not fit."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from agent.memory_tools import Arguments
from server.arguments import InvalidArguments, parse_arguments


class SearchArguments(Arguments):
    query: str
    limit: int = Field(default=10, ge=1, le=50)
    tags: list[str] = Field(default_factory=list)
    labels: dict[str, str] | None = None


def refused(arguments: dict[str, Any]) -> str:
    with pytest.raises(InvalidArguments) as caught:
        parse_arguments("search", SearchArguments, arguments)
    return str(caught.value)


SIGNATURE = "Required: query. Optional: limit, tags, labels."


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"query": "x", "limitt": 3}, "unknown argument 'limitt' (did you mean 'limit'?)"),
        ({"query": "x", "zzz": 3}, "unknown argument 'zzz'"),
        ({}, "'query' is missing"),
        ({"query": "x", "limit": 99}, "'limit' must be less than or equal to 50"),
        ({"query": [3]}, "'query' must be a valid string"),
        ({"query": "x", "tags": [{}]}, "'tags.0' must be a valid string"),
    ],
)
def test_a_refusal_names_the_field_the_problem_and_what_is_allowed(
    arguments: dict[str, Any], problem: str
) -> None:
    assert refused(arguments) == f"search: {problem}. {SIGNATURE}"


def test_several_problems_stand_in_one_line_and_the_rest_are_counted() -> None:
    message = refused({"a": 1, "b": 2, "c": 3, "d": 4, "query": "x"})
    assert message.startswith("search: unknown argument 'a'; unknown argument 'b'; unknown")
    assert "; and 1 more. " in message


@given(st.dictionaries(st.text(), st.text(max_size=2000), min_size=1))
def test_a_refusal_is_one_line_of_encodable_text_whatever_was_sent(
    arguments: dict[str, str],
) -> None:
    message = refused({**arguments, "query": 1})
    assert "\n" not in message
    assert "pydantic" not in message
    assert len(message.encode()) < 5_000


def test_an_unpaired_surrogate_is_refused_and_the_refusal_can_be_sent() -> None:
    message = refused({"query": "\ud800", "\udfff": 1})
    assert "'query' must be valid Unicode" in message
    assert message.encode()


def test_a_nul_character_reaches_the_tool_as_it_is() -> None:
    parsed = parse_arguments("search", SearchArguments, {"query": "a\0b"})
    assert isinstance(parsed, SearchArguments)
    assert parsed.query == "a\0b"


def test_a_list_or_object_sent_as_a_json_string_is_read() -> None:
    sent = {"query": "x", "tags": '["a", "b"]', "labels": '{"k": "v"}', "limit": "7"}
    parsed = parse_arguments("search", SearchArguments, sent)
    assert parsed == SearchArguments(query="x", tags=["a", "b"], labels={"k": "v"}, limit=7)


def test_text_that_looks_like_json_stays_text_where_text_is_taken() -> None:
    parsed = parse_arguments("search", SearchArguments, {"query": '{"a": 1}'})
    assert parsed == SearchArguments(query='{"a": 1}')


def test_a_string_nested_too_deeply_to_read_is_refused_not_fatal() -> None:
    assert "'tags' must be a valid list" in refused({"query": "x", "tags": "[" * 200_000})
