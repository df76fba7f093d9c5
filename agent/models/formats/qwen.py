"""Qwen 3.5 and Qwen3-Coder, Nemotron 3 and others: a call with its parameters as XML.

    <tool_call>
    <function=NAME>
    <parameter=X>
    value
    </parameter>
    </function>
    </tool_call>

A parameter that may be a string stands there as it is, anything else as JSON. Text, and before it
reasoning in `<think>`, may come first; several calls follow each other.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from agent.model import Parsed, Prompt, ToolCalls, ToolSpec
from agent.models.formats.call_format import CallFormat, Markers, quoted
from agent.models.formats.reading import (
    THINK_CLOSE,
    THINK_OPEN,
    Unreadable,
    checked_call,
    expect,
    read_json,
    reply,
    skip_blanks,
    tool_named,
    without_reasoning,
)
from agent.models.formats.rules import all_members, json_rule, marked_calls, reasoning, text_until
from agent.models.formats.showing import before_calls
from agent.models.tool_schema import find_violation, sanitise_schema
from memory.records import ToolCall

OPEN, CLOSE = "<tool_call>", "</tool_call>"
FUNCTION, FUNCTION_END = "<function=", "</function>"
PARAMETER, PARAMETER_END = "<parameter=", "\n</parameter>"
# Templates print Python's own words for these.
_WORDS = {"True": True, "False": False, "None": None}


def _grammar(prompt: Prompt, markers: Markers) -> list[str]:
    rules = reasoning(markers.of(THINK_OPEN), markers.of(THINK_CLOSE))
    rules += marked_calls(prompt, markers, OPEN, gap="\\n?")
    tools = prompt.callable_tools
    if not tools:
        return rules
    rules += [
        f'rest: "\\n" call {quoted(FUNCTION_END)} /\\n?/ {markers.of(CLOSE).lark}',
        "call: " + " | ".join(f"call_{index}" for index in range(len(tools))),
        text_until("value", PARAMETER_END),
    ]
    for index, tool in enumerate(tools):
        rules += _tool_rules(index, tool)
    return rules


def _tool_rules(index: int, tool: ToolSpec) -> list[str]:
    members, required = all_members(sanitise_schema(tool.name, tool.parameters))
    rules, symbols = [], []
    for number, (name, schema) in enumerate(members.items()):
        rule, value = f"parameter_{index}_{number}", f"value_{index}_{number}"
        symbols.append(rule if name in required else f"{rule}?")
        opening, newline = quoted(f"{PARAMETER}{name}>\n"), quoted("\n")
        rules.append(f"{rule}: {opening} {value} {newline}")
        rules.append(_value_rule(value, schema))
    opening = quoted(f"{FUNCTION}{tool.name}>\n")
    return [*rules, f"call_{index}: {opening} {' '.join(symbols)}"]


def _value_rule(rule: str, schema: Mapping[str, Any]) -> str:
    """Give the rule for a value and the tag that ends it."""
    choices = [schema["const"]] if "const" in schema else schema.get("enum")
    if choices:
        written = " | ".join(quoted(_written(choice)) for choice in choices)
        return f"{rule}: ({written}) {quoted(PARAMETER_END)}"
    if not _may_be_string(schema):
        return f"{rule}: {json_rule(dict(schema))} {quoted(PARAMETER_END)}"
    least, most = schema.get("minLength", 0), schema.get("maxLength")
    if least == 0 and most is None:
        return f"{rule}: value"
    return text_until(rule, PARAMETER_END, f"{{{least},{'' if most is None else most}}}")


def _written(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _may_be_string(schema: Mapping[str, Any]) -> bool:
    if "type" in schema:
        declared = schema["type"]
        return "string" in (declared if isinstance(declared, list) else [declared])
    if "anyOf" in schema:
        return any(_may_be_string(option) for option in schema["anyOf"])
    return all(_may_be_string(part) for part in schema.get("allOf", ()))


def _read(text: str, tools: Sequence[ToolSpec]) -> Parsed:
    text = without_reasoning(text, OPEN)
    said, opened, _ = text.partition(OPEN)
    if not opened or not tools:
        return reply(text)
    calls, position = [], len(said)
    while position < len(text):
        call, position = _read_call(text, expect(text, position, OPEN), tools)
        calls.append(call)
        position = skip_blanks(text, expect(text, position, CLOSE))
    return ToolCalls(tuple(calls), said.strip())


def _read_call(text: str, position: int, tools: Sequence[ToolSpec]) -> tuple[ToolCall, int]:
    name, position = _name(text, expect(text, position, FUNCTION))
    tool = tool_named(name, tools)
    members, _ = all_members(sanitise_schema(tool.name, tool.parameters))
    arguments: dict[str, Any] = {}
    position = skip_blanks(text, position)
    while text.startswith(PARAMETER, position):
        key, position = _name(text, position + len(PARAMETER))
        position += text.startswith("\n", position)
        end = text.find(PARAMETER_END, position)
        if end < 0:
            raise Unreadable(f"the parameter {key} does not end")
        arguments[key] = _value(text[position:end], members.get(key, {}))
        position = skip_blanks(text, end + len(PARAMETER_END))
    return checked_call(name, arguments, tools), expect(text, position, FUNCTION_END)


def _name(text: str, position: int) -> tuple[str, int]:
    """Read a name up to the end of its tag."""
    end = text.find(">", position)
    if end < 0:
        raise Unreadable(f"> expected behind {text[position : position + 80]!r}")
    return text[position:end], end + 1


def _value(text: str, schema: Mapping[str, Any]) -> object:
    """Read a parameter: as JSON where its schema takes that, else as the string it is."""
    string_allowed = _may_be_string(schema) and not find_violation(text, schema)
    if string_allowed and "type" in schema and schema["type"] == "string":
        return text
    try:
        value, end = read_json(text, 0)
        whole = not text[end:].strip() and len(text[:end].strip()) > 0
    except Unreadable:
        value, whole = _WORDS.get(text.strip(), text), text.strip() in _WORDS
    if whole and not find_violation(value, schema):
        return value
    return text


QWEN = CallFormat(
    signs=("tools", OPEN, FUNCTION, PARAMETER),
    markers=(OPEN, CLOSE, THINK_OPEN, THINK_CLOSE),
    grammar=_grammar,
    read=_read,
    so_far=lambda text, _: before_calls(text, OPEN),
)
