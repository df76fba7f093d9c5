"""The grammar a model's output is held to: text or calls that are valid for the tools offered.

Lark as llguidance reads it (its docs/syntax.md): special tokens are `<[id]>`, a schema stands
inline behind %json. The end of output is allowed only where the grammar accepts. Pure text
building; decoding.py runs it.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from agent.model import Prompt, ToolSpec
from agent.models.tool_schema import sanitise_schema
from agent.models.transcript import SEND_MESSAGE_SPEC, CallStyle, offered_tools

# As json.dumps writes by default, which is what templates and training data show. Free whitespace
# is where weak models loop.
_JSON_FORM = {"item_separator": ", ", "key_separator": ": ", "whitespace_flexible": False}
_TEXT = "TEXT: /(.|\\n)*/"


@dataclass(frozen=True, slots=True)
class Marker:
    """A marker in the output, e.g. `<tool_call>`; `token` is its id if it is a special one."""

    text: str
    token: int | None = None

    @property
    def lark(self) -> str:
        """The marker as a grammar symbol."""
        return json.dumps(self.text) if self.token is None else f"<[{self.token}]>"


@dataclass(frozen=True, slots=True)
class Markers:
    """What surrounds calls and, in models that reason aloud, reasoning."""

    call_open: Marker = Marker("<tool_call>")
    call_close: Marker = Marker("</tool_call>")
    think_open: Marker = Marker("<think>")
    think_close: Marker = Marker("</think>")


def output_grammar(prompt: Prompt, style: CallStyle, markers: Markers) -> str:
    """Build the grammar for one prompt.

    native: optional reasoning, then text, then calls; text alone is a reply.
    json:   one call; SEND_MESSAGE is among the tools. Without tools both are free text.

    Only what the prompt allows now is in it: a model cannot break a tool rule.

    Raises:
        ToolSchemaInvalid: a tool's parameters are no schema.
    """
    if style == "json":
        said = _json_union(_json_tools(prompt)) if prompt.tools else None
        return "\n".join([f"start: {said}"] if said else ["start: TEXT", _TEXT])
    rules = [_TEXT, "start: answer"]
    if markers.think_close.token is not None:
        # As plain text reasoning is TEXT already; as a special token it needs its own way in. The
        # opening one is optional: some templates write it themselves.
        opening, closing = markers.think_open.lark, markers.think_close.lark
        rules = [_TEXT, "start: answer | reasoning answer"]
        rules.append(f"reasoning: {opening} TEXT {closing} | TEXT {closing}")
    tools = prompt.callable_tools
    if not tools:
        return "\n".join([*rules, "answer: TEXT"])
    calls = _call_rules(markers, prompt.may_reply)
    return "\n".join([*rules, *calls, f"body: {_json_union(tools)}"])


def _json_tools(prompt: Prompt) -> tuple[ToolSpec, ...]:
    """What may be called in json style, where a reply is a call, too."""
    offered = offered_tools(prompt.callable_tools, "json")
    if prompt.may_reply:
        return offered or (SEND_MESSAGE_SPEC,)
    return tuple(tool for tool in offered if tool is not SEND_MESSAGE_SPEC)


def _call_rules(markers: Markers, may_reply: bool) -> list[str]:
    opening, closing = markers.call_open, markers.call_close
    rules = [
        "answer: TEXT | head rest more*" if may_reply else "answer: head rest more*",
        f"more: /\\n?/ {opening.lark} rest",
        f"rest: /\\n?/ body /\\n?/ {closing.lark}",
    ]
    if opening.token is not None:
        return [*rules, f"head: TEXT {opening.lark}"]
    # Lazy: once the marker is written as text, a call has begun and nothing else can follow.
    return [*rules, f"head[lazy]: /(.|\\n)*{opening.text}/"]


def _json_union(tools: Sequence[ToolSpec]) -> str:
    members = [_call_schema(tool) for tool in tools]
    return "%json " + json.dumps({"x-guidance": _JSON_FORM, "anyOf": members})


def _call_schema(tool: ToolSpec) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {
            "name": {"const": tool.name},
            "arguments": sanitise_schema(tool.name, tool.parameters),
        },
        "required": ["name", "arguments"],
        "additionalProperties": False,
    }
