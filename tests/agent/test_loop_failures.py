"""What is left of a turn that fails, and turns that meet each other, the host or a bad message."""

from collections.abc import Sequence

import anyio
import anyio.lowlevel
import numpy as np
import pytest

from agent.errors import ContextTooSmall, InvalidReply, RunCancelled
from agent.live_run import Said
from agent.model import Completion, Malformed, OnText, Parsed, Prompt, Reply
from agent.models.scripted import ScriptedModel
from memory import agents
from memory.embedder import Vectors
from memory.errors import InvalidValue, UnknownAgent
from memory.records import Agent
from memory.store import MemoryStore
from tests.agent.harness import (
    PERSON,
    block_value,
    call,
    calls,
    new_agent,
    remember,
    runs_on,
    said,
    stored_messages,
    turn,
)

TOO_LONG = Malformed("", "cut off by the token limit")


class BrokenEmbedder:
    """Fails on every query, which no search expects: a bug."""

    name, dimensions = "broken", 384

    def embed(self, texts: Sequence[str], kind: str) -> Vectors:
        if kind == "query":
            raise RuntimeError("a bug")
        return np.zeros((len(texts), self.dimensions), np.float32)

    def split(self, text: str) -> list[str]:
        return [text]


async def test_a_bug_in_a_tool_undoes_its_whole_step_and_keeps_the_steps_before() -> None:
    with MemoryStore(None, BrokenEmbedder) as store:
        agent = new_agent(store, "ada")
        broken = calls(
            call("core_memory_append", label="human", content="Likes mate."),
            call("archival_memory_search", query="mate"),
        )
        with pytest.raises(RuntimeError, match="a bug"):
            await turn(store, ScriptedModel([remember("Likes tea."), broken]), "Both.")
        assert block_value(store, agent) == "Name: Sam\nLikes tea."
        assert [role for role, _ in said(store, agent)] == ["user", "assistant", "tool"]
        assert (await turn(store, ScriptedModel([Reply("Yes.")]), "There?")).reply == "Yes."


async def test_the_message_of_a_failed_first_step_is_not_stored(
    store: MemoryStore, agent: Agent
) -> None:
    with pytest.raises(LookupError):
        await turn(store, ScriptedModel([]), "Hello?")
    assert stored_messages(store, agent) == []


@pytest.mark.parametrize("unusable", [TOO_LONG, Reply(" \n"), Reply("a\0b"), Reply("\ud800")])
async def test_unusable_output_is_asked_for_again_with_a_note_that_is_not_stored(
    store: MemoryStore, agent: Agent, unusable: Parsed
) -> None:
    model = ScriptedModel([unusable, Reply("Hello.")])
    assert (await turn(store, model, "Hi!")).reply == "Hello."
    hint = model.prompts[1].messages[-1]
    assert hint.role == "user"
    assert hint.content.startswith("[Your last output could not be used: ")
    assert said(store, agent) == [("user", "Hi!"), ("assistant", "Hello.")]


@pytest.mark.parametrize("unusable", [TOO_LONG, Reply(" \n"), Reply("a\0b"), Reply("\ud800")])
async def test_unusable_output_twice_ends_the_turn_and_stores_nothing(
    store: MemoryStore, agent: Agent, unusable: Parsed
) -> None:
    with pytest.raises(InvalidReply, match="could not be used, twice"):
        await turn(store, ScriptedModel([unusable, unusable]), "Hi!")
    assert stored_messages(store, agent) == []


async def longest_message(store: MemoryStore, context_tokens: int) -> str:
    """A message that leaves no room beside it, from the numbers of one that is too long."""
    model = ScriptedModel([], context_tokens=context_tokens)
    with pytest.raises(ContextTooSmall) as caught:
        await turn(store, model, "x" * 40_000)
    return "x" * (40_000 - 4 * (caught.value.needed_tokens - caught.value.budget_tokens))


async def test_a_note_that_finds_no_room_ends_the_turn_as_unusable(
    store: MemoryStore, agent: Agent
) -> None:
    longest = await longest_message(store, 2_048)
    with pytest.raises(InvalidReply, match="cut off by the token limit"):
        await turn(store, ScriptedModel([TOO_LONG], context_tokens=2_048), longest)


async def test_cancelling_while_the_model_thinks_stores_nothing_and_the_next_turn_works(
    store: MemoryStore, agent: Agent
) -> None:
    model = Thinking()
    runs = runs_on(store, model)
    async with anyio.create_task_group() as group:
        group.start_soon(runs.message, Said("ada", "Hello?", "person:test"))
        await model.asked.wait()
        group.cancel_scope.cancel()
    assert stored_messages(store, agent) == []
    model.answer.set()
    assert (await runs.message(Said("ada", "Hello?", "person:test"))).reply == "Done."


class Thinking(ScriptedModel):
    """Answers "Done." once it is told to; counts how many are asked at once."""

    def __init__(self) -> None:
        super().__init__(lambda prompt: Reply("Done."))
        self.asked, self.answer = anyio.Event(), anyio.Event()
        self.at_once = self.most_at_once = 0

    async def complete(
        self, prompt: Prompt, max_tokens: int, on_text: OnText | None = None
    ) -> Completion:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.asked.set()
        try:
            await self.answer.wait()
            await anyio.lowlevel.checkpoint()
            return await super().complete(prompt, max_tokens, on_text)
        finally:
            self.at_once -= 1


async def test_two_turns_of_one_agent_run_one_after_the_other(
    store: MemoryStore, agent: Agent
) -> None:
    model = Thinking()
    model.answer.set()
    runs = runs_on(store, model)
    async with anyio.create_task_group() as group:
        for number in range(5):
            group.start_soon(runs.message, Said("ada", f"Message {number}", "person:test"))
    assert model.most_at_once == 1
    assert [role for role, _ in said(store, agent)] == ["user", "assistant"] * 5
    assert [m.sequence for m in stored_messages(store, agent)] == list(range(1, 11))


async def test_turns_of_two_agents_run_side_by_side(store: MemoryStore, agent: Agent) -> None:
    new_agent(store, "grace")
    model = Thinking()
    runs = runs_on(store, model)
    async with anyio.create_task_group() as group:
        group.start_soon(runs.message, Said("ada", "Hello.", "person:test"))
        group.start_soon(runs.message, Said("grace", "Hello.", "person:test"))
        await model.asked.wait()
        while model.at_once < 2:
            await anyio.lowlevel.checkpoint()
        model.answer.set()
    assert model.most_at_once == 2


async def test_what_a_host_changes_while_the_model_thinks_is_not_lost(
    store: MemoryStore, agent: Agent
) -> None:
    def rename(prompt: Prompt) -> Parsed:
        if len(prompt.messages) == 2:
            with store.write(PERSON) as transaction:
                agents.update_agent(transaction, agent, {"system": "Speak in rhymes."})
        return Reply("x" * 400)

    model = ScriptedModel(rename, context_tokens=2_048)
    for _ in range(4):
        await turn(store, model, "Hello.")
    assert model.prompts[-1].messages[0].content.startswith("Speak in rhymes.")


async def test_an_agent_deleted_while_its_model_thinks_leaves_nothing_behind(
    store: MemoryStore, agent: Agent
) -> None:
    def delete(prompt: Prompt) -> Parsed:
        with store.write(PERSON) as transaction:
            agents.delete_agent(transaction, agent)
        return Reply("Hello.")

    with pytest.raises(RunCancelled, match="its agent was deleted"):
        await turn(store, ScriptedModel(delete), "Hello.")
    assert stored_messages(store, agent) == []


# Bad messages


async def test_an_absent_agent_is_named_with_those_that_exist(
    store: MemoryStore, agent: Agent
) -> None:
    with pytest.raises(UnknownAgent, match="no agent 'bob'; agents: ada"):
        await turn(store, ScriptedModel([]), "Hello.", agent="bob")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "message is empty"),
        (" \n\t", "message is empty"),
        ("a\0b", "message holds a NUL character at position 1; remove it"),
        ("a\ud800", "lone surrogate .* at position 1, which is no character"),
        ("x" * 1_000_000, "has 1000000 characters, 900000 over the limit"),
    ],
)
async def test_a_message_that_cannot_be_stored_is_refused_before_the_model_is_asked(
    store: MemoryStore, agent: Agent, text: str, told: str
) -> None:
    with pytest.raises(InvalidValue, match=told):
        await turn(store, ScriptedModel([]), text)
    assert stored_messages(store, agent) == []


async def test_a_message_longer_than_the_window_is_refused_with_both_numbers(
    store: MemoryStore, agent: Agent
) -> None:
    with pytest.raises(ContextTooSmall) as caught:
        await turn(store, ScriptedModel([Reply("never")]), "word " * 20_000)
    assert caught.value.needed_tokens > 25_000 > caught.value.budget_tokens
    assert stored_messages(store, agent) == []
