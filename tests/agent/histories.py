"""Conversations for tests, as the store gives them to the compiler.

The content of each message begins with its number, so that a test sees which are shown.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import strategies as st

from agent.model import ChatMessage
from memory.records import Agent, AgentState, Block, Message, MessageRole, ToolCall, View
from memory.working_set import MAX_WINDOW_MESSAGES

NOW = datetime(2026, 3, 31, tzinfo=UTC)
AGENT = Agent(
    1, "agent-1", "ada", "", "", "UTC", None, (), 2, window_start=0, created_at=NOW, updated_at=NOW
)


class History:
    """Messages as they are stored, in the order they are said."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    def note(self, size: int = 10) -> "History":
        return self._add("system", size)

    def user(self, size: int = 10) -> "History":
        return self._add("user", size)

    def reply(self, size: int = 10) -> "History":
        return self._add("assistant", size)

    def step(self, *result_sizes: int) -> "History":
        number = len(self.messages)
        uses = tuple(
            ToolCall(f"call-{number}-{i}", "archival_memory_search", {})
            for i, _ in enumerate(result_sizes)
        )
        self._add("assistant", 0, uses)
        for use, size in zip(uses, result_sizes, strict=True):
            self._add("tool", size, tool_call_id=use.id)
        return self

    def _add(
        self,
        role: MessageRole,
        size: int,
        uses: tuple[ToolCall, ...] = (),
        tool_call_id: str | None = None,
    ) -> "History":
        number = len(self.messages) + 1
        self.messages.append(
            Message(
                doc=3 * number,
                id=f"message-{number}",
                role=role,
                content=f"{number}".ljust(size, "."),
                tool_calls=uses,
                tool_call_id=tool_call_id,
                turn_id="turn-1",
                sequence=number,
                created_at=NOW,
            )
        )
        return self


def state(
    messages: Sequence[Message],
    window_start: int = 0,
    view: View | None = None,
    blocks: Sequence[Block] = (),
) -> AgentState:
    """What the store gives: the agent and the messages of its window."""
    inside = tuple(message for message in messages if message.doc >= window_start)
    agent = replace(AGENT, window_start=window_start, view=view or View())
    return AgentState(agent, tuple(blocks), inside[-MAX_WINDOW_MESSAGES:], len(messages))


def numbers(messages: Iterable[ChatMessage]) -> list[int]:
    """The numbers of the messages that are shown, in their order."""
    return [int(number) for message in messages for number in re.findall(r"\d+", message.content)]


@st.composite
def histories(draw: st.DrawFn) -> list[Message]:
    """Turns as they are stored: complete ones, ended ones, and perhaps one that is under way."""
    history = History()
    sizes = st.integers(0, 120)
    for _ in range(draw(st.integers(1, 8))):
        if draw(st.integers(0, 3)) == 0:
            history.note(draw(sizes))
        history.user(draw(sizes))
        for results in draw(st.lists(st.lists(sizes, min_size=1, max_size=3), max_size=5)):
            history.step(*results)
        if draw(st.booleans()):
            history.reply(draw(sizes))
    return history.messages


def step_ends(messages: Sequence[Message]) -> list[int]:
    """After how many messages a step was stored, whole; a new user message comes with its first."""
    ends = []
    for end in range(1, len(messages) + 1):
        last, following = messages[end - 1], messages[end : end + 1]
        in_step = bool(last.tool_calls) or (bool(following) and following[0].role == "tool")
        if not in_step and last.role in ("assistant", "tool"):
            ends.append(end)
    return ends
