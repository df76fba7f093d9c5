"""The reply so far, from output that is still being written. Pure; parse.py reads whole outputs.

Never shows half a call, nor the reasoning before an answer, nor what may yet turn out to be either.
"""

import json
import re

from agent.model import Prompt
from agent.models.parse import CALL_OPEN, THINK_CLOSE, THINK_OPEN
from agent.models.transcript import SEND_MESSAGE, CallStyle

_SAYS = re.compile(
    r'\s*\{\s*"name"\s*:\s*"' + SEND_MESSAGE + r'"\s*,\s*"arguments"\s*:\s*\{\s*"message"\s*:\s*"'
)
_ESCAPE_CHARS = 12  # the longest: a character beyond 16 bits, as two escapes of six


def partial_reply(text: str, prompt: Prompt, style: CallStyle) -> str:
    """Give what can be shown of the reply; empty while there is nothing, or it is a call.

    Later texts of one output begin with earlier ones, but for reasoning that does not say so at its
    beginning: what was shown of it goes away when it ends.
    """
    if style == "json" and prompt.tools:
        return _message_so_far(text)
    return _native_so_far(text)


def _native_so_far(text: str) -> str:
    said, opened, _ = text.partition(CALL_OPEN)
    _, closed, answer = said.rpartition(THINK_CLOSE)
    if not closed and said.lstrip().startswith(THINK_OPEN):
        return ""
    said = answer
    if not opened:
        for marker in (CALL_OPEN, THINK_OPEN, THINK_CLOSE):
            said = _without_beginning_of(marker, said)
    return said.strip()


def _without_beginning_of(marker: str, text: str) -> str:
    """Hold back an end that may become a marker."""
    for length in range(min(len(marker) - 1, len(text)), 0, -1):
        if text.endswith(marker[:length]):
            return text[:-length]
    return text


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
