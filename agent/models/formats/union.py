"""JSON for any model: the whole output is one call, and a reply is a call of SEND_MESSAGE."""

import json
import re
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
from agent.models.formats.showing import before_calls
from agent.models.transcript import IN_WORDS, SEND_MESSAGE, SEND_MESSAGE_SPEC, offered_tools

_SAYS = re.compile(
    r'\s*\{\s*"name"\s*:\s*"' + SEND_MESSAGE + r'"\s*,\s*"arguments"\s*:\s*\{\s*"message"\s*:\s*"'
)
_ESCAPE_CHARS = 12  # the longest: a character beyond 16 bits, as two escapes of six
_NO_CALL = "<tool_call>"  # without tools: whoever writes it all the same means a call


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
        return reply(without_reasoning(text, _NO_CALL))
    text = text.strip()
    value, end = read_json(text, 0)
    expect_end(text, end)
    call = named_call(value, offered_tools(tools))
    if call.name != SEND_MESSAGE:
        return ToolCalls((call,))
    return reply(call.arguments["message"])


def _message_so_far(text: str) -> str:
    """The message of a call of SEND_MESSAGE, decoded as far as it goes."""
    opening = _SAYS.match(text)
    if opening is None:
        return ""
    body = text[opening.end() :]
    end = _closing_quote(body)
    # An escape may be cut: go back to where what stands there can be read.
    for cut in range(min(_ESCAPE_CHARS, end) + 1):
        try:
            said: str = json.loads(f'"{body[: end - cut]}"')
        except ValueError:
            continue
        if not said or not "\ud800" <= said[-1] <= "\udbff":
            return said.encode("utf-8", "replace").decode("utf-8")
    return ""


def _closing_quote(body: str) -> int:
    match = re.match(r'(?:[^"\\]|\\.)*', body, re.DOTALL)
    return match.end() if match else 0


def _so_far(text: str, with_tools: bool) -> str:
    return _message_so_far(text) if with_tools else before_calls(text, _NO_CALL)


UNION = CallFormat(
    signs=(), markers=(), grammar=_grammar, read=_read, so_far=_so_far, messages=IN_WORDS
)
