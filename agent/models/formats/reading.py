"""What readers of several formats share: JSON out of a text, calls checked against their tools."""

import json
import math
import uuid
from collections.abc import Callable, Mapping, Sequence

from agent.model import MalformedKind, Reply, ToolSpec
from agent.models.tool_schema import find_violation, sanitise_schema
from memory.records import ToolCall

THINK_OPEN, THINK_CLOSE = "<think>", "</think>"


class Unreadable(Exception):
    """Says what is wrong with the output."""

    kind: MalformedKind = "call"


class Empty(Unreadable):
    """There is no output, or none after the reasoning."""

    kind = "reply"


def reply(text: str) -> Reply:
    """Give the text as a reply.

    Raises:
        Empty: it is blank.
    """
    if not text.strip():
        raise Empty("it says nothing")
    return Reply(text)


def without_reasoning(
    text: str, call: str, opening: str = THINK_OPEN, closing: str = THINK_CLOSE
) -> str:
    """Drop reasoning, which comes before everything else; some templates write its opening.

    Args:
        call: what begins a call; a closing marker behind it is part of an argument.
    """
    said, opened, calls = text.partition(call)
    _, closed, answer = said.rpartition(closing)
    if not closed and said.lstrip().startswith(opening):
        answer = ""  # it never came to an answer
    return (answer + opened + calls).strip()


def expect(text: str, position: int, marker: str) -> int:
    """Skip blanks and a marker; gives the position behind it."""
    position = skip_blanks(text, position)
    if not text.startswith(marker, position):
        raise Unreadable(f"{marker} expected at {text[position : position + 80]!r}")
    return position + len(marker)


def expect_end(text: str, position: int) -> None:
    """Refuse anything but blanks behind the last call."""
    if rest := text[position:].strip():
        raise Unreadable(f"text after the call: {rest[:80]!r}")


def skip_blanks(text: str, position: int) -> int:
    """Give the position of the next character that is no blank."""
    while text[position : position + 1].isspace():
        position += 1
    return position


def read_json(text: str, position: int) -> tuple[object, int]:
    """Read the JSON value at a position, behind blanks; gives the position after it, too."""
    try:
        value, end = _DECODER.raw_decode(text, skip_blanks(text, position))
        return scrubbed(value), end
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"a call is not JSON: {error}") from None


def _finite(parse: Callable[[str], float]) -> Callable[[str], float]:
    def parse_finite(literal: str) -> float:
        number = parse(literal)
        if not math.isfinite(number):
            raise ValueError(f"{literal} is not a finite number")
        return number

    return parse_finite


_DECODER = json.JSONDecoder(parse_float=_finite(float), parse_constant=_finite(float))


def scrubbed(value: object) -> object:
    """Replace lone surrogates, which JSON can write and UTF-8 cannot."""
    encoded = json.dumps(value, ensure_ascii=False)
    try:
        encoded.encode("utf-8")
    except UnicodeEncodeError:
        clean: object = json.loads(encoded.encode("utf-8", "replace"))
        return clean
    return value


def named_call(value: object, tools: Sequence[ToolSpec], arguments: str = "arguments") -> ToolCall:
    """Read a call of the form {"name": ..., arguments: ...}."""
    if not isinstance(value, Mapping) or set(value) != {"name", arguments}:
        raise Unreadable(f"a call has exactly the members name and {arguments}")
    return checked_call(value["name"], value[arguments], tools)


def tool_named(name: object, tools: Sequence[ToolSpec]) -> ToolSpec:
    """Find the tool that a call names."""
    tool = next((tool for tool in tools if tool.name == name), None)
    if tool is None:
        known = ", ".join(tool.name for tool in tools)
        raise Unreadable(f"there is no tool {name!r}; the tools are {known}")
    return tool


def checked_call(name: object, arguments: object, tools: Sequence[ToolSpec]) -> ToolCall:
    """Make a call of what was read.

    Raises:
        Unreadable: there is no such tool, or its parameters do not take the arguments.
    """
    tool = tool_named(name, tools)
    schema = sanitise_schema(tool.name, tool.parameters)
    if problem := find_violation(arguments, schema):
        raise Unreadable(f"the call of {tool.name} is not valid: {problem}")
    assert isinstance(arguments, dict)  # noqa: S101 - a sanitised schema is of type object
    # Stored and shown beyond this run, so unique beyond it too.
    return ToolCall(f"call_{uuid.uuid4().hex[:16]}", tool.name, arguments)
