"""What a tool takes, out of its source: hints, docstrings, refusals; nothing is run."""

import json
from typing import Any

import pytest

from agent.custom.annotations import MAX_DEPTH
from agent.custom.derive import RESERVED, DerivedTool, derive_tool, tool_function
from agent.custom.docstrings import read_docstring
from agent.custom.source import UnreadableTool
from agent.models.tool_schema import sanitise_schema
from memory.errors import InvalidValue
from tests.agent.custom.sources import STRUCTURES

ROLL = '''
from __future__ import annotations

import random
from typing import Literal


def _helper(x):
    return x


def roll(
    sides: int, times: int = 1, mode: Literal["sum", "list"] = "sum", *, seed: int | None = None
):
    """Roll dice.

    Every die has the same sides.

    Args:
        sides: How many sides a die has,
            at least two.
        times (int, optional): How often: once, twice ...
        mode: What is returned.

    Returns:
        The sum, or a list
        of all rolls.

    Raises:
        ValueError: never.
    """
    return sides
'''


def hinted(hint: str, before: str = "", default: str = "") -> dict[str, Any]:
    """The schema of an argument with a type hint."""
    source = f'{before}\ndef f(x: {hint}{default}):\n    """Do."""\n'
    schema = derive_tool(source).schema
    assert json.loads(json.dumps(schema)) == schema
    sanitise_schema("f", schema)
    found: dict[str, Any] = schema["properties"]["x"]
    return found


def test_name_description_and_schema_come_from_the_last_public_function() -> None:
    assert derive_tool(ROLL) == DerivedTool(
        name="roll",
        description="Roll dice.\n\nEvery die has the same sides.\n\n"
        "Returns: The sum, or a list of all rolls.",
        schema={
            "type": "object",
            "properties": {
                "sides": {
                    "type": "integer",
                    "description": "How many sides a die has, at least two.",
                },
                "times": {
                    "type": "integer",
                    "default": 1,
                    "description": "How often: once, twice ...",
                },
                "mode": {
                    "type": "string",
                    "enum": ["sum", "list"],
                    "default": "sum",
                    "description": "What is returned.",
                },
                "seed": {"type": "integer"},
            },
            "required": ["sides"],
            "additionalProperties": False,
        },
        function="roll",
    )


def test_a_named_function_wins_over_the_last_and_a_name_may_be_another() -> None:
    source = 'def _one() -> int:\n    """One."""\n\nasync def two():\n    """Two."""\n\nX = 1\n'
    assert derive_tool(source).function == "two"
    assert derive_tool(source, "_one").function == "_one"
    other = derive_tool(source, "second", description="The second.")
    assert (other.name, other.function, other.description) == ("second", "two", "The second.")
    assert (tool_function(source, "second"), tool_function(source, "_one")) == ("two", "_one")


def test_of_two_functions_of_one_name_the_last_counts() -> None:
    source = 'def f(a: int):\n    """A."""\ndef g():\n    """G."""\ndef f(b: int):\n    """B."""\n'
    derived = derive_tool(source)
    assert (derived.name, list(derived.schema["properties"])) == ("f", ["b"])


def test_a_function_without_arguments_takes_none() -> None:
    schema = derive_tool('def now():\n    """Tell the time."""\n').schema
    assert schema == {"type": "object", "properties": {}, "additionalProperties": False}


STRING, INTEGER = {"type": "string"}, {"type": "integer"}


@pytest.mark.parametrize(
    ("hint", "schema"),
    [
        ("str", STRING),
        ("'int'", INTEGER),
        ("float", {"type": "number"}),
        ("bool", {"type": "boolean"}),
        ("None", {"type": "null"}),
        ("Any", {}),
        ("typing.Any", {}),
        ("list", {"type": "array", "items": {}}),
        ("list[str]", {"type": "array", "items": STRING}),
        ("typing.List[int]", {"type": "array", "items": INTEGER}),
        ("Sequence[list[int]]", {"type": "array", "items": {"type": "array", "items": INTEGER}}),
        ("dict", {"type": "object"}),
        ("dict[str, int]", {"type": "object", "additionalProperties": INTEGER}),
        ("Mapping[str, Any]", {"type": "object", "additionalProperties": True}),
        ("tuple[int, ...]", {"type": "array", "items": INTEGER}),
        ("tuple[int, int]", {"type": "array", "items": INTEGER, "minItems": 2, "maxItems": 2}),
        (
            "Tuple[int, str]",
            {"type": "array", "items": {"anyOf": [INTEGER, STRING]}, "minItems": 2, "maxItems": 2},
        ),
        ("Optional[str]", {"anyOf": [STRING, {"type": "null"}]}),
        ("str | int | str | None", {"anyOf": [STRING, INTEGER, {"type": "null"}]}),
        ("Union[str, Union[int, None]]", {"anyOf": [STRING, INTEGER, {"type": "null"}]}),
        ("Union[str]", STRING),
        ("str | Any", {}),
        ("Literal['a', 'b', 'a']", {"type": "string", "enum": ["a", "b"]}),
        ("Literal[1, True, -2, None]", {"enum": [1, True, -2, None]}),
        ("Annotated[str, 'A city.']", {"type": "string", "description": "A city."}),
        ("Annotated[int, Field(ge=1, le=6, description='D')]", None),
        ("Annotated[list[str], Doc('Names.')]", None),
    ],
)
def test_a_type_hint_is_what_a_model_may_write(hint: str, schema: dict[str, Any] | None) -> None:
    found = hinted(hint)
    expected = schema or {
        "Annotated[int, Field(ge=1, le=6, description='D')]": {
            "type": "integer",
            "minimum": 1,
            "maximum": 6,
            "description": "D",
        },
        "Annotated[list[str], Doc('Names.')]": {
            "type": "array",
            "items": STRING,
            "description": "Names.",
        },
    }.get(hint, {})
    assert found == expected


@pytest.mark.parametrize(
    ("default", "shown"),
    [
        ("'a'", "a"),
        ("7", 7),
        ("-1.5", -1.5),
        ("(1, 2)", [1, 2]),
        ("{'a': [None]}", {"a": [None]}),
        ("False", False),
    ],
)
def test_a_plain_default_is_shown(default: str, shown: object) -> None:
    assert hinted("Any", default=f" = {default}") == {"default": shown}


@pytest.mark.parametrize(
    "default", ["1e999", "{1}", "b'x'", "X * 2", "'\\ud800'", "'x' * 9", "..."]
)
def test_a_default_that_json_cannot_have_makes_it_optional_alone(default: str) -> None:
    source = f'def f(x: Any = {default}):\n    """Do."""\n'
    schema = derive_tool(source).schema
    assert schema["properties"] == {"x": {}}
    assert "required" not in schema


def test_what_may_be_left_out_need_not_be_null_and_a_default_of_another_type_is_not_shown() -> None:
    assert hinted("str | None", default=" = None") == STRING
    assert hinted("str", default=" = None") == STRING
    assert hinted("str | int | None", default=" = None") == {"anyOf": [STRING, INTEGER]}
    assert hinted("str", default=" = 5") == STRING


POINT = {
    "type": "object",
    "properties": {
        "x": {"type": "integer", "description": "From the left."},
        "y": INTEGER,
        "colour": {"type": "string", "enum": ["red", "blue"]},
    },
    "required": ["x"],
    "additionalProperties": False,
}


def test_classes_of_the_source_are_nested_objects() -> None:
    assert hinted("Point", STRUCTURES) == POINT
    line = hinted("Line", STRUCTURES)
    assert line == {
        "type": "object",
        "properties": {
            "start": POINT,
            "width": {"type": "number", "default": 1.5},
            "names": {"type": "array", "items": STRING},
        },
        "required": ["start"],
        "additionalProperties": False,
    }
    assert hinted("Drawing", STRUCTURES) == {
        "type": "object",
        "description": "A drawing.",
        "properties": {
            "title": {"type": "string", "description": "Of the drawing.", "maxLength": 80},
            "lines": {"type": "array", "items": line},
            "scale": {"type": "integer", "exclusiveMinimum": 0, "default": 2},
            "note": STRING,
        },
        "required": ["title"],
        "additionalProperties": False,
    }


def test_an_argument_of_a_class_is_described_by_the_docstring_of_the_function_first() -> None:
    source = (
        STRUCTURES + 'def f(d: Drawing):\n    """Do.\n\n    Args:\n        d: To print.\n    """\n'
    )
    assert derive_tool(source).schema["properties"]["d"]["description"] == "To print."


@pytest.mark.parametrize("name", RESERVED)
def test_reserved_names_are_refused_with_what_to_do(name: str) -> None:
    with pytest.raises(UnreadableTool) as caught:
        derive_tool(f'\ndef f({name}: str):\n    """Do."""\n')
    assert str(caught.value) == f"line 2: argument {name!r} of f: {RESERVED[name]}"


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("def f(:", "line 1: this is no valid Python: "),
        ("x = 1", "no public function at its top level; write the tool as"),
        ("class A:\n    def f(self): ...", "no public function"),
        ("def f(x: int): ...", "line 1: f has no docstring that says what it does"),
        ('def f(x):\n    """D."""', "argument 'x' of f: it has no type hint, .* write x: str"),
        ('def f(*xs: int):\n    """D."""', r"takes \*xs, .*; use xs: list\[str\]"),
        ('def f(**xs: int):\n    """D."""', r"takes \*\*xs, .* or give a schema"),
        ('def f(x: int, /):\n    """D."""', "before '/', and a model gives all by name"),
        ('def f(x: set[int]):\n    """D."""', "cannot write set; use list"),
        ('def f(x: datetime):\n    """D."""', "cannot write datetime; use str, in a form"),
        ('def f(x: dict[int, str]):\n    """D."""', r"keys of JSON are texts; use dict\[str"),
        ('def f(x: Frame):\n    """D."""', "'Frame' is no type that a model can write; use str"),
        ('def f(x: Frame[int]):\n    """D."""', r"Frame\[…\] is no type that a model can write"),
        ('def f(x: 3):\n    """D."""', "its type hint is no type"),
        ('def f(x: "a b"):\n    """D."""', "line 1: this is no valid Python"),
        ('def f(x: "a = b"):\n    """D."""', "the type hint 'a = b' is no type"),
        ('def f(x: Literal[b"a"]):\n    """D."""', "takes texts, whole numbers, True, False"),
        (f'def f(x: Literal[0x{"f" * 9_000}]):\n    """D."""', "takes texts, whole numbers"),
        (
            f'def f(x: Literal[{list(range(12_000))}]):\n    """D."""'.replace("[[", "[").replace(
                "]]", "]"
            ),
            "over the limit of 16000",
        ),
        (
            "".join(f"class C{n}(C{n + 1}):\n    a: int\n" for n in range(2_000))
            + 'class C2000(TypedDict):\n    a: int\ndef f(x: C0):\n    """D."""',
            "use simpler ones",
        ),
        (
            "".join(f"class C{n}(C{n + 1}, C{n + 2}):\n    pass\n" for n in range(60))
            + 'class C60(TypedDict):\n    a: int\ndef f(x: C0):\n    """D."""',
            "use simpler ones",
        ),
        ('def f(x: tuple[()]):\n    """D."""', "an empty tuple says nothing"),
        (
            'class A(Enum):\n    a = 1\ndef f(x: A):\n    """D."""',
            "line 3: argument 'x' of f: the class A is neither a TypedDict nor a dataclass",
        ),
        (
            '@dataclass\nclass A:\n    a: "A | None"\ndef f(x: A):\n    """D."""',
            "line 3: field 'a' of argument 'x' of f: A holds itself, which has no end",
        ),
        ('A = list["A"]\ndef f(x: A):\n    """D."""', "A holds itself"),
        ('def f(x: int):\n    """D.\n\n    Args:\n        x: ' + "y" * 501, "has 501 characters"),
        ('def f():\n    """' + "y" * 2_001 + '"""', "has 2001 characters beside its arguments"),
        (f"def f({', '.join(f'a{n}: int' for n in range(51))}):\n    'D.'", "takes 51 arguments"),
        ("def f" + "x" * 50 + "():\n    'D.'", "use 1 to 48 letters"),
        ("def é():\n    'D.'", "cannot be a tool's name"),
        ("a\0b", "NUL"),
        ("x = '\ud800'", "lone surrogate"),
        ("x = " + "9" * 5_000, "no valid Python"),
        ("(" * 1_000, "no valid Python|too deeply"),
        ("x = " + "-" * 90_000 + "1", "too deeply"),
        ("x" * 100_001, "over the limit"),
    ],
)
def test_what_is_no_tool_is_refused_with_the_line_and_what_to_do(source: str, told: str) -> None:
    if source.endswith("y"):
        source += '\n    """'
    with pytest.raises(InvalidValue, match=told):
        derive_tool(source)


def test_classes_that_double_at_every_level_are_refused() -> None:
    classes = [f"@dataclass\nclass C{n}:\n    a: C{n + 1}\n    b: C{n + 1}\n" for n in range(30)]
    source = "\n".join(classes) + '\nC30 = int\ndef f(x: C0):\n    """D."""\n'
    with pytest.raises(UnreadableTool, match=f"over {MAX_DEPTH} levels"):
        derive_tool(source)


def test_a_union_of_thousands_is_read_or_refused_without_a_crash() -> None:
    with pytest.raises(InvalidValue, match=r"too deeply|parts"):
        derive_tool("def f(x: " + " | ".join(["int"] * 9_000) + '):\n    """D."""\n')


def test_a_docstring_of_another_style_is_a_description() -> None:
    text = "Do it.\n\n:param x: what\nNote that: this stays."
    assert read_docstring(text).description == text
    assert read_docstring(text).arguments == {}


def test_sections_that_say_nothing_to_a_model_are_left_out() -> None:
    doc = read_docstring("Do.\n\nRaises:\n    E: bad.\nExample:\n    x\nReturns:\n    It.\n")
    assert (doc.description, doc.arguments, doc.returns) == ("Do.", {}, "It.")
