"""Arguments of a call, as the tool's function gets them."""

import pytest

from agent.custom.arguments import checked_arguments
from memory.errors import InvalidValue

SCHEMA = {
    "type": "object",
    "properties": {
        "count": {"type": "integer"},
        "factor": {"type": "number"},
        "note": {"type": ["string", "null"]},
        "unit": {"type": "string"},
    },
    "required": ["count", "note"],
    "additionalProperties": False,
}


def test_a_whole_number_is_one_where_the_tool_takes_whole_numbers() -> None:
    found = checked_arguments("f", SCHEMA, {"count": 3.0, "factor": 2.0, "note": "n"})
    assert (type(found["count"]), type(found["factor"])) == (int, float)


def test_an_optional_argument_that_is_null_is_left_out_so_that_its_default_holds() -> None:
    found = checked_arguments("f", SCHEMA, {"count": 1, "note": None, "unit": None})
    assert found == {"count": 1, "note": None}


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"note": "n"}, "count"),
        ({"count": "1", "note": "n"}, "arguments.count is string, not integer"),
        ({"count": 1, "note": "n", "more": 1}, "more"),
        ({"count": float("nan"), "note": "n"}, "are no JSON"),
        ({"count": 1, "note": "\ud800"}, "are no JSON"),
        ({"count": 1, "note": "x" * 300_000}, "the limit is 262144"),
    ],
)
def test_what_a_tool_does_not_take_is_refused(given: dict[str, object], problem: str) -> None:
    with pytest.raises(InvalidValue, match=problem):
        checked_arguments("f", SCHEMA, given)
