from typing import Any

import pytest

from agent.errors import ToolSchemaInvalid
from agent.models.tool_schema import find_violation, sanitise_schema

PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 1, "pattern": "^A", "description": "Who."},
        "age": {"type": ["integer", "null"], "minimum": 0},
        "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 2},
        "mood": {"enum": ["good", "bad"]},
    },
    "required": ["name"],
}


def test_only_known_keywords_are_left_and_no_other_members_allowed() -> None:
    reduced = sanitise_schema("t", PERSON)
    assert reduced["properties"]["name"] == {"type": "string", "minLength": 1}
    assert reduced["additionalProperties"] is False


def test_references_are_put_in_place_and_recursion_becomes_any_json() -> None:
    node = {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}}}
    reduced = sanitise_schema(
        "t", {"$defs": {"Node": node}, "properties": {"head": {"$ref": "#/$defs/Node"}}}
    )
    assert reduced["properties"]["head"]["properties"]["next"] == {}


def test_combined_objects_may_have_the_members_their_neighbours_list() -> None:
    parts = [{"properties": {"a": {"type": "string"}}}, {"properties": {"b": {"type": "string"}}}]
    reduced = sanitise_schema("t", {"allOf": parts})
    assert find_violation({"a": "x", "b": "y"}, reduced) is None
    assert find_violation({"a": 1, "b": "y"}, reduced) == "arguments.a is integer, not string"


@pytest.mark.parametrize(
    ("schema", "problem"),
    [
        ({"properties": {"a": {"type": "strng"}}}, "strng"),
        ({"properties": {"a": {"$ref": "#/$defs/None"}}}, "leads nowhere"),
        ({"properties": {"a": {"$ref": "http://example.org/a"}}}, "leads nowhere"),
        ({"properties": ["a"]}, "properties"),
        ({"properties": {"a": 7}}, "not a schema"),
        ({"properties": {}, "required": "a"}, "no list"),
        ({"type": "string"}, "not object"),
    ],
)
def test_a_malformed_schema_is_refused_with_the_name_of_its_tool(
    schema: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ToolSchemaInvalid, match=problem) as caught:
        sanitise_schema("remember", schema)
    assert caught.value.tool == "remember"


def test_references_that_double_at_every_level_are_refused() -> None:
    links = {
        f"L{i}": {"anyOf": [{"$ref": f"#/$defs/L{i + 1}"}, {"$ref": f"#/$defs/L{i + 1}"}]}
        for i in range(20)
    }
    bomb = {"$defs": {**links, "L20": {}}, "properties": {"a": {"$ref": "#/$defs/L0"}}}
    with pytest.raises(ToolSchemaInvalid, match="parts"):
        sanitise_schema("t", bomb)


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ({"name": "Ada"}, None),
        ({"name": "Ada", "age": None, "tags": ["a", "b"], "mood": "good"}, None),
        ({"name": "Ada", "tags": None, "mood": None}, None),
        ({}, "arguments lacks name"),
        ({"name": None}, "arguments.name is null, not string"),
        ({"name": 7}, "arguments.name is integer, not string"),
        ({"name": ""}, "arguments.name has 0, below minLength 1"),
        ({"name": "Ada", "age": True}, "arguments.age is boolean, not integer or null"),
        ({"name": "Ada", "age": -1}, "arguments.age has -1, below minimum 0"),
        ({"name": "Ada", "tags": ["a", 1]}, "arguments.tags[1] is integer, not string"),
        ({"name": "Ada", "tags": ["a", "b", "c"]}, "arguments.tags has 3, above maxItems 2"),
        ({"name": "Ada", "mood": "so"}, "arguments.mood is 'so', not one of ['good', 'bad']"),
        ({"name": "Ada", "job": "x"}, "arguments has the unknown member 'job'"),
        (["Ada"], "arguments is array, not object"),
    ],
)
def test_a_violation_says_where_and_what(value: object, problem: str | None) -> None:
    assert find_violation(value, sanitise_schema("t", PERSON)) == problem


def test_one_of_several_forms_is_enough() -> None:
    schema = sanitise_schema(
        "t", {"properties": {"a": {"anyOf": [{"type": "string"}, {"type": "null"}]}}}
    )
    assert find_violation({"a": None}, schema) is None
    assert find_violation({"a": 1}, schema) == "arguments.a is integer, not string"
