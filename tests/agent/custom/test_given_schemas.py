"""A schema given with a tool: taken as it is, or refused with what is wrong with it."""

from typing import Any

import pytest

from agent.custom.derive import derive_tool
from memory.errors import InvalidValue

GIVEN = {"type": "object", "properties": {"x": {"type": "string", "pattern": "^a"}}}


def test_a_given_schema_stands_in_place_of_the_derived_one() -> None:
    derived = derive_tool('def f(x, **more):\n    """Do."""', schema=GIVEN)
    assert derived.schema == {**GIVEN, "additionalProperties": False}
    open_ = derive_tool('def f(**x):\n    """Do."""', schema={"additionalProperties": True})
    assert open_.schema == {"type": "object", "properties": {}, "additionalProperties": True}


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        ({"type": "string"}, "of type 'string'; arguments are an object"),
        ({"properties": {"x": {"type": "text"}}}, "the type 'text'; known are"),
        ({"properties": []}, "properties in its schema is"),
        ({"properties": {"x": {"$ref": "#/$defs/Y"}}}, "leads nowhere"),
        ({"properties": {"x": {"onlyIf": 1}}}, "has the keyword 'onlyIf', which is not known"),
        ({"properties": {"x": {"description": 1}}}, "description in the schema is no text"),
        ({"properties": {"x": 5}}, "is not a schema"),
        ({"properties": {"x": {}, "y": {}}}, "line 1: the schema has 'y', which f does not take"),
        ({"properties": {}}, "f needs 'x', which the schema lacks"),
        ({"properties": {"x": {"description": "d" * 17_000}}}, "over the limit of 16000"),
        ({"properties": {"x": {"default": float("nan")}}}, "cannot be written as JSON"),
    ],
)
def test_a_given_schema_that_no_model_can_be_held_to_is_refused(
    schema: dict[str, Any], told: str
) -> None:
    with pytest.raises(InvalidValue, match=told):
        derive_tool('def f(x):\n    """Do."""', schema=schema)
