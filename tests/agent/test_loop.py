"""A turn, from a message to the agent's answer, and what is left of one that fails."""

from collections.abc import Callable, Sequence
from pathlib import Path

import anyio
import anyio.lowlevel
import numpy as np
import pytest

from agent.errors import ContextTooSmall, InvalidReply, PromptTooLong, TurnLimitReached
from agent.loop import TurnRunner
from agent.model import Completion, Malformed, Parsed, Prompt, Reply, ToolCall
from agent.models.scripted import ScriptedModel
from memory import agents
from memory.embedder import Vectors
from memory.errors import InvalidValue, UnknownAgent
from memory.records import Agent, Block
from memory.store import MemoryStore
from tests.agent.harness import (
    BLOCKS,
    PERSON,
    add_block,
    block_value,
    call,
    calls,
    new_agent,
    remember,
    said,
    silent,
    stored_events,
    stored_messages,
    turn,
)

TOO_LONG = Malformed("", "cut off by the token limit")


# What ends a turn and what continues it


async def test_text_ends_the_turn(store: MemoryStore, agent: Agent) -> None:
    done = await turn(store, ScriptedModel([Reply("Hello, Sam.")]), "Hello!")
    assert (done.reply, done.steps, done.tools_used) == ("Hello, Sam.", 1, ())
    assert said(store, agent) == [("user", "Hello!"), ("assistant", "Hello, Sam.")]


async def test_a_call_continues_it_and_the_model_sees_the_result_and_the_block(
    store: MemoryStore, agent: Agent
) -> None:
    model = ScriptedModel([remember("Likes tea."), Reply("Noted.")])
    done = await turn(store, model, "I like tea.")
    assert (done.reply, done.steps, done.tools_used) == ("Noted.", 2, ("core_memory_append",))
    assert block_value(store, agent) == "Name: Sam\nLikes tea."
    system, *_, result = model.prompts[1].messages
    assert "Name: Sam\nLikes tea." in system.content
    assert result.content == "Memory updated. Block human is now:\nName: Sam\nLikes tea."


async def test_several_calls_of_one_step_run_in_order_and_each_has_its_result(
    store: MemoryStore, agent: Agent
) -> None:
    both = calls(
        call("core_memory_append", label="human", content="Likes tea."),
        call("core_memory_replace", label="human", old_content="tea", new_content="mate"),
    )
    done = await turn(store, ScriptedModel([both, Reply("Noted.")]), "Tea. No, mate!")
    assert done.tools_used == ("core_memory_append", "core_memory_replace")
    assert block_value(store, agent) == "Name: Sam\nLikes mate."
    _, asked, *results, _ = stored_messages(store, agent)
    assert [use.id for use in asked.tool_calls] == [result.tool_call_id for result in results]


async def test_a_search_sees_what_an_edit_before_it_in_the_same_step_stored(
    store: MemoryStore, agent: Agent
) -> None:
    both = calls(
        call("archival_memory_insert", content="The key is under the mat."),
        call("archival_memory_search", query="key"),
    )
    model = ScriptedModel([both, Reply("Under the mat.")])
    await turn(store, model, "Where is the key?")
    assert "The key is under the mat." in model.prompts[1].messages[-1].content


async def test_text_beside_calls_is_stored_with_them_and_can_be_found(
    store: MemoryStore, agent: Agent
) -> None:
    thinking = calls(call("archival_memory_search", query="tea"), text="Let me see, Darjeeling.")
    await turn(store, ScriptedModel([thinking, Reply("Nothing.")]), "What tea?")
    assert ("assistant", "Let me see, Darjeeling.") in said(store, agent)
    search = calls(call("conversation_search", query="Darjeeling"))
    model = ScriptedModel([search, Reply("Yes.")])
    await turn(store, model, "What did you say?")
    assert "assistant: Let me see, Darjeeling." in model.prompts[1].messages[-1].content


async def test_each_stored_step_is_announced(store: MemoryStore, agent: Agent) -> None:
    announced = []

    async def announce(step: int, what: str) -> None:
        announced.append((step, what, len(stored_messages(store, agent))))

    model = ScriptedModel([remember("Likes tea."), remember("Likes mate."), Reply("Noted.")])
    await TurnRunner(store, model).run("ada", "Both.", announce)
    assert announced == [(1, "core_memory_append", 3), (2, "core_memory_append", 5)]


async def test_tokens_are_summed_over_every_answer_unusable_ones_too(
    store: MemoryStore, agent: Agent
) -> None:
    model = ScriptedModel([Malformed("x" * 40, "no call"), remember("Likes tea."), Reply("Noted.")])
    done = await turn(store, model, "I like tea.")
    assert done.steps == 2
    assert done.completion_tokens >= 10
    assert done.prompt_tokens > 3 * 1_000


async def test_a_turn_that_only_calls_ends_at_its_limit_and_keeps_what_it_stored(
    store: MemoryStore, agent: Agent
) -> None:
    model = ScriptedModel(lambda prompt: remember("Likes tea."))
    with pytest.raises(TurnLimitReached, match="after 50 steps; what it stored so far is kept"):
        await turn(store, model, "I like tea.")
    assert block_value(store, agent).count("Likes tea.") == 50
    assert len(stored_messages(store, agent)) == 1 + 50 * 2


async def test_after_such_a_turn_the_history_is_whole_and_the_next_turn_works(
    store: MemoryStore, agent: Agent
) -> None:
    endless = ScriptedModel(lambda prompt: remember("Likes tea."))
    with pytest.raises(TurnLimitReached):
        await TurnRunner(store, endless, max_steps=2).run("ada", "I like tea.", silent)
    model = ScriptedModel([Reply("Yes.")])
    assert (await turn(store, model, "Are you there?")).reply == "Yes."
    roles = [message.role for message in model.prompts[0].messages]
    assert roles == ["system", "user", "assistant", "tool", "assistant", "tool", "user"]


# What a model reads when a call is refused


@pytest.mark.parametrize(
    ("refused", "told"),
    [
        (
            call("core_memory_erase", label="human"),
            "there is no tool 'core_memory_erase'; use core",
        ),
        (call("core_memory_append", label="human"), "content: Field required"),
        (call("core_memory_append", label="human", content="x", mood=1), "mood: Extra inputs"),
        (call("memory_insert", label="human", new_string="x", insert_line="two"), "insert_line: "),
        (
            call("core_memory_append", label="humans", content="x"),
            "it has persona, human, rules, note",
        ),
        (call("core_memory_append", label="rules", content="x"), "block 'rules' is read-only"),
        (call("core_memory_append", label="note", content="x" * 9), "5 over its limit of 10"),
        (call("core_memory_append", label="human", content="a\0b"), "NUL character at position 1"),
        (call("core_memory_append", label="human", content="\ud800"), "lone surrogate (U+D800)"),
        (call("core_memory_append", **{"label": "human", "a\0": 1}), "a\\x00: Extra inputs"),
        (call("memory_replace", label="human", old_string="Tom", new_string=""), "does not hold"),
        (call("archival_memory_search", query=" "), "query is empty"),
        (call("conversation_search", start_date="yesterday"), "'yesterday' is no date"),
    ],
)
async def test_a_refused_call_changes_nothing_and_the_model_reads_why(
    store: MemoryStore, agent: Agent, refused: ToolCall, told: str
) -> None:
    add_block(store, agent, Block("rules", "Be kind.", read_only=True))
    add_block(store, agent, Block("note", "short", limit_chars=10))
    events = stored_events(store, agent)
    model = ScriptedModel([calls(refused), Reply("I could not.")])
    done = await turn(store, model, "Do it.")
    assert done.reply == "I could not."
    result = model.prompts[1].messages[-1]
    assert (result.role, result.content[:7]) == ("tool", "Error: ")
    assert told in result.content
    assert block_value(store, agent) == "Name: Sam"
    assert block_value(store, agent, "rules") == "Be kind."
    assert block_value(store, agent, "note") == "short"
    assert stored_events(store, agent) == events


async def test_a_call_with_an_id_or_name_that_cannot_be_stored_is_answered_all_the_same(
    store: MemoryStore, agent: Agent
) -> None:
    odd = ToolCall("a\0\ud800", "b\0\ud800", {"c\0\ud800": ["\0\ud800"]})
    model = ScriptedModel([calls(odd), Reply("I could not.")])
    assert (await turn(store, model, "Do it.")).reply == "I could not."
    *_, asked, result, _ = stored_messages(store, agent)
    assert result.content.startswith("Error: there is no tool 'b\\x00\\ud800'; use core_memory")
    assert asked.tool_calls[0].id == result.tool_call_id
    assert store.agent_state("ada").messages == tuple(stored_messages(store, agent))


async def test_a_refused_call_does_not_undo_its_neighbours(
    store: MemoryStore, agent: Agent
) -> None:
    step = calls(
        call("core_memory_append", label="human", content="Likes tea."),
        call("core_memory_append", label="nobody", content="Likes milk."),
        call("core_memory_append", label="human", content="Likes mate."),
    )
    await turn(store, ScriptedModel([step, Reply("Noted.")]), "Both.")
    assert block_value(store, agent) == "Name: Sam\nLikes tea.\nLikes mate."


async def test_more_calls_than_a_step_may_have_are_not_run_and_the_model_is_told(
    store: MemoryStore, agent: Agent
) -> None:
    step = calls(*(call("core_memory_append", label="human", content=str(n)) for n in range(10)))
    model = ScriptedModel([step, Reply("Noted.")])
    await turn(store, model, "Count.")
    assert block_value(store, agent) == "Name: Sam\n0\n1\n2\n3\n4\n5\n6\n7"
    assert "[2 more calls of this step were not run; make at most 8 at once]" in (
        model.prompts[1].messages[-1].content
    )


# What a failure leaves behind


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
    runner = TurnRunner(store, model)
    async with anyio.create_task_group() as group:
        group.start_soon(runner.run, "ada", "Hello?", silent)
        await model.asked.wait()
        group.cancel_scope.cancel()
    assert stored_messages(store, agent) == []
    model.answer.set()
    assert (await runner.run("ada", "Hello?", silent)).reply == "Done."


class Thinking(ScriptedModel):
    """Answers "Done." once it is told to; counts how many are asked at once."""

    def __init__(self) -> None:
        super().__init__(lambda prompt: Reply("Done."))
        self.asked, self.answer = anyio.Event(), anyio.Event()
        self.at_once = self.most_at_once = 0

    async def complete(self, prompt: Prompt, max_tokens: int) -> Completion:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.asked.set()
        try:
            await self.answer.wait()
            await anyio.lowlevel.checkpoint()
            return await super().complete(prompt, max_tokens)
        finally:
            self.at_once -= 1


async def test_two_turns_of_one_agent_run_one_after_the_other(
    store: MemoryStore, agent: Agent
) -> None:
    model = Thinking()
    model.answer.set()
    runner = TurnRunner(store, model)
    async with anyio.create_task_group() as group:
        for number in range(5):
            group.start_soon(runner.run, "ada", f"Message {number}", silent)
    assert model.most_at_once == 1
    assert [role for role, _ in said(store, agent)] == ["user", "assistant"] * 5
    assert [m.sequence for m in stored_messages(store, agent)] == list(range(1, 11))


async def test_turns_of_two_agents_run_side_by_side(store: MemoryStore, agent: Agent) -> None:
    new_agent(store, "grace")
    model = Thinking()
    runner = TurnRunner(store, model)
    async with anyio.create_task_group() as group:
        group.start_soon(runner.run, "ada", "Hello.", silent)
        group.start_soon(runner.run, "grace", "Hello.", silent)
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

    with pytest.raises(UnknownAgent):
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


# Who did it


async def test_events_name_the_agent_the_tool_and_the_turn(
    store: MemoryStore, agent: Agent
) -> None:
    await turn(store, ScriptedModel([remember("Likes tea."), Reply("Noted.")]), "I like tea.")
    event = stored_events(store, agent)[-1]
    assert (event.actor, event.reason, event.action) == (
        "agent:ada",
        "core_memory_append",
        "block.update",
    )
    assert event.before is not None and event.before["value"] == "Name: Sam"
    assert event.after is not None and event.after["value"] == "Name: Sam\nLikes tea."


# Windows that fill up


class Wordy(ScriptedModel):
    """A model whose template makes more of a prompt than it measures."""

    def __init__(self, answer: Callable[[Prompt], Parsed], more: int, context_tokens: int) -> None:
        super().__init__(answer, context_tokens=context_tokens)
        self._more, self._window, self.refusals = more, context_tokens, 0

    async def complete(self, prompt: Prompt, max_tokens: int) -> Completion:
        done = await super().complete(prompt, max_tokens)
        tokens = done.prompt_tokens + self._more * len(prompt.messages)
        if tokens > self._window - max_tokens:
            self.refusals += 1
            raise PromptTooLong(tokens, self._window - max_tokens)
        return done


@pytest.mark.parametrize("more", [1, 7, 30])
async def test_a_template_that_adds_more_than_was_measured_costs_messages_not_the_turn(
    store: MemoryStore, agent: Agent, more: int
) -> None:
    model = Wordy(lambda prompt: Reply("Yes, I see."), more, 3_000)
    for number in range(150):
        await turn(store, model, f"This is message {number}.")
    assert model.refusals > 0
    assert len(stored_messages(store, agent)) == 300


async def test_a_template_that_always_adds_too_much_ends_in_an_error_not_in_a_loop(
    store: MemoryStore, agent: Agent
) -> None:
    for number in range(3):
        await turn(store, ScriptedModel([Reply("Yes.")]), f"This is message {number}.")
    model = Wordy(lambda prompt: Reply("Yes."), 10_000, 8_192)
    with pytest.raises(ContextTooSmall):
        await turn(store, model, "Hello?")
    assert 0 < model.refusals < 10


async def longest_message(store: MemoryStore, context_tokens: int) -> str:
    """A message that leaves no room beside it, from the numbers of one that is too long."""
    model = ScriptedModel([], context_tokens=context_tokens)
    with pytest.raises(ContextTooSmall) as caught:
        await turn(store, model, "x" * 40_000)
    return "x" * (40_000 - 4 * (caught.value.needed_tokens - caught.value.budget_tokens))


async def test_results_that_overfill_the_window_are_shown_shorter_and_stored_whole(
    store: MemoryStore, agent: Agent
) -> None:
    for number in range(60):
        archive = calls(
            call("archival_memory_insert", content=f"Note {number}. " + "雨が降る。" * 30)
        )
        await turn(store, ScriptedModel([archive, Reply("Kept.")], context_tokens=8_192), "Keep.")
    found = calls(*(call("archival_memory_search", query="雨 note", top_k=50) for _ in range(6)))
    model = ScriptedModel([found, Reply("Rain.")], context_tokens=4_096)
    assert (await turn(store, model, "What of the rain?")).reply == "Rain."
    shown = [m.content for m in model.prompts[-1].messages if m.role == "tool"][-6:]
    stored = [m.content for m in stored_messages(store, agent) if m.role == "tool"][-6:]
    assert all(len(short) < len(whole) for short, whole in zip(shown, stored, strict=True))
    assert all("more characters; ask for fewer results]" in short for short in shown)


async def test_a_search_inside_a_turn_does_not_find_the_turn_itself(
    store: MemoryStore, agent: Agent
) -> None:
    await turn(store, ScriptedModel([Reply("A fine colour.")]), "I like indigo.")
    searches = [
        calls(call("conversation_search", query="indigo"), text="Indigo, let me look."),
        calls(call("conversation_search", query="indigo")),
        calls(call("conversation_search")),
    ]
    model = ScriptedModel([*searches, Reply("Yes.")])
    await turn(store, model, "Did I speak of indigo?")
    results = [m.content for m in model.prompts[-1].messages if m.role == "tool"]
    assert all("user: I like indigo." in result for result in results)
    assert not any("Did I speak" in r or "let me look" in r for r in results)


async def test_hundreds_of_turns_in_a_small_window_stay_complete_and_searchable(
    store: MemoryStore, agent: Agent
) -> None:
    model = ScriptedModel(lambda prompt: Reply("I see."), context_tokens=2_048)
    for number in range(200):
        await turn(store, model, f"Fact {number}: drawer {number} holds item {number}.")
    assert len(stored_messages(store, agent)) == 400
    search = calls(call("conversation_search", query="drawer 7", limit=3))
    last = ScriptedModel([search, Reply("Item 7.")], context_tokens=2_048)
    await turn(store, last, "What is in drawer 7?")
    assert "Fact 7: drawer 7 holds item 7." in last.prompts[-1].messages[-1].content


async def test_after_a_restart_the_next_prompt_is_what_it_would_have_been(tmp_path: Path) -> None:
    def answer(prompt: Prompt) -> Parsed:
        question = prompt.messages[-1].role == "user" and "7" in prompt.messages[-1].content
        return remember("Sevens.") if question else Reply("I see.")

    with MemoryStore(tmp_path / "stays.duckdb", None) as stays:
        with MemoryStore(tmp_path / "restarts.duckdb", None) as restarts:
            new_agent(stays, "ada", BLOCKS)
            new_agent(restarts, "ada", BLOCKS)
            for number in range(40):
                for store in (stays, restarts):
                    model = ScriptedModel(answer, context_tokens=2_100)
                    await turn(store, model, f"This is message {number} of many.")
        with MemoryStore(tmp_path / "restarts.duckdb", None) as again:
            one, other = (ScriptedModel([Reply("Yes.")], context_tokens=2_100) for _ in "12")
            await turn(stays, one, "And now?")
            await turn(again, other, "And now?")
    assert without_ids(one.prompts[0]) == without_ids(other.prompts[0])


def without_ids(prompt: Prompt) -> list[tuple[str, str]]:
    return [(message.role, message.content) for message in prompt.messages]
