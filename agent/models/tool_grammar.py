"""The grammar a model's output is held to: text or calls that are valid for the tools offered.

Lark as llguidance reads it (its docs/syntax.md): special tokens are `<[id]>`, a schema stands
inline behind %json. The end of output is allowed only where the grammar accepts. Pure text
building; decoding.py runs it.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from agent.model import ToolSpec
from agent.models.tool_schema import sanitise_schema
from agent.models.transcript import CallStyle, offered_tools

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


def output_grammar(tools: Sequence[ToolSpec], style: CallStyle, markers: Markers) -> str:
    """Build the grammar for one prompt.

    native: optional reasoning, then text, then calls; text alone is a reply.
    json:   one call; SEND_MESSAGE is among the tools. Without tools both are free text.

    Raises:
        ToolSchemaInvalid: a tool's parameters are no schema.
    """
    if style == "json":
        rules = [f"start: {_json_union(tools, style)}"] if tools else ["start: TEXT", _TEXT]
        return "\n".join(rules)
    rules = [_TEXT, "start: answer"]
    if markers.think_close.token is not None:
        # As plain text reasoning is TEXT already; as a special token it needs its own way in. The
        # opening one is optional: some templates write it themselves.
        opening, closing = markers.think_open.lark, markers.think_close.lark
        rules = [_TEXT, "start: answer | reasoning answer"]
        rules.append(f"reasoning: {opening} TEXT {closing} | TEXT {closing}")
    if not tools:
        return "\n".join([*rules, "answer: TEXT"])
    return "\n".join([*rules, *_call_rules(markers), f"body: {_json_union(tools, style)}"])


def _call_rules(markers: Markers) -> list[str]:
    opening, closing = markers.call_open, markers.call_close
    rules = [
        "answer: TEXT | head rest more*",
        f"more: /\\n?/ {opening.lark} rest",
        f"rest: /\\n?/ body /\\n?/ {closing.lark}",
    ]
    if opening.token is not None:
        return [*rules, f"head: TEXT {opening.lark}"]
    # Lazy: once the marker is written as text, a call has begun and nothing else can follow.
    return [*rules, f"head[lazy]: /(.|\\n)*{opening.text}/"]


def _json_union(tools: Sequence[ToolSpec], style: CallStyle) -> str:
    members = [_call_schema(tool) for tool in offered_tools(tools, style)]
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
