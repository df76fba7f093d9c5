"""Which messages of a conversation a prompt holds: the newest that fit. Pure.

A conversation is read as turns: a user message and the steps that answer it; a step is a message of
the assistant with the results of its calls. What is oldest leaves first, whole turns if possible,
steps of the oldest turn if not; the user message of a turn stays as long as any of its steps, so
that a prompt always begins with a user message. What leaves stays in recall memory.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from agent.context import chat_message
from agent.errors import ContextTooSmall
from agent.model import ChatMessage
from memory.records import AgentState, NewMessage
from memory.working_set import MAX_WINDOW_MESSAGES

KEPT_SHARE = 0.7
"""When messages must leave, leave at once as many as bring the rest to this share of the room: each
departure costs the whole key-value cache, so they should be rare."""

CountTokens = Callable[[ChatMessage], int]
"""Tokens of one message, with what the chat template puts around it."""


@dataclass(frozen=True, slots=True)
class Window:
    """The messages of one prompt.

    messages: without the system message. window_start: doc of the oldest stored message in it;
    unchanged when nothing left. tokens: of head and messages together.
    """

    messages: tuple[ChatMessage, ...]
    window_start: int
    tokens: int


@dataclass(frozen=True, slots=True)
class _Part:
    """A user message or a step; doc: of its first message, 0 when it is not stored yet."""

    messages: tuple[ChatMessage, ...]
    doc: int
    tokens: int


_Turn = list[_Part]
"""The user message, then the steps."""


def fit_window(
    state: AgentState,
    new: Sequence[NewMessage],
    head_tokens: int,
    budget_tokens: int,
    count: CountTokens,
) -> Window:
    """Choose the messages of the next prompt: the new ones, and the newest stored ones that fit.

    A tool call is never parted from its results, and the last user message is always there. Calling
    again with one message more never brings back what had left.

    Args:
        new: messages of this turn that are not stored yet.
        head_tokens: the rendered system prompt and tools.
        budget_tokens: the window less the room for a reply.

    Raises:
        ContextTooSmall: the head, the last user message and the newest step alone do not fit.
    """
    conversation = [(chat_message(message), message.doc) for message in state.messages]
    conversation += [(chat_message(message), 0) for message in new]
    turns = _turns(conversation, count)
    if len(state.messages) >= MAX_WINDOW_MESSAGES:
        turns = _half_of(turns)
    room = budget_tokens - head_tokens
    used = _tokens(turns)
    if used > room:
        turns = _newest_that_fit(turns, room)
        used = _tokens(turns)
        if used > room:
            raise ContextTooSmall(head_tokens + used, budget_tokens)
    return Window(
        messages=tuple(m for turn in turns for part in turn for m in part.messages),
        window_start=_start(state, turns),
        tokens=head_tokens + used,
    )


def with_shorter_results(state: AgentState, shorten: Callable[[str], str]) -> AgentState:
    """The state with the tool results of its newest step shortened, for a prompt they overfill."""
    messages = list(state.messages)
    for i in range(len(messages) - 1, -1, -1):
        if messages[i].role != "tool":
            break
        messages[i] = replace(messages[i], content=shorten(messages[i].content))
    return replace(state, messages=tuple(messages))


def _turns(conversation: Sequence[tuple[ChatMessage, int]], count: CountTokens) -> list[_Turn]:
    """Read messages as turns.

    Left out: what comes before the first user message, and results without their call.
    """
    turns: list[_Turn] = []
    for message, doc in conversation:
        part = _Part((message,), doc, count(message))
        if message.role == "user":
            turns.append([part])
        elif turns and message.role == "assistant":
            turns[-1].append(part)
        elif turns and turns[-1][-1].messages[0].tool_calls:
            step = turns[-1].pop()
            messages = (*step.messages, message)
            turns[-1].append(_Part(messages, step.doc, step.tokens + part.tokens))
    return turns


def _newest_that_fit(turns: Sequence[_Turn], room: int) -> list[_Turn]:
    """Let the conversation grow part by part, dropping the oldest whenever it outgrows the room.

    Replayed rather than cut at once: so the same messages stay dropped from step to step, which
    keeps the prompt's beginning, and the key-value cache with it.
    """
    kept: list[_Turn] = []
    used = 0
    for turn in turns:
        kept.append([])
        for part in turn:
            kept[-1].append(part)
            used += part.tokens
            if used > room:
                _drop_oldest(kept, room)
                used = _tokens(kept)
    return kept


def _drop_oldest(kept: list[_Turn], room: int) -> None:
    """Drop what is oldest, down to KEPT_SHARE; the newest part and its user message stay."""
    target = room * KEPT_SHARE
    used = _tokens(kept)
    while used > target and len(kept) > 2:
        used -= _tokens([kept.pop(0)])
    if used <= room:  # the last two turns stay whole while they can: a follow-up refers to them
        return
    while used > target and len(kept) > 1:
        gone = [kept[0].pop(1)] if len(kept[0]) > 2 else kept.pop(0)
        used -= _tokens([gone])
    if used <= room:  # the newest turn, too
        return
    while used > target and len(kept[0]) > 2:
        used -= kept[0].pop(1).tokens


def _half_of(turns: list[_Turn]) -> list[_Turn]:
    """The newest turns with at most half the messages that a state can hold.

    A full state loses its oldest message with each new one, and so would every prompt.
    """
    kept: list[_Turn] = []
    messages = 0
    for turn in reversed(turns):
        messages += sum(len(part.messages) for part in turn)
        if kept and messages > MAX_WINDOW_MESSAGES // 2:
            break
        kept.insert(0, turn)
    return kept


def _start(state: AgentState, turns: Sequence[_Turn]) -> int:
    """The doc that the window begins with: moved only when stored messages left."""
    if not state.messages:
        return state.agent.window_start
    first = turns[0][0].doc if turns else 0
    oldest = first or state.messages[-1].doc + 1
    return oldest if oldest > state.messages[0].doc else state.agent.window_start


def _tokens(turns: Sequence[_Turn]) -> int:
    return sum(part.tokens for turn in turns for part in turn)
