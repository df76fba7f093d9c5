"""What leaves a window that is full, as laws over any history, any room and every mode."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from agent.compaction import TRIGGER_SHARE, Cut, cut, is_due
from agent.compiling import with_view
from agent.model import ChatMessage
from agent.settings import CompactionMode, CompactionSettings
from agent.window import Clipping, messages_of, read_turns, tokens_of
from memory.records import AgentState, Message, View
from memory.working_set import MAX_WINDOW_MESSAGES
from tests.agent.histories import History, histories, numbers, state, step_ends

WHOLE = Clipping(1_000)
modes: st.SearchStrategy[CompactionMode] = st.sampled_from(
    ["sliding_window", "all", "self_compact_sliding_window", "self_compact_all"]
)
made = st.builds(CompactionSettings, mode=modes, keep_share=st.floats(0, 0.9))
rooms = st.integers(0, 1_500)
SLIDING = CompactionSettings()


def count(message: ChatMessage) -> int:
    """Four tokens around each message and each call; a token for each character."""
    return len(message.content) + 4 * (1 + len(message.tool_calls))


def cut_of(given_state: AgentState, room: int, settings: CompactionSettings) -> Cut | None:
    return cut(given_state, read_turns(given_state, (), WHOLE), room, settings, count)


def after(given_state: AgentState, found: Cut) -> AgentState:
    view = replace(given_state.agent.view, steps_from=found.steps_from)
    return with_view(given_state, view, found.window_start)


def shown(given_state: AgentState) -> list[int]:
    return numbers(messages_of(read_turns(given_state, (), WHOLE)))


def turns(number: int, size: int = 16) -> History:
    history = History()
    for _ in range(number):
        history.user(size).reply(size)
    return history


# When, and what


def test_it_is_time_before_the_room_is_all_used_so_that_a_summary_has_some() -> None:
    given_state = state(turns(2).messages)
    assert not is_due(given_state, int(1_000 * TRIGGER_SHARE), 1_000)
    assert is_due(given_state, int(1_000 * TRIGGER_SHARE) + 1, 1_000)


def test_half_of_the_window_stays_unless_it_is_set_otherwise() -> None:
    found = cut_of(state(turns(10).messages), 390, SLIDING)
    assert found is not None
    assert 100 < tokens_of(found.kept, count) <= 195
    assert found.window_start == 3 * (21 - 2 * len(found.kept))


def test_all_leave_but_the_newest_turn_where_it_is_set_so() -> None:
    history = turns(10).user().step(10)
    for mode in ("all", "self_compact_all"):
        found = cut_of(state(history.messages), 390, CompactionSettings(mode=mode))
        assert found is not None
        assert numbers(messages_of(found.kept)) == [21, 22, 23]


def test_a_turn_under_way_makes_room_for_several_steps_in_every_mode() -> None:
    history = History().user()
    for _ in range(10):
        history.step(70)
    for mode in ("all", "sliding_window"):
        found = cut_of(state(history.messages), 500, CompactionSettings(mode=mode))
        assert found is not None
        assert tokens_of(found.kept, count) <= 250


def test_nothing_leaves_when_question_and_newest_step_are_all_there_is() -> None:
    assert cut_of(state(History().user(500).step(500).messages), 100, SLIDING) is None


def test_what_leaves_is_told_without_the_notes() -> None:
    history = History().note().user().reply().user().reply().user().reply()
    found = cut_of(state(history.messages), 60, SLIDING)
    assert found is not None
    assert numbers(found.left) == [2, 3]


def test_a_state_that_can_hold_no_more_is_halved_so_that_it_does_not_slide() -> None:
    full = state(turns(MAX_WINDOW_MESSAGES, 1).messages)
    assert is_due(full, 0, 1_000_000)
    found = cut_of(full, 1_000_000, SLIDING)
    assert found is not None
    assert len(messages_of(found.kept)) == MAX_WINDOW_MESSAGES // 2


def test_a_full_state_is_halved_also_when_most_of_it_has_left_already() -> None:
    history = History().user()
    for _ in range(200):
        history.step(1)
    steps_from = history.messages[-8].doc
    for _ in range(49):
        history.user(1).reply(1)
    full = state(history.user(1).messages, view=View(steps_from=steps_from))
    assert len(full.messages) == MAX_WINDOW_MESSAGES
    assert len(shown(full)) < 120
    found = cut_of(full, 1_000_000, SLIDING)
    assert found is not None
    assert len(after(full, found).messages) <= MAX_WINDOW_MESSAGES // 2


# Laws


@given(histories(), rooms, made)
def test_what_stays_and_what_leaves_is_all_there_was_in_its_order(
    messages: list[Message], room: int, settings: CompactionSettings
) -> None:
    before = state(messages)
    found = cut_of(before, room, settings)
    if found is None:
        return
    notes = {message.sequence for message in messages if message.role == "system"}
    kept = [n for n in numbers(messages_of(found.kept)) if n not in notes]
    left = numbers(found.left)
    assert sorted([*kept, *left]) == [n for n in shown(before) if n not in notes]
    assert (kept, left) == (sorted(kept), sorted(left))


@given(histories(), rooms, made)
def test_what_stays_has_room_or_is_the_least_there_can_be(
    messages: list[Message], room: int, settings: CompactionSettings
) -> None:
    given_state = state(messages)
    found = cut_of(given_state, room, settings)
    kept = read_turns(given_state, (), WHOLE) if found is None else list(found.kept)
    least = len(kept) == 1 and len(kept[0]) <= 2
    assert tokens_of(kept, count) <= room or least


@given(histories(), rooms, made)
def test_the_next_prompt_shows_what_stays(
    messages: list[Message], room: int, settings: CompactionSettings
) -> None:
    before = state(messages)
    found = cut_of(before, room, settings)
    if found is None:
        return
    now = after(before, found)
    notes = {message.sequence for message in messages if message.role == "system"}
    kept = [n for n in numbers(messages_of(found.kept)) if n not in notes]
    assert [n for n in shown(now) if n not in notes] == kept
    again = state(messages, now.agent.window_start, now.agent.view)
    assert read_turns(again, (), WHOLE) == read_turns(now, (), WHOLE)


@given(histories(), rooms, made)
def test_what_has_left_does_not_come_back_and_the_window_only_moves_on(
    messages: list[Message], room: int, settings: CompactionSettings
) -> None:
    window_start, view = 0, View()
    gone = set[int]()
    for end in step_ends(messages):
        now = state(messages[:end], window_start, view)
        assert not gone & set(shown(now))
        used = tokens_of(read_turns(now, (), WHOLE), count)
        found = cut_of(now, room, settings) if is_due(now, used, room) else None
        if found is not None:
            gone |= set(numbers(found.left))
            assert found.window_start >= window_start
            window_start = found.window_start
            view = replace(view, steps_from=found.steps_from)


@given(histories(), rooms, made)
def test_a_prompt_begins_with_the_user_and_holds_their_last_message(
    messages: list[Message], room: int, settings: CompactionSettings
) -> None:
    now = state(messages)
    found = cut_of(now, room, settings)
    kept = messages_of(read_turns(now if found is None else after(now, found), (), WHOLE))
    assert kept[0].role == "user"
    last = max(message.sequence for message in messages if message.role == "user")
    assert last in numbers(kept)
    assert kept[-1].content == messages[-1].content or messages[-1].role == "user"
