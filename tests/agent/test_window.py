"""What a prompt shows of a conversation, and how."""

import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.context import chat_message
from agent.model import ChatMessage
from agent.window import (
    Clipping,
    Turn,
    clipped,
    messages_of,
    newest_results,
    newest_turns,
    read_turns,
    tokens_of,
)
from memory.records import AgentState, Message, NewMessage, View
from tests.agent.histories import History, histories, numbers, state

WHOLE = Clipping(1_000)


def count(message: ChatMessage) -> int:
    """Four tokens around each message and each call; a token for each character."""
    return len(message.content) + 4 * (1 + len(message.tool_calls))


def shown(turns: Sequence[Turn]) -> list[int]:
    return numbers(messages_of(turns))


# What is shown


def test_all_messages_of_the_window_are_shown_in_their_order() -> None:
    history = History().user().step(20, 5).reply().user().reply()
    turns = read_turns(state(history.messages), (), WHOLE)
    assert messages_of(turns) == tuple(map(chat_message, history.messages))
    assert [len(turn) for turn in turns] == [3, 2]
    assert [part.doc for turn in turns for part in turn] == [3, 6, 15, 18, 21]


def test_new_messages_stand_last() -> None:
    new = [NewMessage("system", "3"), NewMessage("user", "4")]
    turns = read_turns(state(History().user().reply().messages), new, WHOLE)
    assert shown(turns) == [1, 2, 3, 4]
    assert turns[-1][0].doc == 0


def test_what_comes_before_the_first_user_message_is_left_out() -> None:
    history = History().reply().step(10).user().reply()
    assert shown(read_turns(state(history.messages), (), WHOLE)) == [4, 5]


def test_a_result_whose_call_is_gone_is_left_out() -> None:
    history = History().user().step(10).reply()
    without_call = [message for message in history.messages if not message.tool_calls]
    assert shown(read_turns(state(without_call), (), WHOLE)) == [1, 4]


def test_steps_that_have_left_the_first_turn_stay_out_of_it() -> None:
    history = History().user().step(10).step(10).reply().user().step(10)
    seen = state(history.messages, view=View(steps_from=history.messages[3].doc))
    assert shown(read_turns(seen, (), WHOLE)) == [1, 4, 5, 6, 7, 8, 9]


def test_a_note_stands_before_the_users_words_in_one_message() -> None:
    history = History().note().user().reply()
    ((question, _),) = read_turns(state(history.messages), (), WHOLE)
    assert question.messages == (ChatMessage("user", "1.........\n\n2........."),)
    assert question.said == (ChatMessage("user", "2........."),)


def test_a_note_of_what_the_head_tells_by_now_is_left_out() -> None:
    history = History().note().user().reply().note().user().reply()
    told = state(history.messages, view=View(notes_from=history.messages[3].doc))
    assert shown(read_turns(told, (), WHOLE)) == [2, 3, 4, 5, 6]


# Long results


def of_results(given_state: AgentState, clipping: Clipping) -> list[str]:
    messages = messages_of(read_turns(given_state, (), clipping))
    return [message.content for message in messages if message.role == "tool"]


def test_a_long_result_is_shown_shorter_and_says_how_to_see_more() -> None:
    long = state(History().user().step(500, 90).messages)
    (short, whole) = of_results(long, Clipping(100))
    assert (len(short), len(whole)) == (100, 90)
    assert short.endswith("\n[445 more characters; ask for fewer results]")


def test_an_agent_that_can_read_on_is_told_where() -> None:
    (short,) = of_results(state(History().user().step(500).messages), Clipping(100, reads_on=True))
    told = re.search(
        r"\n\[(\d+) more characters; message_read with number 3 and start (\d+) shows them\]$",
        short,
    )
    assert told
    assert short.startswith("3" + "." * (int(told[2]) - 1) + "\n[")
    assert int(told[1]) + int(told[2]) == 500


def test_a_result_that_was_shown_shorter_than_others_stays_so() -> None:
    history = History().user().step(500, 500).reply()
    view = View(clipped={str(history.messages[3].doc): 120})
    given_state = state(history.messages, view=view)
    assert [len(text) for text in of_results(given_state, Clipping(300))] == [300, 120]


def test_what_is_said_is_never_shown_shorter() -> None:
    history = History().user(500).reply(500)
    messages = messages_of(read_turns(state(history.messages), (), Clipping(100)))
    assert [len(message.content) for message in messages] == [500, 500]


def test_the_newest_results_are_those_of_a_step_that_nothing_follows() -> None:
    history = History().user().step(10).step(10, 10)
    assert newest_results(state(history.messages)) == tuple(history.messages[-2:])
    history.reply()
    assert newest_results(state(history.messages)) == ()


@given(st.text(max_size=2_000), st.integers(100, 3_000), st.booleans())
def test_a_clipped_text_has_room_and_tells_exactly_what_is_missing(
    text: str, max_chars: int, reads_on: bool
) -> None:
    more = "x with start {start} shows them" if reads_on else "ask for fewer results"
    short = clipped(text, max_chars, more)
    if len(text) <= max_chars:
        assert short == text
        return
    assert len(short) <= max_chars
    beginning, _, note = short.rpartition("\n[")
    assert text.startswith(beginning)
    assert note.startswith(f"{len(text) - len(beginning)} more characters; ")
    assert f"start {len(beginning)} " in note or not reads_on


# Which turns go


@pytest.mark.parametrize(
    ("history", "room", "target", "kept"),
    [
        (History().user(16).reply(16).user(16).reply(16).user(16).reply(16), 90, 90, [3, 4, 5, 6]),
        # The turn before the last stays whole while there is room, whatever the target.
        (History().user().reply().user(16).step(200).reply(16).user(16), 300, 150, [3, 4, 5, 6, 7]),
        # Of one that is too long the answer stays with its question.
        (History().user(16).step(200).reply(16).user(60), 300, 150, [1, 4, 5]),
        # A long turn loses its oldest steps and never its question.
        (History().user(16).step(72).step(72).step(72).step(72), 300, 200, [1, 6, 7, 8, 9]),
        (History().user(16).step(72).step(72).step(999), 300, 200, [1, 6, 7]),
    ],
)
def test_the_oldest_go_first(history: History, room: int, target: int, kept: list[int]) -> None:
    turns = read_turns(state(history.messages), (), WHOLE)
    assert shown(newest_turns(turns, room, target, count)) == kept


@given(histories(), st.integers(0, 1_500), st.integers(0, 1_500))
def test_what_stays_fits_or_is_the_last_question_with_the_newest_step(
    messages: list[Message], room: int, below: int
) -> None:
    turns = read_turns(state(messages), (), WHOLE)
    kept = newest_turns(turns, room, min(room, below), count)
    assert tokens_of(kept, count) <= room or (len(kept) == 1 and len(kept[0]) <= 2)
    assert kept[-1][-1] == turns[-1][-1]
    assert kept[-1][0] == turns[-1][0]
    numbers_kept = shown(kept)
    assert numbers_kept == sorted(numbers_kept)


@given(histories(), st.integers(0, 1_500))
def test_calls_and_results_are_never_parted(messages: list[Message], room: int) -> None:
    kept = newest_turns(read_turns(state(messages), (), WHOLE), room, room // 2, count)
    made: list[str] = []
    for message in messages_of(kept):
        if message.role == "tool":
            assert message.tool_call_id == made.pop(0)
        else:
            assert made == []
            made = [call.id for call in message.tool_calls]
    assert made == []


@given(histories())
def test_reading_is_a_function_of_the_state(messages: list[Message]) -> None:
    assert read_turns(state(messages), (), WHOLE) == read_turns(state(messages), (), WHOLE)
