"""A summary that cannot fail: lines taken from the messages themselves. Pure and deterministic.

For when a model's summary is not wanted, is too slow, or cannot be used. Each user message and each
answer gives the beginning of its first sentence; the newest matter most, and of an earlier summary
some stays.
"""

import re
from collections.abc import Sequence

from agent.model import ChatMessage

LINE_CHARS = 160
EARLIER_SHARE = 0.4
"""Of the room, for what an earlier summary said."""

_SENTENCE_END = re.compile(r"(?<=[.!?\u3002\uff01\uff1f])\s|\n")
_SPEAKERS = {"user": "User", "assistant": "I"}


def extract(earlier: str, messages: Sequence[ChatMessage], max_chars: int) -> str:
    """At most max_chars: the newest lines of an earlier summary, then those of the messages."""
    new = [line for message in messages if (line := _line(message))]
    old = [piece for line in earlier.splitlines() for piece in _pieces(line)]
    kept_new = _newest(new, max_chars - min(len(earlier), int(max_chars * EARLIER_SHARE)))
    used = sum(len(line) + 1 for line in kept_new)
    kept_old = _newest(old, max_chars - used)
    return "\n".join([*kept_old, *kept_new])


def _pieces(line: str) -> list[str]:
    """The sentences of a line, long ones cut, so that some stay when not all can."""
    return [_short(said) for said in _SENTENCE_END.split(line) if said.strip()]


def _line(message: ChatMessage) -> str:
    speaker = _SPEAKERS.get(message.role)
    said = message.content.strip()
    if speaker is None or not said:
        return ""
    first = _SENTENCE_END.split(said, maxsplit=1)[0]
    return f"{speaker}: {_short(first)}"


def _short(said: str) -> str:
    """A text in one line of at most LINE_CHARS."""
    shown = " ".join(said.split())
    return shown if len(shown) <= LINE_CHARS else f"{shown[: LINE_CHARS - 1]}…"


def _newest(lines: Sequence[str], max_chars: int) -> list[str]:
    """The last lines that fit, with a newline for each."""
    kept: list[str] = []
    room = max_chars
    for line in reversed(lines):
        room -= len(line) + 1
        if room < 0:
            break
        kept.insert(0, line)
    return kept
