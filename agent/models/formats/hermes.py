"""Hermes, Qwen 2.5 and 3, Granite 4 and many more: `<tool_call>{"name", "arguments"}</tool_call>`.

Several calls follow each other; text, and before it reasoning in `<think>`, may come first.
"""

from collections.abc import Sequence

from agent.model import Parsed, Prompt, ToolCalls, ToolSpec
from agent.models.formats.call_format import CallFormat, Markers
from agent.models.formats.reading import (
    THINK_CLOSE,
    THINK_OPEN,
    expect,
    named_call,
    read_json,
    reply,
    skip_blanks,
    without_reasoning,
)
from agent.models.formats.rules import json_rule, marked_calls, named_calls, reasoning
from agent.models.formats.showing import before_calls

CALL_OPEN, CALL_CLOSE = "<tool_call>", "</tool_call>"


def _grammar(prompt: Prompt, markers: Markers) -> list[str]:
    rules = reasoning(markers.of(THINK_OPEN), markers.of(THINK_CLOSE))
    rules += marked_calls(prompt, markers, CALL_OPEN, gap="\\n?")
    if not prompt.callable_tools:
        return rules
    return [
        *rules,
        f"rest: /\\n?/ body /\\n?/ {markers.of(CALL_CLOSE).lark}",
        f"body: {json_rule(named_calls(prompt.callable_tools))}",
    ]


def _read(text: str, tools: Sequence[ToolSpec]) -> Parsed:
    text = without_reasoning(text, CALL_OPEN)
    said, opened, _ = text.partition(CALL_OPEN)
    if not opened or not tools:
        return reply(text)
    calls, position = [], len(said)
    while position < len(text):
        value, position = read_json(text, expect(text, position, CALL_OPEN))
        calls.append(named_call(value, tools))
        position = skip_blanks(text, expect(text, position, CALL_CLOSE))
    return ToolCalls(tuple(calls), said.strip())


HERMES = CallFormat(
    signs=("tools", CALL_OPEN),
    markers=(CALL_OPEN, CALL_CLOSE, THINK_OPEN, THINK_CLOSE),
    grammar=_grammar,
    read=_read,
    so_far=lambda text, _: before_calls(text, CALL_OPEN),
)
