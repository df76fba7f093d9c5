"""Which messages of a conversation a prompt holds, and how they are shown. Pure.

A conversation is read as turns: a user message, with a note before it perhaps, and the steps that
answer it; a step is a message of the assistant with the results of its calls. They stay until they
no longer fit; then a compaction (compaction.py) lets the oldest go, whole turns if possible, steps
of the oldest turn if not. The user message of a turn stays as long as any of its steps, so that a
prompt always begins with a user message. What leaves stays in recall memory.

Until then nothing that was shown changes, so that the next prompt begins with the last one.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from agent.context import chat_message
from agent.model import ChatMessage
from memory.records import AgentState, Message, NewMessage, View

CountTokens = Callable[[ChatMessage], int]
"""Tokens of one message, with what the chat template puts around it."""

MAX_STORED_RESULT_CHARS = 50_000
"""Of a tool's result, in recall memory; what a prompt shows of it depends on the window."""

READ_ON = "message_read"
"""The tool that reads on in a message."""


@dataclass(frozen=True, slots=True)
class Part:
    """A user message or a step.

    doc: of its first message, 0 when it is not stored yet. note: what stands before the user's own
    words in their message.
    """

    messages: tuple[ChatMessage, ...]
    doc: int
    note: str = ""

    @property
    def said(self) -> tuple[ChatMessage, ...]:
        """The messages without the note."""
        if not self.note:
            return self.messages
        first, *rest = self.messages
        return (replace(first, content=first.content.removeprefix(self.note)), *rest)


Turn = tuple[Part, ...]
"""The user message, then the steps."""


@dataclass(frozen=True, slots=True)
class Clipping:
    """How much of a tool's result is shown, unless the view shows less of it.

    reads_on: whether the agent can read on with the tool READ_ON.
    """

    max_chars: int
    reads_on: bool = False


def read_turns(state: AgentState, new: Sequence[NewMessage], clipping: Clipping) -> list[Turn]:
    """Read the window's messages, and new ones that are not stored yet, as turns.

    Left out: what comes before the first user message, results without their call, the steps that a
    compaction took out of the first turn, and notes that tell what is in the head by now.
    """
    view = state.agent.view
    turns: list[list[Part]] = []
    note = ""
    conversation: list[Message | NewMessage] = [*state.messages, *new]
    for message in conversation:
        doc = message.doc if isinstance(message, Message) else 0
        if message.role == "system":
            note = "" if 0 < doc < view.notes_from else f"{message.content}\n\n"
            continue
        shown = _shown(message, view, clipping)
        if message.role == "user":
            said = replace(shown, content=note + shown.content) if note else shown
            turns.append([Part((said,), doc, note)])
            note = ""
        elif turns and message.role == "assistant":
            turns[-1].append(Part((shown,), doc))
        elif turns and turns[-1][-1].messages[0].tool_calls:
            step = turns[-1].pop()
            turns[-1].append(Part((*step.messages, shown), step.doc))
    return [tuple(turn) for turn in _without_left_steps(turns, view.steps_from)]


def messages_of(turns: Iterable[Turn]) -> tuple[ChatMessage, ...]:
    """The messages of turns, in order."""
    return tuple(message for turn in turns for part in turn for message in part.messages)


def tokens_of(turns: Iterable[Turn], count: CountTokens) -> int:
    """Tokens of turns together."""
    return sum(count(message) for message in messages_of(turns))


def newest_turns(turns: Sequence[Turn], room: int, target: int, count: CountTokens) -> list[Turn]:
    """Let the oldest go until the rest has at most `target` tokens.

    While they fit the room, the last two turns stay whole: a follow-up refers to them. What is left
    at least is the newest user message and the newest step, which may still not fit.
    """
    kept = [list(turn) for turn in turns]
    used = tokens_of(turns, count)

    def tokens(parts: Iterable[Part]) -> int:
        return tokens_of([tuple(parts)], count)

    while used > target and len(kept) > 2:
        used -= tokens(kept.pop(0))
    if used > room:
        while used > target and len(kept) > 1:
            used -= tokens([kept[0].pop(1)] if len(kept[0]) > 2 else kept.pop(0))
    if used > room:
        while used > target and len(kept[0]) > 2:
            used -= tokens([kept[0].pop(1)])
    return [tuple(turn) for turn in kept]


def newest_results(state: AgentState) -> tuple[Message, ...]:
    """The results of the newest step; none when the newest message is no result."""
    position = len(state.messages)
    while position and state.messages[position - 1].role == "tool":
        position -= 1
    return state.messages[position:]


def clipped(text: str, max_chars: int, more: str = "ask for fewer results") -> str:
    """A text no longer than max_chars that says what is missing and what would show it.

    more: may name where to read on as {start}.
    """
    if len(text) <= max_chars:
        return text
    # Neither number has more digits than the text's length: the note never exceeds its room.
    room = len(_missing(more, len(text), len(text)))
    kept = max(0, max_chars - room)
    return text[:kept] + _missing(more, len(text) - kept, kept)


def _missing(more: str, count: int, start: int) -> str:
    return f"\n[{count} more characters; {more.replace('{start}', str(start))}]"


def _shown(message: Message | NewMessage, view: View, clipping: Clipping) -> ChatMessage:
    shown = chat_message(message)
    if message.role != "tool" or not isinstance(message, Message):
        return shown
    max_chars = view.clipped.get(str(message.doc), clipping.max_chars)
    if len(message.content) <= max_chars:
        return shown
    more = "ask for fewer results"
    if clipping.reads_on:
        more = f"{READ_ON} with number {message.sequence} and start {{start}} shows them"
    return replace(shown, content=clipped(message.content, max_chars, more))


def _without_left_steps(turns: list[list[Part]], steps_from: int) -> list[list[Part]]:
    if not turns or not steps_from:
        return turns
    question, *steps = turns[0]
    return [[question, *(part for part in steps if not 0 < part.doc < steps_from)], *turns[1:]]
