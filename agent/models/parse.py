"""Reading a model's raw output: text, calls, or what is wrong with it.

The grammar already keeps calls valid; they are validated again here, because output cut by the
token limit ends anywhere and because nothing a model or its worker says is trusted. Pure.
"""

from collections.abc import Sequence

from agent.model import Malformed, Parsed, Prompt, Reply, ToolCalls, ToolSpec
from agent.models.formats.hermes import CALL_OPEN
from agent.models.formats.reading import (
    Unreadable,
    checked_call,
    expect_end,
    read_json,
    without_reasoning,
)
from agent.models.formats.table import FORMATS
from agent.models.transcript import CallStyle
from memory.records import ToolCall


def read_output(text: str, cut: bool, prompt: Prompt, style: CallStyle) -> Parsed:
    """Read what a model wrote.

    Text that was cut by the token limit is Malformed too: a small model that does not stop is
    mostly going in circles, and Malformed keeps the text for whoever wants it all the same.

    Args:
        text: the output, reasoning and markers included.
        cut: whether the token limit ended it.
        prompt: what was asked; says which tools there are and what may be answered.
        style: how calls are written; see formats/.
    """
    try:
        parsed = FORMATS[style].read(text, prompt.tools)
    except Unreadable as problem:
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
    except Unreadable as problem:
        return _cut(text) if cut else Malformed(text, str(problem), problem.kind)
    return held_to(prompt, ToolCalls(read, without_reasoning(text, CALL_OPEN)))


def _told_call(name: str, arguments: str, tools: Sequence[ToolSpec]) -> ToolCall:
    value, end = read_json(arguments, 0) if arguments.strip() else ({}, 0)
    expect_end(arguments, end)
    return checked_call(name, value, tools)


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


def _cut(text: str) -> Malformed:
    return Malformed(text, "cut off by the token limit", "cut")
