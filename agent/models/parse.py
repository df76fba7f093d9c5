"""Reading a model's raw output: text, calls, or what is wrong with it.

The grammar already keeps calls valid; they are validated again here, because output cut by the
token limit ends anywhere and because nothing a model or its worker says is trusted. Pure.
"""

import json
import math
import uuid
from collections.abc import Callable, Mapping, Sequence

from agent.model import Malformed, MalformedKind, Parsed, Prompt, Reply, ToolCalls, ToolSpec
from agent.models.tool_schema import find_violation, sanitise_schema
from agent.models.transcript import SEND_MESSAGE, CallStyle, offered_tools
from memory.records import ToolCall

CALL_OPEN, CALL_CLOSE = "<tool_call>", "</tool_call>"
THINK_OPEN, THINK_CLOSE = "<think>", "</think>"


def read_output(text: str, cut: bool, prompt: Prompt, style: CallStyle) -> Parsed:
    """Read what a model wrote.

    Text that was cut by the token limit is Malformed too: a small model that does not stop is
    mostly going in circles, and Malformed keeps the text for whoever wants it all the same.

    Args:
        text: the output, reasoning and markers included.
        cut: whether the token limit ended it.
        prompt: what was asked; says which tools there are and what may be answered.
        style: how calls are written; see transcript.py.
    """
    try:
        if style == "json" and prompt.tools:
            parsed = _read_json(text.strip(), prompt.tools)
        else:
            parsed = _read_native(_without_reasoning(text), prompt.tools)
    except _Unreadable as problem:
        return _cut(text) if cut else Malformed(text, str(problem), problem.kind)
    if cut and isinstance(parsed, Reply):
        return _cut(text)
    return held_to(prompt, parsed)


def read_calls(calls: Sequence[tuple[str, str]], text: str, cut: bool, prompt: Prompt) -> Parsed:
    """Read calls that a server has told apart: each a name, and arguments as JSON text.

    Args:
        text: what was said beside them, reasoning included.
        cut: whether the token limit ended the answer.
        prompt: what was asked.
    """
    try:
        read = tuple(_told_call(name, arguments, prompt.tools) for name, arguments in calls)
    except _Unreadable as problem:
        return _cut(text) if cut else Malformed(text, str(problem), problem.kind)
    return held_to(prompt, ToolCalls(read, _without_reasoning(text)))


def _told_call(name: str, arguments: str, tools: Sequence[ToolSpec]) -> ToolCall:
    value, end = _decode(arguments, 0) if arguments.strip() else ({}, 0)
    if arguments[end:].strip():
        raise _Unreadable(f"text after the arguments of {name}: {arguments[end:].strip()[:80]!r}")
    return _valid_call({"name": name, "arguments": value}, tools)


def held_to(prompt: Prompt, parsed: Parsed) -> Parsed:
    """The answer, or Malformed when the prompt does not allow it now."""
    names = ", ".join(tool.name for tool in prompt.callable_tools)
    match parsed:
        case Reply(text) if not prompt.may_reply:
            return Malformed(text, f"a tool must be called before you answer: {names}", "no_call")
        case ToolCalls(calls, text) if prompt.allowed is not None:
            barred = [call.name for call in calls if call.name not in prompt.allowed]
            if barred:
                now = f"you may call {names}" if names else "answer without a call"
                return Malformed(text, f"{barred[0]} cannot be called now; {now}", "call")
    return parsed


class _Unreadable(Exception):
    """Says what is wrong with the output."""

    kind: MalformedKind = "call"


class _Empty(_Unreadable):
    """There is no output, or none after the reasoning."""

    kind = "reply"


def _cut(text: str) -> Malformed:
    return Malformed(text, "cut off by the token limit", "cut")


def _without_reasoning(text: str) -> str:
    """Drop reasoning, which comes before everything else; some templates write its opening."""
    said, opened, calls = text.partition(CALL_OPEN)
    _, closed, answer = said.rpartition(THINK_CLOSE)
    if not closed and said.lstrip().startswith(THINK_OPEN):
        answer = ""  # it never came to an answer
    return (answer + opened + calls).strip()


def _read_json(text: str, tools: Sequence[ToolSpec]) -> Parsed:
    value, end = _decode(text, 0)
    if text[end:].strip():
        raise _Unreadable(f"text after the call: {text[end:].strip()[:80]!r}")
    call = _valid_call(value, offered_tools(tools, "json"))
    if call.name != SEND_MESSAGE:
        return ToolCalls((call,))
    return _reply(call.arguments["message"])


def _read_native(text: str, tools: Sequence[ToolSpec]) -> Parsed:
    said, opened, _ = text.partition(CALL_OPEN)
    if not opened or not tools:
        return _reply(text)
    calls, position = [], len(said)
    while position < len(text):
        position = _expect(text, position, CALL_OPEN)
        value, position = _decode(text, position)
        calls.append(_valid_call(value, tools))
        position = _expect(text, position, CALL_CLOSE)
        position += len(text[position:]) - len(text[position:].lstrip())
    return ToolCalls(tuple(calls), said.strip())


def _reply(text: str) -> Reply:
    if not text.strip():
        raise _Empty("it says nothing")
    return Reply(text)


def _expect(text: str, position: int, marker: str) -> int:
    while text[position : position + 1].isspace():
        position += 1
    if not text.startswith(marker, position):
        raise _Unreadable(f"{marker} expected at {text[position : position + 80]!r}")
    return position + len(marker)


def _decode(text: str, position: int) -> tuple[object, int]:
    while text[position : position + 1].isspace():
        position += 1
    try:
        value, end = _DECODER.raw_decode(text, position)
        return _scrubbed(value), end
    except (ValueError, RecursionError) as error:
        raise _Unreadable(f"a call is not JSON: {error}") from None


def _finite(parse: Callable[[str], float]) -> Callable[[str], float]:
    def parse_finite(literal: str) -> float:
        number = parse(literal)
        if not math.isfinite(number):
            raise ValueError(f"{literal} is not a finite number")
        return number

    return parse_finite


_DECODER = json.JSONDecoder(parse_float=_finite(float), parse_constant=_finite(float))


def _scrubbed(value: object) -> object:
    """Replace lone surrogates, which JSON can write and UTF-8 cannot."""
    encoded = json.dumps(value, ensure_ascii=False)
    try:
        encoded.encode("utf-8")
    except UnicodeEncodeError:
        scrubbed: object = json.loads(encoded.encode("utf-8", "replace"))
        return scrubbed
    return value


def _valid_call(value: object, tools: Sequence[ToolSpec]) -> ToolCall:
    if not isinstance(value, Mapping) or set(value) != {"name", "arguments"}:
        raise _Unreadable("a call has exactly the members name and arguments")
    tool = next((tool for tool in tools if tool.name == value["name"]), None)
    if tool is None:
        known = ", ".join(tool.name for tool in tools)
        raise _Unreadable(f"there is no tool {value['name']!r}; the tools are {known}")
    schema = sanitise_schema(tool.name, tool.parameters)
    if problem := find_violation(value["arguments"], schema):
        raise _Unreadable(f"the call of {tool.name} is not valid: {problem}")
    # Stored and shown beyond this run, so unique beyond it too.
    return ToolCall(f"call_{uuid.uuid4().hex[:16]}", tool.name, value["arguments"])
