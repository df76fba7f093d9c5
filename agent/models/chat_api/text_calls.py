"""Calls that a server left in the text, and what of a text is meant for the user. Pure.

Many servers miss calls: the model writes them as it was trained to, the server passes the text on
as a reply. What parse.py knows is read there; here bare JSON is brought into its form.
"""

import json
import re
from collections.abc import Mapping
from typing import Final

from agent.model import Parsed, Prompt
from agent.models.formats.hermes import CALL_CLOSE, CALL_OPEN
from agent.models.formats.reading import THINK_CLOSE, THINK_OPEN
from agent.models.parse import read_output

_FENCED: Final = re.compile(r"```(?:json)?\s*(.*?)\s*```", re.DOTALL)
_ARGUMENTS: Final = ("arguments", "parameters")
_MARKERS: Final = (CALL_OPEN, THINK_OPEN)


def read_text(text: str, cut: bool, prompt: Prompt) -> Parsed:
    """Read an answer that came as text: a reply, or calls written out."""
    if prompt.tools and (calls := _bare_calls(text, {tool.name for tool in prompt.tools})):
        return read_output(calls, cut, prompt, "hermes")
    return read_output(text, cut, prompt, "hermes")


def said_so_far(text: str, with_tools: bool) -> str:
    """What of an unfinished answer can be shown: no reasoning, no calls, no half of a marker."""
    said, _, _ = text.partition(CALL_OPEN)
    _, closed, answer = said.rpartition(THINK_CLOSE)
    if not closed and answer.lstrip().startswith(THINK_OPEN):
        return ""
    answer = answer.strip()
    if with_tools and answer.startswith(("{", "[", "`")):
        return ""  # perhaps a call
    longest = max(len(marker) for marker in _MARKERS)
    for length in range(min(longest - 1, len(answer)), 0, -1):
        if any(marker.startswith(answer[-length:]) for marker in _MARKERS):
            return answer[:-length].rstrip()
    return answer


def _bare_calls(text: str, tools: set[str]) -> str | None:
    """Calls written as JSON and nothing else, as marked ones; None: this is no such text.

    JSON that names no tool of ours is a reply: agents may be asked for JSON.
    """
    answer = text.rpartition(THINK_CLOSE)[2].strip()
    if fenced := _FENCED.fullmatch(answer):
        answer = fenced[1]
    if not answer.startswith(("{", "[")):
        return None
    try:
        value = json.loads(answer)
    except (ValueError, RecursionError):
        return None
    found = value if isinstance(value, list) else [value]
    calls = [_call(item) for item in found]
    if not calls or any(call is None or call["name"] not in tools for call in calls):
        return None
    return "\n".join(CALL_OPEN + json.dumps(call) + CALL_CLOSE for call in calls)


def _call(value: object) -> dict[str, object] | None:
    if not isinstance(value, Mapping) or not isinstance(value.get("name"), str):
        return None
    for key in _ARGUMENTS:
        if set(value) - {"type", "id"} == {"name", key}:
            return {"name": value["name"], "arguments": value[key]}
    return None
