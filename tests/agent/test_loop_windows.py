"""Turns in windows that fill up: nothing stops working, nothing is lost."""

import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from agent.errors import ContextTooSmall, InvalidReply, ModelCrashed, PromptTooLong
from agent.model import Completion, Malformed, OnText, Parsed, Prompt, Reply
from agent.models.scripted import ScriptedModel
from memory import agents
from memory.records import Agent
from memory.store import MemoryStore
from tests.agent.harness import (
    BLOCKS,
    PERSON,
    call,
    calls,
    new_agent,
    remember,
    stored_events,
    stored_messages,
    turn,
)
from tests.agent.prompts_seen import Watching


class Wordy(ScriptedModel):
    """A model whose template makes more of a prompt than it measures."""

    def __init__(self, answer: Callable[[Prompt], Parsed], more: int, context_tokens: int) -> None:
        super().__init__(answer, context_tokens=context_tokens)
        self._more, self._window, self.refusals = more, context_tokens, 0

    async def complete(
        self, prompt: Prompt, max_tokens: int, on_text: OnText | None = None
    ) -> Completion:
        done = await super().complete(prompt, max_tokens, on_text)
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
    assert all("more characters; " in short for short in shown)


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


def failing(prompt: Prompt) -> Parsed:
    raise ModelCrashed("it was told to")


@pytest.mark.parametrize("mode", ["sliding_window", "all", "self_compact_sliding_window"])
@pytest.mark.parametrize(
    "summary", [failing, lambda _: Reply(""), lambda _: Reply("a\0"), lambda _: Reply("x" * 9_000)]
)
async def test_whatever_becomes_of_a_summary_the_agent_goes_on_and_finds_what_left(
    store: MemoryStore, agent: Agent, mode: str, summary: Callable[[Prompt], Parsed]
) -> None:
    with store.write(PERSON) as transaction:
        agents.update_agent(transaction, agent, {"settings": {"compaction": {"mode": mode}}})
    model = Watching(summary=summary, context_tokens=2_400)
    for number in range(24):
        await turn(store, model, f"Fact {number}: drawer {number} holds item {number}. " * 4)
    assert len(model.summaries) > 1
    (section,) = re.findall("<summary>(.*?)</summary>", model.asked[-1].messages[0].content, re.S)
    assert "holds item" in section
    search = calls(call("conversation_search", query="drawer 0", limit=2))
    last = ScriptedModel([search, Reply("Item 0.")], context_tokens=2_400)
    await turn(store, last, "What is in drawer 0?")
    assert "drawer 0 holds item 0" in last.prompts[-1].messages[-1].content


async def test_a_new_summary_is_made_of_the_old_one_and_each_is_recorded(
    store: MemoryStore, agent: Agent
) -> None:
    given = iter(range(100))
    model = Watching(summary=lambda _: Reply(f"Summary {next(given)}."), context_tokens=2_400)
    for number in range(30):
        await turn(store, model, f"Fact {number}. " * 20)
    events = [e for e in stored_events(store, agent) if e.action == "agent.compact"]
    told = [(event.before or {}, event.after or {}) for event in events]
    assert len(told) == len(model.summaries) > 2
    assert [after["summary"] for _, after in told] == [f"Summary {n}." for n in range(len(told))]
    for (_, earlier), (before, after) in pairwise(told):
        assert before == earlier
        assert after["window_start"] > before["window_start"]
    assert "Summary 0." in model.summaries[1].messages[0].content


async def test_a_model_that_fails_right_after_a_compaction_leaves_an_agent_that_goes_on(
    store: MemoryStore, agent: Agent
) -> None:
    model = Watching(context_tokens=2_400)
    number = 0
    while not model.summaries:
        number += 1
        broken = Watching(failing, context_tokens=2_400)
        with pytest.raises(ModelCrashed):
            await turn(store, broken, f"Fact {number}. " * 20)
        model = broken if broken.summaries else model
        if not model.summaries:
            await turn(store, Watching(context_tokens=2_400), f"Fact {number}. " * 20)
    again = Watching(context_tokens=2_400)
    await turn(store, again, "And now?")
    assert again.asked[0].messages[1:][-1].content == "And now?"
    assert again.asked[0].messages[0] == model.asked[0].messages[0]
    assert again.summaries == []


@pytest.mark.parametrize("end", ["reply", "rule", "failure"])
async def test_a_run_of_an_agent_that_forgets_begins_with_an_empty_window(
    store: MemoryStore, agent: Agent, end: str
) -> None:
    rule = {"type": "exit_loop", "tool_name": "core_memory_append"}
    settings = {"autoclear": True, "tool_rules": [rule] if end == "rule" else []}
    with store.write(PERSON) as transaction:
        agents.update_agent(transaction, agent, {"settings": settings})
    before = len(stored_messages(store, agent))
    if end == "failure":
        with pytest.raises(InvalidReply):
            await turn(store, ScriptedModel([remember("One."), *[Malformed("{", "x")] * 2]), "One.")
    else:
        answer = remember("One.") if end == "rule" else Reply("I see.")
        await turn(store, ScriptedModel([answer]), "One.")
    model = Watching()
    await turn(store, model, "Two.")
    assert [m.content for m in model.asked[0].messages[1:]] == ["Two."]
    assert len(stored_messages(store, agent)) > before + 2
