"""Compaction: when a prompt outgrows the window, the oldest messages leave it for a summary.

It cannot brick an agent: what leaves is decided by counting, the summary falls back to an extract
(summary.py), and nothing leaves recall memory. The head is rendered anew, with core memory as it is
now. What is decided here is pure; thinking.py acts on it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from agent.model import ChatMessage
from agent.settings import CompactionSettings
from agent.window import Turn, newest_turns, tokens_of
from memory.records import AgentState
from memory.working_set import MAX_WINDOW_MESSAGES

TRIGGER_SHARE = 0.9
"""Of the room: so that the model has some left for writing a summary."""


@dataclass(frozen=True, slots=True)
class Cut:
    """What stays and what leaves.

    window_start, steps_from: where the window begins from now on; see memory.records.
    """

    kept: tuple[Turn, ...]
    left: tuple[ChatMessage, ...]
    window_start: int
    steps_from: int


def is_due(state: AgentState, turns: Sequence[Turn], room: int) -> bool:
    """Whether it is time for messages to leave.

    room: tokens for messages. A state that can hold no more messages loses its oldest with each new
    one, and so would every prompt.
    """
    full = len(state.messages) >= MAX_WINDOW_MESSAGES
    return full or tokens_of(turns) > room * TRIGGER_SHARE


def cut(
    state: AgentState, turns: Sequence[Turn], room: int, settings: CompactionSettings
) -> Cut | None:
    """Decide what leaves; None: nothing can, since the newest turn and step must stay.

    room: tokens that messages may have under the new head.
    """
    whole = settings.mode in ("all", "self_compact_all")
    target = 0 if whole else int(room * settings.keep_share)
    kept = list(turns[-1:]) if whole else newest_turns(_half_of_full(state, turns), room, target)
    if whole and tokens_of(kept) > room:
        kept = newest_turns(kept, room, room)
    if kept == list(turns) or not kept:
        return None
    staying = {id(part) for turn in kept for part in turn}
    left = [m for turn in turns for part in turn if id(part) not in staying for m in part.messages]
    window_start, steps_from = _start(state, turns, kept)
    return Cut(tuple(kept), tuple(left), window_start, steps_from)


def _half_of_full(state: AgentState, turns: Sequence[Turn]) -> list[Turn]:
    """The turns; of a full state the newest with half the messages it can hold."""
    if len(state.messages) < MAX_WINDOW_MESSAGES:
        return list(turns)
    kept: list[Turn] = []
    messages = 0
    for turn in reversed(turns):
        messages += sum(len(part.messages) for part in turn)
        if kept and messages > MAX_WINDOW_MESSAGES // 2:
            break
        kept.insert(0, turn)
    return kept


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
