"""JSON for any model: the whole output is one call, and a reply is a call of SEND_MESSAGE."""

from collections.abc import Sequence

from agent.model import Parsed, Prompt, ToolCalls, ToolSpec
from agent.models.formats.call_format import CallFormat, Markers
from agent.models.formats.reading import (
    expect_end,
    named_call,
    read_json,
    reply,
    without_reasoning,
)
from agent.models.formats.rules import TEXT, json_rule, named_calls
from agent.models.transcript import IN_WORDS, SEND_MESSAGE, SEND_MESSAGE_SPEC, offered_tools


def _grammar(prompt: Prompt, _markers: Markers) -> list[str]:
    if not prompt.tools:
        return ["start: TEXT", TEXT]
    return [f"start: {json_rule(named_calls(_callable(prompt)))}"]


def _callable(prompt: Prompt) -> tuple[ToolSpec, ...]:
    offered = offered_tools(prompt.callable_tools)
    if prompt.may_reply:
        return offered or (SEND_MESSAGE_SPEC,)
    return tuple(tool for tool in offered if tool is not SEND_MESSAGE_SPEC)


def _read(text: str, tools: Sequence[ToolSpec]) -> Parsed:
    if not tools:
        return reply(without_reasoning(text, "<tool_call>"))
    text = text.strip()
    value, end = read_json(text, 0)
    expect_end(text, end)
    call = named_call(value, offered_tools(tools))
    if call.name != SEND_MESSAGE:
        return ToolCalls((call,))
    return reply(call.arguments["message"])


UNION = CallFormat(signs=(), markers=(), grammar=_grammar, read=_read, messages=IN_WORDS)
