"""A turn, from a message to the agent's answer."""

import anyio
import pytest

from agent.errors import TurnLimitReached
from agent.live_run import LiveRun
from agent.model import Malformed, Reply
from agent.models.scripted import ScriptedModel
from memory import agents
from memory.records import Agent, Block, ToolCall
from memory.store import MemoryStore
from tests.agent.harness import (
    PERSON,
    add_block,
    block_value,
    call,
    calls,
    remember,
    runs_on,
    said,
    stored_events,
    stored_messages,
    turn,
)

# What ends a turn and what continues it


async def test_text_ends_the_turn(store: MemoryStore, agent: Agent) -> None:
    done = await turn(store, ScriptedModel([Reply("Hello, Sam.")]), "Hello!")
    assert (done.reply, done.run.steps, done.tools_used) == ("Hello, Sam.", 1, ())
    assert said(store, agent) == [("user", "Hello!"), ("assistant", "Hello, Sam.")]


async def test_a_call_continues_it_and_the_model_sees_the_block_in_its_result(
    store: MemoryStore, agent: Agent
) -> None:
    model = ScriptedModel([remember("Likes tea."), Reply("Noted.")])
    done = await turn(store, model, "I like tea.")
    assert (done.reply, done.run.steps, done.tools_used) == ("Noted.", 2, ("core_memory_append",))
    assert block_value(store, agent) == "Name: Sam\nLikes tea."
    system, *_, result = model.prompts[1].messages
    assert system == model.prompts[0].messages[0]
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


async def test_who_watches_a_run_learns_of_each_stored_step(
    store: MemoryStore, agent: Agent
) -> None:
    model = ScriptedModel([remember("Likes tea."), remember("Likes mate."), Reply("Noted.")])
    live = LiveRun.new(agent.id, "run-1", "Both.", "person:test")
    seen = list[tuple[int, str, int]]()

    async def watch() -> None:
        while not live.is_finished:
            await live.change()
            if live.doing and (live.run.steps, live.doing) not in [s[:2] for s in seen]:
                seen.append((live.run.steps, live.doing, len(stored_messages(store, agent))))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch)
        await runs_on(store, model).take(live)
    assert [step for step, _, _ in seen][:2] == [1, 2]
    assert all(stored >= 1 + 2 * step for step, _, stored in seen[:2])


async def test_tokens_are_summed_over_every_answer_unusable_ones_too(
    store: MemoryStore, agent: Agent
) -> None:
    model = ScriptedModel([Malformed("x" * 40, "no call"), remember("Likes tea."), Reply("Noted.")])
    done = await turn(store, model, "I like tea.")
    assert done.run.steps == 2
    assert done.run.usage.completion_tokens >= 10
    assert done.run.usage.prompt_tokens > 3 * 1_000


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
    with store.write(PERSON) as transaction:
        agents.update_agent(transaction, agent, {"settings": {"max_steps": 2}})
    endless = ScriptedModel(lambda prompt: remember("Likes tea."))
    with pytest.raises(TurnLimitReached):
        await turn(store, endless, "I like tea.")
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
