"""Which messages of a conversation a prompt holds. Pure.

A conversation is read as turns: a user message, with a note before it perhaps, and the steps that
answer it; a step is a message of the assistant with the results of its calls. They stay until they
no longer fit; then a compaction (compaction.py) lets the oldest go, whole turns if possible, steps
of the oldest turn if not. The user message of a turn stays as long as any of its steps, so that a
prompt always begins with a user message. What leaves stays in recall memory.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from agent.context import chat_message
from agent.model import ChatMessage
from memory.records import AgentState, Message, NewMessage

CountTokens = Callable[[ChatMessage], int]
"""Tokens of one message, with what the chat template puts around it."""

MAX_STORED_RESULT_CHARS = 50_000
"""Of a tool's result, in recall memory; what a prompt shows of it depends on the window."""


@dataclass(frozen=True, slots=True)
class Part:
    """A user message or a step; doc: of its first message, 0 when it is not stored yet."""

    messages: tuple[ChatMessage, ...]
    doc: int
    tokens: int


Turn = tuple[Part, ...]
"""The user message, then the steps."""


@dataclass(frozen=True, slots=True)
class Window:
    """The messages of one prompt.

    messages: without the system message. tokens: of head and messages together.
    """

    messages: tuple[ChatMessage, ...]
    tokens: int


@dataclass(frozen=True, slots=True)
class Clipping:
    """How many characters of a tool's result are shown; `newest`: of the newest step's."""

    every: int
    newest: int

    @classmethod
    def of(cls, max_chars: int) -> "Clipping":
        """The same for all."""
        return cls(max_chars, max_chars)


def read_turns(
    state: AgentState, new: Sequence[NewMessage], count: CountTokens, clipping: Clipping
) -> list[Turn]:
    """Read the window's messages, and new ones that are not stored yet, as turns.

    Left out: what comes before the first user message, results without their call, and the steps
    that a compaction took out of the first turn.
    """
    turns: list[list[Part]] = []
    note: ChatMessage | None = None
    conversation: list[Message | NewMessage] = [*state.messages, *new]
    newest = _newest_results(conversation)
    for position, message in enumerate(conversation):
        shown = _shown(message, clipping.newest if position >= newest else clipping.every)
        doc = message.doc if isinstance(message, Message) else 0
        if message.role == "system":
            note = shown
        elif message.role == "user":
            said = shown if note is None else _joined(note, shown)
            turns.append([Part((said,), doc, count(said))])
            note = None
        elif turns and message.role == "assistant":
            turns[-1].append(Part((shown,), doc, count(shown)))
        elif turns and turns[-1][-1].messages[0].tool_calls:
            step = turns[-1].pop()
            turns[-1].append(Part((*step.messages, shown), step.doc, step.tokens + count(shown)))
    return [tuple(turn) for turn in _without_left_steps(turns, state.agent.view.steps_from)]


def shown_messages(
    state: AgentState, new: Sequence[NewMessage], clipping: Clipping
) -> list[ChatMessage]:
    """Every message that read_turns may count, e.g. to have them counted at once."""
    seen: list[ChatMessage] = []

    def note(message: ChatMessage) -> int:
        seen.append(message)
        return 0

    read_turns(state, new, note, clipping)
    return seen


def window_of(turns: Sequence[Turn], head_tokens: int) -> Window:
    """The window that turns make."""
    messages = tuple(message for turn in turns for part in turn for message in part.messages)
    return Window(messages, head_tokens + tokens_of(turns))


def tokens_of(turns: Sequence[Turn]) -> int:
    """Tokens of turns together."""
    return sum(part.tokens for turn in turns for part in turn)


def newest_turns(turns: Sequence[Turn], room: int, target: int) -> list[Turn]:
    """Let the oldest go until the rest has at most `target` tokens.

    While they fit the room, the last two turns stay whole: a follow-up refers to them. What is left
    at least is the newest user message and the newest step, which may still not fit.
    """
    kept = [list(turn) for turn in turns]
    used = tokens_of(turns)
    while used > target and len(kept) > 2:
        used -= sum(part.tokens for part in kept.pop(0))
    if used > room:
        while used > target and len(kept) > 1:
            gone = [kept[0].pop(1)] if len(kept[0]) > 2 else kept.pop(0)
            used -= sum(part.tokens for part in gone)
    if used > room:
        while used > target and len(kept[0]) > 2:
            used -= kept[0].pop(1).tokens
    return [tuple(turn) for turn in kept]


def clipped(text: str, max_chars: int, more: str = "ask for fewer results") -> str:
    """A text no longer than max_chars that says what is missing and what would show it."""
    if len(text) <= max_chars:
        return text
    # The number has no more digits than the text's length: the note never exceeds its room.
    kept = max(0, max_chars - len(_MISSING.format(count=len(text), more=more)))
    return text[:kept] + _MISSING.format(count=len(text) - kept, more=more)


_MISSING = "\n[{count} more characters; {more}]"


def _shown(message: Message | NewMessage, max_chars: int) -> ChatMessage:
    shown = chat_message(message)
    if message.role != "tool" or len(message.content) <= max_chars:
        return shown
    more = "ask for fewer results"
    if isinstance(message, Message):
        more = f"message_read with number {message.sequence} shows them"
    return replace(shown, content=clipped(message.content, max_chars, more))


def _newest_results(conversation: Sequence[Message | NewMessage]) -> int:
    """Where the results of the newest step begin; past the end when it is no step."""
    position = len(conversation)
    while position and conversation[position - 1].role == "tool":
        position -= 1
    return position


def _joined(note: ChatMessage, said: ChatMessage) -> ChatMessage:
    return replace(said, content=f"{note.content}\n\n{said.content}")


def _without_left_steps(turns: list[list[Part]], steps_from: int) -> list[list[Part]]:
    if not turns or not steps_from:
        return turns
    question, *steps = turns[0]
    return [[question, *(part for part in steps if not 0 < part.doc < steps_from)], *turns[1:]]
