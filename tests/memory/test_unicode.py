"""Every column of text gives back what was put in, whatever characters it holds."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from memory import agents, archival, events, recall
from memory.agents import NewAgent
from memory.records import Block, NewMessage, NewPassage, Origin, ToolCall
from memory.transaction import to_json
from tests.memory.given import MemoryOf, filled_texts, texts, words_only_store

any_text = st.text(max_size=30)  # lone surrogates and NULs too
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | any_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(any_text, inner, max_size=3),
    max_leaves=8,
)


@given(json_values)
def test_json_is_valid_unicode_and_gives_the_value_back(value: Any) -> None:
    text = to_json(value)
    text.encode("utf-8")
    assert json.loads(text) == value


@given(
    filled_texts(),
    texts(0),
    st.lists(filled_texts(10).map(str.strip), max_size=3, unique=True),
    st.dictionaries(any_text, json_values, max_size=3),
    texts(1, 20),
)
@settings(max_examples=25)
def test_texts_of_every_kind_come_back_as_they_were(
    text: str, maybe_empty: str, tags: list[str], arguments: dict[str, Any], origin: str
) -> None:
    with words_only_store() as store:
        with store.write(Origin(origin, origin, origin)) as transaction:
            agent = agents.create_agent(
                transaction,
                NewAgent(
                    "Ada", maybe_empty, maybe_empty, tags=tuple(tags), blocks=(Block("b", text),)
                ),
            )
            call = ToolCall("call", "run", arguments)
            said = recall.append_messages(
                transaction,
                agent,
                "turn",
                0,
                [NewMessage("assistant", maybe_empty, (call,)), NewMessage("tool", text, (), text)],
            )
            new = NewPassage(text, tuple(tags), text, text, text)
            (passage,) = archival.insert_passages(transaction, agent, [new])
        memory = MemoryOf(store, agent)
        assert memory.state().agent == agent and list(memory.state().messages) == said
        assert (agent.description, agent.system, agent.tags) == (
            maybe_empty,
            maybe_empty,
            tuple(tags),
        )
        assert memory.block("b").value == text
        with store.read() as reader:
            assert archival.get_passage(reader, agent, passage.id) == passage
            told = events.list_events(reader)
        assert (passage.text, passage.author, passage.session) == (text, text, text)
        assert {(event.actor, event.reason) for event in told} == {(origin, origin)}
        assert told[-1].after == archival.describe(passage)
