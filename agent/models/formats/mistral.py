"""Mistral's two formats, of older and newer models.

One list of calls, `[TOOL_CALLS][{"name", "arguments"}, ...]`; since their tokenizer's version 11
`[TOOL_CALLS]name[ARGS]{...}` for each call, in some models with `[CALL_ID]` between. Templates
want ids of nine letters and digits. Text, and before it reasoning in `[THINK]`, may come first.
"""

from collections.abc import Mapping, Sequence

from agent.model import Parsed, Prompt, ToolCalls, ToolSpec
from agent.models.formats.call_format import CallFormat, Markers, quoted
from agent.models.formats.reading import (
    Unreadable,
    checked_call,
    expect,
    expect_end,
    named_call,
    read_json,
    reply,
    skip_blanks,
    without_reasoning,
)
from agent.models.formats.rules import MOST_CALLS, json_rule, marked_calls, named_calls, reasoning
from agent.models.formats.showing import before_calls
from agent.models.tool_schema import sanitise_schema
from agent.models.transcript import MessageForm
from memory.records import ToolCall

OPEN, ARGS, CALL_ID = "[TOOL_CALLS]", "[ARGS]", "[CALL_ID]"
THINK_OPEN, THINK_CLOSE = "[THINK]", "[/THINK]"
_ID = "[a-zA-Z0-9]{9}"


def _start(prompt: Prompt, markers: Markers, most: int = MOST_CALLS) -> list[str]:
    return [
        *reasoning(markers.of(THINK_OPEN), markers.of(THINK_CLOSE)),
        *marked_calls(prompt, markers, OPEN, most=most),
    ]


def _list_grammar(prompt: Prompt, markers: Markers) -> list[str]:
    rules = _start(prompt, markers, most=1)  # one marker, and all calls in a list behind it
    if not prompt.callable_tools:
        return rules
    call = named_calls(prompt.callable_tools)
    for member in call["anyOf"]:
        member["properties"]["id"] = {"type": "string", "pattern": f"^{_ID}$"}
    calls = {"type": "array", "items": call, "minItems": 1, "maxItems": MOST_CALLS}
    return [*rules, f"rest: / ?/ {json_rule(calls)}"]


def _read_list(text: str, tools: Sequence[ToolSpec]) -> Parsed:
    text = without_reasoning(text, OPEN, THINK_OPEN, THINK_CLOSE)
    said, opened, body = text.partition(OPEN)
    if not opened or not tools:
        return reply(text)
    values, end = read_json(body, 0)
    expect_end(body, end)
    if not isinstance(values, list) or not values:
        raise Unreadable(f"{OPEN} is followed by no list of calls")
    calls = tuple(named_call(_without_id(value), tools) for value in values)
    return ToolCalls(calls, said.strip())


def _without_id(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: member for key, member in value.items() if key != "id"}
    return value


def _args_grammar(prompt: Prompt, markers: Markers) -> list[str]:
    rules = _start(prompt, markers)
    tools = prompt.callable_tools
    if not tools:
        return rules
    args, call_id = markers.of(ARGS).lark, markers.of(CALL_ID).lark
    rules.append(f"args: {call_id} /{_ID}/ {args} | {args}")
    rules.append("rest: " + " | ".join(f"call_{index}" for index in range(len(tools))))
    for index, tool in enumerate(tools):
        arguments = json_rule(sanitise_schema(tool.name, tool.parameters))
        rules.append(f"call_{index}: {quoted(tool.name)} args {arguments}")
    return rules


def _read_args(text: str, tools: Sequence[ToolSpec]) -> Parsed:
    text = without_reasoning(text, OPEN, THINK_OPEN, THINK_CLOSE)
    said, opened, _ = text.partition(OPEN)
    if not opened or not tools:
        return reply(text)
    calls, position = [], len(said)
    while position < len(text):
        call, position = _read_call(text, expect(text, position, OPEN), tools)
        calls.append(call)
        position = skip_blanks(text, position)
    return ToolCalls(tuple(calls), said.strip())


def _read_call(text: str, position: int, tools: Sequence[ToolSpec]) -> tuple[ToolCall, int]:
    end = text.find(ARGS, position)
    if end < 0:
        raise Unreadable(f"{ARGS} expected behind {text[position : position + 80]!r}")
    name = text[position:end].partition(CALL_ID)[0].strip()
    arguments, position = read_json(text, end + len(ARGS))
    return checked_call(name, arguments, tools), position


def _so_far(text: str, _with_tools: bool) -> str:
    return before_calls(text, OPEN, THINK_OPEN, THINK_CLOSE)


_MESSAGES = MessageForm(short_ids=True)
_MARKERS = (OPEN, THINK_OPEN, THINK_CLOSE)
MISTRAL_LIST = CallFormat(
    signs=("tools", OPEN),
    markers=_MARKERS,
    grammar=_list_grammar,
    read=_read_list,
    so_far=_so_far,
    messages=_MESSAGES,
)
MISTRAL_ARGS = CallFormat(
    signs=("tools", OPEN, ARGS),
    markers=(*_MARKERS, ARGS, CALL_ID),
    grammar=_args_grammar,
    read=_read_args,
    so_far=_so_far,
    messages=_MESSAGES,
)
