"""Compaction: when a prompt outgrows the window, the oldest messages leave it for a summary.

It cannot brick an agent: what leaves is decided by counting, the summary falls back to an extract
(summary.py), and nothing leaves recall memory. The head is rendered anew, with core memory as it is
now. What is decided here is pure; compiling.py acts on it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from agent.model import ChatMessage
from agent.settings import CompactionSettings
from agent.window import CountTokens, Turn, newest_turns
from memory.records import AgentState
from memory.working_set import MAX_WINDOW_MESSAGES

TRIGGER_SHARE = 0.9
"""Of the room: so that the model has some left for writing a summary."""


@dataclass(frozen=True, slots=True)
class Cut:
    """What stays and what leaves.

    left: without notes. window_start, steps_from: where the window begins from now on; see
    memory.records.
    """

    kept: tuple[Turn, ...]
    left: tuple[ChatMessage, ...]
    window_start: int
    steps_from: int


def is_due(state: AgentState, used_tokens: int, room: int) -> bool:
    """Whether it is time for messages to leave.

    used_tokens: of all messages; room: tokens for them. A state that can hold no more messages
    loses its oldest with each new one, and so would every prompt.
    """
    return _is_full(state) or used_tokens > room * TRIGGER_SHARE


def cut(
    state: AgentState,
    turns: Sequence[Turn],
    room: int,
    settings: CompactionSettings,
    count: CountTokens,
) -> Cut | None:
    """Decide what leaves; None: nothing can, since the newest turn and step must stay.

    room: tokens that messages may have under the new head.
    """
    target = int(room * settings.keep_share)
    if settings.keeps_some:
        kept = newest_turns(_half_of_full(state, turns), room, target, count)
    else:
        kept = newest_turns(turns[-1:], room, target, count)
    if kept == list(turns) or not kept:
        return None
    staying = {id(part) for turn in kept for part in turn}
    left = [m for turn in turns for part in turn if id(part) not in staying for m in part.said]
    window_start, steps_from = _start(state, turns, kept)
    return Cut(tuple(kept), tuple(left), window_start, steps_from)


def _is_full(state: AgentState) -> bool:
    return len(state.messages) >= MAX_WINDOW_MESSAGES


def _half_of_full(state: AgentState, turns: Sequence[Turn]) -> list[Turn]:
    """The turns; of a full state those that begin in its newer half, or the last one."""
    if not _is_full(state):
        return list(turns)
    half = state.messages[-MAX_WINDOW_MESSAGES // 2].doc
    return [turn for turn in turns if not 0 < turn[0].doc < half] or list(turns[-1:])


def _start(state: AgentState, turns: Sequence[Turn], kept: Sequence[Turn]) -> tuple[int, int]:
    """Where the window begins: doc of its first message, and of its first turn's first step."""
    after_all = state.messages[-1].doc + 1 if state.messages else state.agent.window_start
    question, *steps = kept[0]
    window_start = question.doc or after_all
    before = next(turn for turn in turns if turn[0] is question)
    if len(steps) < len(before) - 1:
        return window_start, steps[0].doc or after_all
    same_turn = before is turns[0]
    return window_start, state.agent.view.steps_from if same_turn else 0
