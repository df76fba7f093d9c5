"""Gemma 4: `<|tool_call>call:NAME{key:<|"|>text<|"|>,other:[1,true]}<tool_call|>`.

Like JSON, with bare keys in the order of the alphabet, no blanks and strings between markers, so
that nothing in them is escaped. Text, and before it reasoning in a channel of its own, may come
first; several calls follow each other. The templates print Python's None.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from agent.model import Parsed, Prompt, ToolCalls, ToolSpec
from agent.models.formats.call_format import CallFormat, Markers, quoted
from agent.models.formats.reading import (
    Unreadable,
    checked_call,
    expect,
    read_json,
    reply,
    skip_blanks,
    without_reasoning,
)
from agent.models.formats.rules import (
    all_members,
    json_rule,
    marked_calls,
    reasoning,
    text_until,
    until,
)
from agent.models.formats.showing import before_calls
from agent.models.tool_schema import sanitise_schema

OPEN, CLOSE, QUOTE = "<|tool_call>", "<tool_call|>", '<|"|>'
THINK_OPEN, THINK_CLOSE = "<|channel>", "<channel|>"
# Begins what the runtime writes; a model that goes on so has made its calls.
RESULT = "<|tool_response>"
MAX_DEPTH = 32
_CALL = "call:"
_KEY = re.compile(r"\s*([^\s:{}\[\],]+)\s*:")


def _grammar(prompt: Prompt, markers: Markers) -> list[str]:
    rules = reasoning(markers.of(THINK_OPEN), markers.of(THINK_CLOSE))
    rules += marked_calls(prompt, markers, OPEN)
    tools = prompt.callable_tools
    if not tools:
        return rules
    writer = _ValueRules(markers)
    calls = [f"{quoted(_CALL + tool.name)} {writer.arguments(tool)}" for tool in tools]
    return [
        *rules,
        f"rest: call {markers.of(CLOSE).lark}",
        "call: " + " | ".join(calls),
        *writer.rules,
    ]


class _ValueRules:
    """Turns schemas into rules for values in this notation."""

    def __init__(self, markers: Markers) -> None:
        self._quote = markers.of(QUOTE)
        self.rules = [until("text", self._quote), f"string: {self._quote.lark} text"]

    def arguments(self, tool: ToolSpec) -> str:
        """Give the name of a rule for the arguments of a tool."""
        members, required = all_members(sanitise_schema(tool.name, tool.parameters))
        return self._object({"properties": members, "required": required})

    def _rule(self, body: str) -> str:
        name = f"value_{len(self.rules)}"
        self.rules.append(f"{name}{body}")
        return name

    def symbol(self, schema: Mapping[str, Any]) -> str:
        """Give the name of a rule for values that a sanitised schema takes.

        What allOf says beside other members is checked when the call is read.
        """
        choices = [schema["const"]] if "const" in schema else schema.get("enum")
        if choices:
            return self._any_of([self._literal(choice) for choice in choices])
        if schema.get("properties"):
            return self._object(schema)
        for key in ("anyOf", "allOf"):
            if schema.get(key):
                return self._any_of([self.symbol(option) for option in schema[key]])
        declared = schema.get("type", ["string", "number", "boolean", "null", "object", "array"])
        names = declared if isinstance(declared, list) else [declared]
        return self._any_of([self._of_type(name, schema) for name in names])

    def _any_of(self, symbols: Sequence[str]) -> str:
        return symbols[0] if len(symbols) == 1 else self._rule(": " + " | ".join(symbols))

    def _literal(self, value: object) -> str:
        if isinstance(value, str):
            return self._rule(f": {self._quote.lark} {quoted(value)} {self._quote.lark}")
        return self._rule(f": {json_rule({'const': value})}")

    def _of_type(self, name: str, schema: Mapping[str, Any]) -> str:
        kinds: dict[str, Callable[[Mapping[str, Any]], str]] = {
            "string": self._string,
            "object": self._object,
            "array": self._array,
        }
        if name in kinds:
            return kinds[name](schema)
        bounds = {key: value for key, value in schema.items() if key.endswith("imum")}
        return self._rule(f": {json_rule({**bounds, 'type': name})}")

    def _string(self, schema: Mapping[str, Any]) -> str:
        least, most = schema.get("minLength", 0), schema.get("maxLength")
        if least == 0 and most is None:
            return "string"
        count = f"{{{least},{'' if most is None else most}}}"
        if self._quote.token is not None:
            return self._rule(f": {self._quote.lark} /(.|\\n){count}/ {self._quote.lark}")
        body = f"value_{len(self.rules)}"
        self.rules.append(text_until(body, QUOTE, count))
        return self._rule(f": {self._quote.lark} {body}")

    def _array(self, schema: Mapping[str, Any]) -> str:
        item = self.symbol(schema.get("items", _SCALAR))
        least, most = schema.get("minItems", 0), schema.get("maxItems")
        if most == 0:
            return self._rule(': "[]"')
        # One item stands for itself, so that commas only stand between.
        more = f'("," {item}){{{max(least - 1, 0)},{"" if most is None else most - 1}}}'
        some = f'"[" {item} {more} "]"'
        return self._rule(f": {some}" if least else f': "[]" | {some}')

    def _object(self, schema: Mapping[str, Any]) -> str:
        """Give a rule for an object: members in order, those not required may be missing."""
        members, required = schema.get("properties", {}), schema.get("required", ())
        if not members and schema.get("additionalProperties", "properties" not in schema):
            pair = f'/[A-Za-z0-9_-]+/ ":" {self.symbol(_SCALAR)}'
            return self._rule(f': "{{}}" | "{{" {pair} ("," {pair})* "}}"')
        # From the end: `begun` follows a member and starts with a comma, `fresh` does not.
        begun = fresh = self._rule(': "}"')
        for name in sorted(members, key=lambda name: (name.lower(), name), reverse=True):
            member = f"{quoted(name + ':')} {self.symbol(members[name])} {begun}"
            missing = name not in required
            fresh = self._rule(f": {member}" + (f" | {fresh}" if missing else ""))
            begun = self._rule(f': "," {member}' + (f" | {begun}" if missing else ""))
        return self._rule(f': "{{" {fresh}')


# Where a schema says nothing of the items or members.
_SCALAR = {"type": ["string", "number", "boolean"]}


def _read(text: str, tools: Sequence[ToolSpec]) -> Parsed:
    text = without_reasoning(text, OPEN, THINK_OPEN, THINK_CLOSE)
    said, opened, _ = text.partition(OPEN)
    if not opened or not tools:
        return reply(text)
    calls, position = [], len(said)
    while position < len(text) and not text.startswith(RESULT, position):
        position = expect(text, expect(text, position, OPEN), _CALL)
        end = text.find("{", position)
        if end < 0:
            raise Unreadable(f"{{ expected behind {text[position : position + 80]!r}")
        arguments, after = _value(text, end, 0)
        calls.append(checked_call(text[position:end].strip(), arguments, tools))
        position = skip_blanks(text, expect(text, after, CLOSE))
    return ToolCalls(tuple(calls), said.strip())


def _value(text: str, position: int, depth: int) -> tuple[object, int]:
    position = skip_blanks(text, position)
    if depth > MAX_DEPTH:
        raise Unreadable(f"an argument has over {MAX_DEPTH} levels")
    if text.startswith(QUOTE, position):
        start = position + len(QUOTE)
        end = text.find(QUOTE, start)
        if end < 0:
            raise Unreadable("a string does not end")
        return text[start:end], end + len(QUOTE)
    if text.startswith("None", position):
        return None, position + len("None")
    if text.startswith("{", position):
        return _object(text, position + 1, depth)
    if text.startswith("[", position):
        return _array(text, position + 1, depth)
    return read_json(text, position)


def _object(text: str, position: int, depth: int) -> tuple[dict[str, object], int]:
    value: dict[str, object] = {}
    while not text.startswith("}", skip_blanks(text, position)):
        key = _KEY.match(text, position)
        if key is None:
            raise Unreadable(f"key: expected at {text[position : position + 80]!r}")
        value[key[1]], position = _value(text, key.end(), depth + 1)
        position = _separator(text, position, "}")
    return value, skip_blanks(text, position) + 1


def _array(text: str, position: int, depth: int) -> tuple[list[object], int]:
    value: list[object] = []
    while not text.startswith("]", skip_blanks(text, position)):
        item, position = _value(text, position, depth + 1)
        value.append(item)
        position = _separator(text, position, "]")
    return value, skip_blanks(text, position) + 1


def _separator(text: str, position: int, end: str) -> int:
    position = skip_blanks(text, position)
    if text.startswith(",", position):
        return position + 1
    if not text.startswith(end, position):
        raise Unreadable(f", or {end} expected at {text[position : position + 80]!r}")
    return position


GEMMA = CallFormat(
    signs=("tools", OPEN, _CALL, QUOTE),
    markers=(OPEN, CLOSE, QUOTE, THINK_OPEN, THINK_CLOSE, RESULT),
    grammar=_grammar,
    read=_read,
    so_far=lambda text, _: before_calls(text, OPEN, THINK_OPEN, THINK_CLOSE),
)
