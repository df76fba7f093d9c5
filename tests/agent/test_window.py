"""Which messages a prompt holds, as laws over any history and any window."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.context import chat_message
from agent.errors import ContextTooSmall
from agent.model import ChatMessage
from agent.window import KEPT_SHARE, Window, fit_window, with_shorter_results
from memory.records import Message, NewMessage
from memory.working_set import MAX_WINDOW_MESSAGES
from tests.agent.histories import History, histories, state


def count(message: ChatMessage) -> int:
    """Four tokens around each message and each call; a token for each character."""
    return len(message.content) + 4 * (1 + len(message.tool_calls))


def fit(messages: Sequence[Message], budget: int, window_start: int = 0) -> Window:
    return fit_window(state(messages, window_start), (), 0, budget, count)


def shown(window: Window) -> list[int]:
    """The numbers of the messages in a window."""
    return [int(message.content.rstrip(".")) for message in window.messages]


# What is kept and what leaves


def test_everything_is_there_while_it_fits() -> None:
    history = History().user().step(20).reply().user().reply()
    window = fit(history.messages, 1_000)
    assert list(window.messages) == [chat_message(message) for message in history.messages]
    assert window.window_start == 0
    assert window.tokens == sum(count(message) for message in window.messages)


def test_new_messages_stand_last_and_leave_the_window_where_it_is() -> None:
    history = History().user().reply()
    window = fit_window(state(history.messages), [NewMessage("user", "3")], 0, 1_000, count)
    assert shown(window) == [1, 2, 3]
    assert window.window_start == 0


def test_the_head_counts() -> None:
    history = History().user(10).reply(10)
    window = fit_window(state(history.messages), (), 500, 528, count)
    assert window.tokens == 528
    with pytest.raises(ContextTooSmall) as caught:
        fit_window(state(history.messages), (), 501, 528, count)
    assert (caught.value.needed_tokens, caught.value.budget_tokens) == (529, 528)


def test_the_oldest_turns_leave_first_and_make_room_for_several_more() -> None:
    history = History()
    for _ in range(10):
        history.user(16).reply(16)
    window = fit(history.messages, 390)
    assert window.tokens <= 390 * KEPT_SHARE
    assert shown(window) == list(range(21 - len(window.messages), 21))
    assert window.window_start == history.messages[20 - len(window.messages)].doc
    again = History()
    again.messages = list(history.messages)
    again.user(16).reply(16)
    later = fit(again.messages, 390, window.window_start)
    assert later.messages[: len(window.messages)] == window.messages


def test_the_turn_before_the_last_stays_whole_while_it_can() -> None:
    history = History().user().reply().user(16).step(200).reply(16).user(16)
    window = fit(history.messages, 300)
    assert shown(window) == [3, 4, 5, 6, 7]
    assert window.tokens > 300 * KEPT_SHARE


def test_of_a_turn_before_the_last_that_is_too_long_the_answer_stays_with_its_question() -> None:
    history = History().user(16).step(200).reply(16).user(60)
    window = fit(history.messages, 300)
    assert shown(window) == [1, 4, 5]


def test_a_long_turn_loses_its_oldest_steps_and_never_its_question() -> None:
    history = History().user(16)
    for _ in range(10):
        history.step(72)
    window = fit(history.messages, 300)
    assert shown(window) == [1, 18, 19, 20, 21]
    assert window.window_start == 0


def test_what_comes_before_the_first_question_is_left_out() -> None:
    history = History().reply().step(10).user().reply()
    assert shown(fit(history.messages, 1_000)) == [4, 5]


def test_a_result_whose_call_is_gone_is_left_out() -> None:
    history = History().user().step(10).reply()
    without_call = [message for message in history.messages if not message.tool_calls]
    assert shown(fit(without_call, 1_000)) == [1, 4]


def test_a_state_that_can_hold_no_more_is_halved_so_that_it_does_not_slide() -> None:
    history = History()
    for _ in range(MAX_WINDOW_MESSAGES):
        history.user(1).reply(1)
    window = fit(history.messages, 1_000_000)
    assert len(window.messages) == MAX_WINDOW_MESSAGES // 2
    history.user(1).reply(1)
    later = fit(history.messages, 1_000_000, window.window_start)
    assert later.messages[:-2] == window.messages


def test_results_are_shortened_in_the_newest_step_only() -> None:
    history = History().user().step(100).reply().user().step(100, 100)
    shorter = with_shorter_results(state(history.messages), lambda text: text[:10])
    assert [len(message.content) for message in shorter.messages if message.role == "tool"] == [
        100,
        10,
        10,
    ]


def test_nothing_is_shortened_when_the_newest_message_is_no_result() -> None:
    given_state = state(History().user().step(100).reply().messages)
    assert with_shorter_results(given_state, lambda text: "") == given_state


# Laws


budgets = st.integers(60, 1_500)


def least(messages: Sequence[Message]) -> int:
    """Tokens of the last user message and the newest step, counted from the back."""
    tokens = 0
    newest = list(messages)
    while newest and newest[-1].role == "tool":
        tokens += count(chat_message(newest.pop()))
    tokens += count(chat_message(newest.pop()))
    questions = [message for message in newest if message.role == "user"]
    if messages[-1].role != "user":
        tokens += count(chat_message(questions[-1]))
    return tokens


@given(histories(), budgets)
def test_it_is_too_small_exactly_when_question_and_newest_step_do_not_fit(
    messages: list[Message], budget: int
) -> None:
    if least(messages) <= budget:
        assert fit(messages, budget).tokens <= budget
    else:
        with pytest.raises(ContextTooSmall):
            fit(messages, budget)


@given(histories(), budgets)
def test_the_prompt_is_a_part_of_the_conversation_in_its_order(
    messages: list[Message], budget: int
) -> None:
    if least(messages) > budget:
        return
    window = fit(messages, budget)
    numbers = shown(window)
    assert numbers == sorted(set(numbers))
    assert [chat_message(messages[number - 1]) for number in numbers] == list(window.messages)
    assert window.tokens == sum(count(message) for message in window.messages)


@given(histories(), budgets)
def test_it_begins_with_a_question_and_ends_with_the_newest_message(
    messages: list[Message], budget: int
) -> None:
    if least(messages) > budget:
        return
    window = fit(messages, budget)
    assert window.messages[0].role == "user"
    last_question = max(m.sequence for m in messages if m.role == "user")
    assert last_question in shown(window)
    assert shown(window)[-1] == messages[-1].sequence


@given(histories(), budgets)
def test_calls_and_results_stay_together(messages: list[Message], budget: int) -> None:
    if least(messages) > budget:
        return
    made: list[str] = []
    for message in fit(messages, budget).messages:
        if message.role == "tool":
            assert message.tool_call_id == made.pop(0)
        else:
            assert made == []
            made = [call.id for call in message.tool_calls]
    assert made == []


@given(histories(), budgets)
def test_after_a_restart_the_window_is_the_same(messages: list[Message], budget: int) -> None:
    if least(messages) > budget:
        return
    before = fit(messages, budget)
    after = fit(messages, budget, before.window_start)
    assert after == before


@given(histories(), budgets)
def test_what_has_left_does_not_come_back_and_the_window_only_moves_on(
    messages: list[Message], budget: int
) -> None:
    start, windows = 0, []
    for end in range(1, len(messages) + 1):
        grown = messages[:end]
        step_ends = end == len(messages) or messages[end].role != "tool"
        if grown[-1].tool_calls or not step_ends:
            continue  # a step is stored whole
        if least(grown) > budget:
            return
        windows.append(fit(grown, budget, start))
        assert windows[-1].window_start >= start
        start = windows[-1].window_start
    for earlier, later in pairwise(windows):
        newest = max(shown(earlier))
        assert {n for n in shown(later) if n <= newest} <= set(shown(earlier))
