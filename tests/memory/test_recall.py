"""Messages: a log that only grows, and the window that a turn sees."""

from datetime import timedelta

import pytest

from memory import agents, recall
from memory.errors import InvalidValue
from memory.records import NewMessage, ToolCall, View
from memory.store import MemoryStore
from memory.working_set import MAX_WINDOW_MESSAGES, load_state
from tests.memory.given import MemoryOf


@pytest.fixture
def ada(words_only: MemoryStore) -> MemoryOf:
    return MemoryOf.new_agent(words_only, "Ada")


def loaded(memory: MemoryOf) -> object:
    """The state as it is in the database, whatever was cached."""
    with memory.read() as reader:
        return load_state(reader, agents.find_agent(reader, memory.agent.id))


def test_messages_come_back_as_they_were_said_and_counted_from_one(ada: MemoryOf) -> None:
    call = ToolCall("call-1", "run", {"text": "naïve 𝄞", "half a pair": "\ud83d", "n": [1, None]})
    said = ada.say(
        NewMessage("user", "hello"),
        NewMessage("assistant", "", (call,)),
        NewMessage("tool", "done", tool_call_id="call-1"),
    )
    assert list(ada.state().messages) == said
    with ada.read() as reader:
        assert list(recall.window_messages(reader, ada.agent, 10)) == said
    assert [m.sequence for m in said] == [1, 2, 3] and said[1].tool_calls == (call,)


def test_no_message_is_no_change(ada: MemoryOf) -> None:
    ada.state()
    assert ada.say() == []
    assert ada.state() == loaded(ada)


@pytest.mark.parametrize("text", ["a\0b", "a\ud800b", "x" * 1_000_000])
def test_a_message_that_cannot_be_stored_takes_the_whole_step_back(
    ada: MemoryOf, text: str
) -> None:
    ada.state()
    with pytest.raises(InvalidValue, match="the user message"):
        ada.say("first", text)
    assert ada.state().messages == () and ada.said("first") == []


def test_what_was_said_is_found_and_what_tools_returned_is_not(ada: MemoryOf) -> None:
    ada.say("tea", NewMessage("assistant", "more tea"), NewMessage("tool", "tea", tool_call_id="1"))
    assert sorted(ada.said("tea")) == ["more tea", "tea"]
    assert ada.said("tea", roles=("assistant",)) == ["more tea"]


def test_the_turn_that_searches_does_not_find_itself(ada: MemoryOf) -> None:
    ada.say("tea one")
    asking = ada.say("where is the tea")[0]
    assert ada.said("tea", before_doc=asking.doc) == ["tea one"]


def test_the_newest_messages_are_listed_by_role_and_date(ada: MemoryOf) -> None:
    said = ada.say("one", NewMessage("assistant", "two"), "three")
    now = said[0].created_at
    with ada.read() as reader:

        def newest(since: int | None, until: int | None, *roles: str) -> list[str]:
            first, end = (n if n is None else now + timedelta(seconds=n) for n in (since, until))
            span = recall.Span(first, end)
            found = recall.newest_messages(reader, ada.agent, roles, span, 2)
            return [message.content for message in found]

        assert newest(None, None, "user", "assistant") == ["three", "two"]
        assert newest(0, 1, "user") == ["three", "one"]
        assert newest(1, None, "user") == newest(None, 0, "user") == []
        before = recall.Span(before_doc=said[1].doc)
        assert recall.newest_messages(reader, ada.agent, ["user"], before, 2) == said[:1]


def test_a_window_that_moves_in_the_step_that_writes_holds_what_the_database_holds(
    ada: MemoryOf,
) -> None:
    ada.say("one", "two")
    kept = ada.state().messages[1]
    with ada.write() as transaction:
        recall.append_messages(transaction, ada.agent, "turn-2", 2, [NewMessage("user", "three")])
        agents.set_view(transaction, ada.agent, kept.doc, View())
    assert [m.content for m in ada.state().messages] == ["two", "three"]
    assert ada.state() == loaded(ada)


def test_a_window_that_moves_back_shows_the_older_messages_again(ada: MemoryOf) -> None:
    first, _, third = ada.say("one", "two", "three")
    for start in (third.doc, first.doc):
        with ada.write() as transaction:
            agents.set_view(transaction, ada.agent, start, View())
        assert ada.state() == loaded(ada)
    assert len(ada.state().messages) == 3


def test_a_state_holds_the_newest_messages_of_a_very_long_window(ada: MemoryOf) -> None:
    ada.state()
    ada.say(*(f"message {n}" for n in range(MAX_WINDOW_MESSAGES + 20)))
    assert len(ada.state().messages) == MAX_WINDOW_MESSAGES
    assert ada.state().messages[-1].content == f"message {MAX_WINDOW_MESSAGES + 19}"
    assert ada.state().total_messages == MAX_WINDOW_MESSAGES + 20
    assert ada.state() == loaded(ada)


def test_a_transaction_that_fails_leaves_what_is_cached_as_it_was(ada: MemoryOf) -> None:
    ada.say("one")
    before = ada.state()
    with pytest.raises(ZeroDivisionError), ada.write() as transaction:
        recall.append_messages(transaction, ada.agent, "turn-2", 1, [NewMessage("user", "two")])
        agents.update_agent(transaction, ada.agent, {"description": "other"})
        raise ZeroDivisionError
    assert ada.state() == before == loaded(ada)
    assert ada.said("two") == []
