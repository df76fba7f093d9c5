"""Rules that grammars of several formats share, as Lark text for llguidance (its docs/syntax.md).

Special tokens are `<[id]>`, a schema stands inline behind %json. Text never contains a special
token. The end of output is allowed only where the grammar accepts.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from agent.model import Prompt, ToolSpec
from agent.models.formats.call_format import Marker, Markers, quoted
from agent.models.tool_schema import sanitise_schema

# As json.dumps writes by default, which is what templates and training data show. Free whitespace
# is where weak models loop.
_JSON_FORM = {"item_separator": ", ", "key_separator": ": ", "whitespace_flexible": False}
_ANY = "/(.|\\n)*/"
TEXT = f"TEXT: {_ANY}"
# What a call may hold by grammar; else a model writes 1e999, or digits without end. Larger bounds
# are none to the grammar engine either. The tool itself takes what its schema says.
LARGEST_NUMBER = 10**15
# In one answer: a model in a circle ends by this, and does not fill its window.
MOST_CALLS = 8
_DATA = ("const", "enum")


def json_rule(schema: dict[str, Any]) -> str:
    """Give the symbol for JSON that is valid for a sanitised schema."""
    return "%json " + json.dumps({"x-guidance": _JSON_FORM, **_with_bounds(schema)})


def _with_bounds(schema: Any) -> Any:
    """Bound every number in a schema on both sides."""
    if isinstance(schema, list):
        return [_with_bounds(part) for part in schema]
    if not isinstance(schema, Mapping):
        return schema
    bounded = {
        key: part if key in _DATA else _with_bounds(part)
        for key, part in schema.items()
        if not (key.lower().endswith("imum") and _is_beyond(part))
    }
    declared = bounded.get("type")
    if {"number", "integer"} & set([declared] if isinstance(declared, str) else declared or ()):
        if not bounded.keys() & {"minimum", "exclusiveMinimum"}:
            bounded["minimum"] = -LARGEST_NUMBER
        if not bounded.keys() & {"maximum", "exclusiveMaximum"}:
            bounded["maximum"] = LARGEST_NUMBER
    return bounded


def _is_beyond(bound: object) -> bool:
    return isinstance(bound, int | float) and abs(bound) > LARGEST_NUMBER


def named_calls(tools: Sequence[ToolSpec], arguments: str = "arguments") -> dict[str, Any]:
    """Give the schema of a call of any of the tools: {"name": ..., arguments: ...}."""
    return {"anyOf": [_named_call(tool, arguments) for tool in tools]}


def _named_call(tool: ToolSpec, arguments: str) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {
            "name": {"const": tool.name},
            arguments: sanitise_schema(tool.name, tool.parameters),
        },
        "required": ["name", arguments],
        "additionalProperties": False,
    }


def all_members(schema: Mapping[str, Any]) -> tuple[dict[str, Any], set[str]]:
    """Give all members that a sanitised schema of an object knows, and those that must be there.

    For formats that write arguments one by one. Which of them may stand together, where anyOf says
    so, is checked when the call is read.
    """
    members, required = dict(schema.get("properties", {})), set(schema.get("required", ()))
    for key in ("allOf", "anyOf"):
        for part in schema.get(key, ()):
            inner, needed = all_members(part)
            members = {**inner, **members}
            required |= needed if key == "allOf" else set()
    return members, required


def until(rule: str, end: Marker) -> str:
    """Give a rule for any text up to a marker and with it."""
    if end.token is not None:
        return f"{rule}: TEXT {end.lark}"
    return text_until(rule, end.text)


def text_until(rule: str, end: str, count: str = "*") -> str:
    """Give a rule for text up to where `end` is first written, and with it.

    count: of the characters before it, as a regular expression has it.
    """
    return f"{rule}[suffix={quoted(end)}]: /(.|\\n){count}/"


def text_without(rule: str, text: str) -> list[str]:
    """Give a rule for any text in which a given one is nowhere."""
    return [f"{rule}: FREE", f"FREE: {_ANY} & ~({_ANY} {quoted(text)} {_ANY})"]


def reasoning(opening: Marker, closing: Marker) -> list[str]:
    """Give the rules of `start`: an answer, with reasoning before it if the model likes.

    As plain text reasoning is text already; as a special token it needs its own way in. The opening
    one is optional: some templates write it themselves.
    """
    if closing.token is None:
        return [TEXT, "start: answer"]
    return [
        TEXT,
        "start: answer | reasoning answer",
        f"reasoning: {opening.lark} TEXT {closing.lark} | TEXT {closing.lark}",
    ]


def marked_calls(
    prompt: Prompt, markers: Markers, opening: str, *, gap: str = "", most: int = MOST_CALLS
) -> list[str]:
    """Give the rules of `answer`: text, or calls of which each begins with a marker.

    Text may stand before calls, but where the model must call: there it might never come to an end.
    The caller gives the rule `rest`: a call behind its marker.

    Args:
        gap: the regular expression of what may stand between two calls.
        most: how often the marker may come.
    """
    marker = markers.of(opening)
    if not prompt.callable_tools:
        return ["answer: TEXT"] if marker.token is not None else text_without("answer", opening)
    calls = "head rest" if most == 1 else f"head rest more{{0,{most - 1}}}"
    rules = [
        f"answer: TEXT | {calls}" if prompt.may_reply else f"answer: {calls}",
        until("head", marker) if prompt.may_reply else f"head: {marker.lark}",
    ]
    if most > 1:
        rules.append(f"more: /{gap}/ {marker.lark} rest" if gap else f"more: {marker.lark} rest")
    return rules
