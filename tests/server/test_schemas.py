"""What a host is told about arguments and results."""

from typing import Literal

from pydantic import BaseModel, Field

from agent.memory_tools import Arguments
from agent.schema import input_schema, output_schema


class Period(BaseModel):
    """A span of days."""

    first: str
    last: str | None = None


class SearchArguments(Arguments):
    """Arguments of search."""

    query: str = Field(description="What to look for.", max_length=100)
    kind: Literal["words", "meaning"] = "words"
    title: str | None = Field(default=None, description="Only with this title.")
    period: Period | None = None


class Node(BaseModel):
    name: str
    below: list["Node"] = Field(default_factory=list)


def test_a_schema_is_flat_and_refuses_unknown_arguments() -> None:
    assert input_schema(SearchArguments) == {
        "type": "object",
        "additionalProperties": False,
        "required": ["query"],
        "properties": {
            "query": {"type": "string", "description": "What to look for.", "maxLength": 100},
            "kind": {"type": "string", "enum": ["words", "meaning"], "default": "words"},
            "title": {"type": "string", "description": "Only with this title."},
            "period": {
                "type": "object",
                "description": "A span of days.",
                "required": ["first"],
                "properties": {"first": {"type": "string"}, "last": {"type": "string"}},
            },
        },
    }


def test_a_result_that_may_be_null_says_so() -> None:
    schema = output_schema(Period)
    assert schema["properties"]["last"] == {"anyOf": [{"type": "string"}, {"type": "null"}]}


def test_the_schema_of_a_result_holds_names_and_types_only() -> None:
    assert output_schema(Period) == {
        "type": "object",
        "properties": {
            "first": {"type": "string"},
            "last": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        },
    }


def test_a_recursive_definition_stays_behind_a_reference() -> None:
    schema = output_schema(Node)
    assert schema["type"] == "object"
    assert set(schema["$defs"]) == {"Node"}
    assert schema["$defs"]["Node"]["properties"]["below"]["items"] == {"$ref": "#/$defs/Node"}
