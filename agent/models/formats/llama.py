"""Llama 3.1 to 3.3: the whole output is `{"name": ..., "parameters": {...}}`, or it is text.

A call may stand behind `<|python_tag|>`. One call an answer: the templates refuse more.
"""

from collections.abc import Sequence

from agent.model import Parsed, Prompt, ToolCalls, ToolSpec
from agent.models.formats.call_format import CallFormat, Markers
from agent.models.formats.reading import expect_end, named_call, read_json, reply
from agent.models.formats.rules import TEXT, json_rule, named_calls
from agent.models.transcript import MessageForm

TAG = "<|python_tag|>"
# A reply does not begin like a call, so that what begins like one is valid to its end.
_REPLY = "REPLY: /\\s*[^{\\s](.|\\n)*/"


def _grammar(prompt: Prompt, markers: Markers) -> list[str]:
    tools = prompt.callable_tools
    if not tools:
        return ["start: REPLY", _REPLY] if prompt.tools else ["start: TEXT", TEXT]
    tag = markers.of(TAG)
    return [
        _REPLY,
        "start: REPLY | call" if prompt.may_reply else "start: call",
        "call: body" if tag.token is None else f"call: body | {tag.lark} body",
        f"body: {json_rule(named_calls(tools, 'parameters'))}",
    ]


def _read(text: str, tools: Sequence[ToolSpec]) -> Parsed:
    body = text.strip().removeprefix(TAG).lstrip()
    if not tools or not body.startswith("{"):
        return reply(text.strip())
    value, end = read_json(body, 0)
    expect_end(body, end)
    return ToolCalls((named_call(value, tools, "parameters"),))


def _so_far(text: str, with_tools: bool) -> str:
    said = text.strip()
    if with_tools and (said.startswith(("{", TAG)) or TAG.startswith(said)):
        return ""
    return said


LLAMA = CallFormat(
    signs=("tools", '"parameters"'),
    markers=(TAG,),
    grammar=_grammar,
    read=_read,
    so_far=_so_far,
    messages=MessageForm(one_call=True),
)
