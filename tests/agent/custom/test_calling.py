"""What is run of a tool: its function, with instances of the classes that its hints name."""

import json
import subprocess
import sys

import pytest

from agent.custom.calling import CallTarget, call_target
from agent.custom.derive import derive_tool
from agent.models.tool_schema import find_violation, sanitise_schema
from memory.errors import InvalidValue

CLASSES = """
from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal, NotRequired, Optional, TypedDict, Union

from pydantic import BaseModel


@dataclass
class Point:
    x: int
    y: int = 0


class Style(TypedDict):
    colour: Literal["red", "blue"]
    at: NotRequired[Point]


class Note(BaseModel):
    text: str
    points: list[Point] = []


@dataclass
class Line:
    ends: tuple[Point, Point]
    notes: list[Note] = field(default_factory=list)


"""


def called(source: str, arguments: dict[str, object]) -> str:
    """What the tool of a source returns in another process, as repr prints it."""
    derived = derive_tool(source)
    assert find_violation(arguments, sanitise_schema(derived.name, derived.schema)) is None
    target = call_target(source, derived.name)
    call = f"print(repr({target.function}(**{arguments!r})))"
    run = subprocess.run(
        [sys.executable, "-I", "-c", f"{target.source}\n{call}"], capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


def test_a_source_without_classes_is_run_as_it_is() -> None:
    source = 'def _a(): ...\ndef roll(x: int) -> int:\n    """Roll."""\n    return x\n'
    assert call_target(source, "roll") == CallTarget(source, "roll")
    assert call_target(source, "another") == CallTarget(source, "roll")
    with pytest.raises(InvalidValue, match="no public function"):
        call_target("x = 1", "x")


def test_the_function_gets_instances_where_its_hints_name_classes() -> None:
    source = CLASSES + (
        "def draw(line: Line, style: Style, at: Optional[Point] = None, *,\n"
        "         more: dict[str, Union[Point, int]] = {}, note: Annotated[Note, 'N.'] = None):\n"
        '    """Draw."""\n    return [line, style, at, more, note]\n'
    )
    arguments = {
        "line": {"ends": [{"x": 1}, {"x": 2, "y": 3}], "notes": [{"text": "a"}]},
        "style": {"colour": "red", "at": {"x": 4}},
        "at": {"x": 5},
        "more": {"a": {"x": 6}, "b": 7},
        "note": {"text": "n", "points": [{"x": 8}]},
    }
    assert called(source, arguments) == (
        "[Line(ends=(Point(x=1, y=0), Point(x=2, y=3)), notes=[Note(text='a', points=[])]),"
        " {'colour': 'red', 'at': Point(x=4, y=0)}, Point(x=5, y=0),"
        " {'a': Point(x=6, y=0), 'b': 7}, Note(text='n', points=[Point(x=8, y=0)])]"
    )


def test_a_hint_that_cannot_be_resolved_leaves_the_arguments_as_they_are() -> None:
    source = (
        "from __future__ import annotations\nclass Other: ...\n"
        'def f(x: Literal["a"], y: list[int]):\n    """Do."""\n    return [x, y]\n'
    )
    assert called(source, {"x": "a", "y": [1]}) == "['a', [1]]"


def test_an_error_is_at_the_line_of_the_source() -> None:
    source = CLASSES + 'def f(p: Point):\n    """Do."""\n    return p.z\n'
    target = call_target(source, "f")
    call = f"{target.function}(**{json.dumps({'p': {'x': 1}})})"
    run = subprocess.run(
        [sys.executable, "-I", "-c", f"{target.source}\n{call}"], capture_output=True, text=True
    )
    last = source.splitlines().index("    return p.z") + 1
    assert f"line {last}, in f" in run.stderr
