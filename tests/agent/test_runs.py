"""Runs of one process: in whose turn, stopped at any time, found again, gone on with."""

import anyio
import pytest

from agent.errors import RunCancelled, TurnLimitReached
from agent.live_run import LiveRun
from agent.model import Completion, OnText, Prompt, Reply
from agent.models.scripted import ScriptedModel
from memory import agents, runs
from memory.errors import InvalidValue, KeyReused, UnknownRun
from memory.records import Agent
from memory.store import MemoryStore
from tests.agent import harness
from tests.agent.harness import PERSON, new_agent, remember, stored_messages
from tests.agent.run_words import (
    HeldModel,
    ended,
    process,
    said,
    set_to,
    stored_run,
    stored_steps,
)

# In whose turn


async def test_runs_of_an_agent_go_one_after_another_in_the_order_they_were_asked_for(
    store: MemoryStore, agent: Agent
) -> None:
    model = HeldModel([Reply("1"), Reply("2"), Reply("3")])
    async with process(store, model) as runs:
        lives = [await runs.start(said(text)) for text in ("a", "b", "c")]
        await model.thinks()
        assert [live.place for live in lives] == [0, 1, 2]
        assert [live.run.status for live in lives] == ["running", "queued", "queued"]
        assert model.begun == 1
        model.let_go()
        assert [(await ended(live)).status for live in lives] == ["completed"] * 3
    assert [content for _, content in harness.said(store, agent)] == ["a", "1", "b", "2", "c", "3"]


async def test_agents_do_not_wait_for_each_other(store: MemoryStore, agent: Agent) -> None:
    new_agent(store, "eve")
    model = HeldModel([Reply("1"), Reply("2")])
    async with process(store, model) as runs:
        for name in ("ada", "eve"):
            await runs.start(said("Hi", name))
            await model.thinks()
        assert model.begun == 2
        model.let_go()


async def test_places_move_up_when_one_before_them_leaves(store: MemoryStore, agent: Agent) -> None:
    model = HeldModel([Reply("1"), Reply("3")])
    async with process(store, model) as runs:
        first, second, third = [await runs.start(said(text)) for text in "abc"]
        await model.thinks()
        assert (await runs.cancel(second.run.id)).status == "cancelled"
        assert (third.place, runs.of_agent(agent.id)) == (1, [first, third])
        model.let_go()
        assert (await ended(third)).status == "completed"
    assert [content for _, content in harness.said(store, agent)] == ["a", "1", "c", "3"]
    assert stored_run(store, second.run.id).stop_reason == "cancelled"


# Stopped


async def test_a_run_is_stopped_while_its_model_thinks_and_leaves_nothing_of_the_step(
    store: MemoryStore, agent: Agent
) -> None:
    model = HeldModel([remember("Likes tea."), Reply("Noted."), Reply("Hello.")])
    async with process(store, model) as runs:
        live = await runs.start(said("I like tea."))
        await model.thinks()
        before = store.agent_state("ada")
        stopped = await runs.cancel(live.run.id)
        assert (stopped.status, stopped.stop_reason, model.broken_off) == (
            "cancelled",
            "cancelled",
            1,
        )
        assert stored_messages(store, agent) == []
        assert store.agent_state("ada") == before
        assert stored_run(store, live.run.id) == stopped
        (step,) = stored_steps(store, live.run.id)
        assert step.outcome == "cancelled"
        model.let_go()
        await runs.message(said("There?"))
    assert harness.said(store, agent)[0] == ("user", "There?")


async def test_what_earlier_steps_stored_stays_when_a_later_one_is_stopped(
    store: MemoryStore, agent: Agent
) -> None:
    held = HeldModel([])

    class ThenHeld(ScriptedModel):
        async def complete(
            self, prompt: Prompt, max_tokens: int, on_text: OnText | None = None
        ) -> Completion:
            if prompt.messages[-1].role == "user":
                return await super().complete(prompt, max_tokens, on_text)
            return await held.complete(prompt, max_tokens, on_text)

    async with process(store, ThenHeld([remember("Likes tea.")])) as runs:
        live = await runs.start(said("I like tea."))
        await held.thinks()
        assert stored_run(store, live.run.id).status == "running"
        assert (await runs.cancel(live.run.id)).steps == 1
    assert [role for role, _ in harness.said(store, agent)] == ["user", "assistant", "tool"]


async def test_whoever_sent_the_message_of_a_run_that_is_stopped_is_told(
    store: MemoryStore, agent: Agent
) -> None:
    model = HeldModel([Reply("Hm.")])
    told = list[str]()
    async with process(store, model) as runs:
        live = await runs.prepare(said("Hi"))

        async def send() -> None:
            with pytest.raises(RunCancelled) as caught:
                await runs.take(live)
            told.append(str(caught.value))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(send)
            await model.thinks()
            await runs.cancel(live.run.id)
    assert told == [f"run {live.run.id} was cancelled; what its steps stored is kept"]


@pytest.mark.parametrize("queued", [False, True])
async def test_a_host_that_gives_its_call_up_stops_the_run(
    store: MemoryStore, agent: Agent, queued: bool
) -> None:
    model = HeldModel([Reply("1"), Reply("2")])
    async with process(store, model) as runs:
        if queued:
            before = await runs.start(said("a"))
            await model.thinks()
        live = await runs.prepare(said("b"))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(runs.take, live)
            if queued:
                while live.place != 1:
                    await live.change()
            else:
                await model.thinks()
            tasks.cancel_scope.cancel()
        assert live.is_finished and live not in runs.all()
        assert model.broken_off == (0 if queued else 1)
        assert stored_run(store, live.run.id).status == "cancelled"
        model.let_go()
        if queued:
            assert (await ended(before)).status == "completed"
        assert (await runs.message(said("c"))).run.status == "completed"


async def test_a_run_that_has_ended_stays_as_it_ended(store: MemoryStore, agent: Agent) -> None:
    async with process(store, ScriptedModel([Reply("Hello.")])) as runs:
        live = await runs.message(said("Hi"))
        assert await runs.cancel(live.run.id) == live.run == stored_run(store, live.run.id)
        with pytest.raises(UnknownRun):
            await runs.cancel("run-none")


# Found again


async def test_a_message_that_comes_again_while_its_run_is_in_work_joins_it(
    store: MemoryStore, agent: Agent
) -> None:
    model = HeldModel([Reply("Hello.")])
    replies = list[str]()
    async with process(store, model) as runs:

        async def send() -> None:
            replies.append((await runs.message(said("Hi", run_id="run-1"))).reply)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(send)
            await model.thinks()
            tasks.start_soon(send)
            await anyio.wait_all_tasks_blocked()
            model.let_go()
    assert (replies, model.begun) == (["Hello.", "Hello."], 1)


async def test_whoever_joins_a_run_that_fails_is_told_the_same(
    store: MemoryStore, agent: Agent
) -> None:
    model = HeldModel([])
    told = list[type[Exception]]()
    async with process(store, model) as runs:

        async def send() -> None:
            try:
                await runs.message(said("Hi", run_id="run-1"))
            except LookupError as error:
                told.append(type(error))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(send)
            await model.thinks()
            tasks.start_soon(send)
            await anyio.wait_all_tasks_blocked()
            model.let_go()
    assert told == [LookupError, LookupError]


@pytest.mark.parametrize("background", [False, True])
async def test_a_run_that_ended_is_found_without_a_model(
    store: MemoryStore, agent: Agent, background: bool
) -> None:
    model = ScriptedModel([remember("Likes tea."), Reply("Noted.")])
    async with process(store, model) as runs:
        first = await runs.message(said("I like tea.", run_id="run-1"))
    async with process(store, ScriptedModel([])) as runs:
        send = runs.start if background else runs.message
        again = await send(said("I like tea.", run_id="run-1"))
        found = await runs.find("run-1")
    assert again.run == found.run == first.run
    assert again.reply == found.reply == "Noted."
    assert found.tools_used == first.tools_used == ("core_memory_append",)


@pytest.mark.parametrize("background", [False, True])
async def test_a_run_that_failed_or_was_stopped_goes_on_when_its_message_comes_again(
    store: MemoryStore, agent: Agent, background: bool
) -> None:
    held = HeldModel([])
    async with process(store, ScriptedModel([remember("Likes tea.")])) as runs:
        with pytest.raises(LookupError):
            await runs.message(said("Tea.", run_id="run-1"))
    assert stored_run(store, "run-1").status == "failed"
    async with process(store, held) as runs:
        await runs.start(said("Tea.", run_id="run-1"))
        await held.thinks()
        await runs.cancel("run-1")
    async with process(store, ScriptedModel([Reply("Noted.")])) as runs:
        send = runs.start if background else runs.message
        live = await send(said("Tea.", run_id="run-1"))
        run = await ended(live)
    assert (run.status, run.steps, run.error, run.stop_reason) == ("completed", 2, None, "end_turn")
    assert harness.block_value(store, agent).count("Likes tea.") == 1
    assert [step.outcome for step in stored_steps(store, "run-1")] == [
        "core_memory_append",
        "failed",
        "cancelled",
        "reply",
    ]


async def test_a_run_at_its_limit_of_steps_says_so_again(store: MemoryStore, agent: Agent) -> None:
    set_to(store, agent, max_steps=1)
    async with process(store, ScriptedModel([remember("x")])) as runs:
        for _ in range(2):
            with pytest.raises(TurnLimitReached, match="after 1 steps"):
                await runs.message(said("Hi", run_id="run-1"))
    run = stored_run(store, "run-1")
    assert (run.status, run.stop_reason, run.steps) == ("completed", "max_steps", 1)


async def test_a_key_is_of_one_message_to_one_agent(store: MemoryStore, agent: Agent) -> None:
    new_agent(store, "eve")
    async with process(store, ScriptedModel([Reply("Hello.")])) as runs:
        await runs.message(said("Hi", run_id="run-1"))
        for other in (said("Ho", run_id="run-1"), said("Hi", "eve", run_id="run-1")):
            with pytest.raises(KeyReused):
                await runs.message(other)


async def test_a_run_is_not_there_for_whom_its_agent_is_not(
    store: MemoryStore, agent: Agent
) -> None:
    nobody = frozenset[str]()
    model = HeldModel([Reply("Hello.")])
    async with process(store, model) as runs:
        live = await runs.start(said("Hi"))
        await model.thinks()
        for ask in (runs.find, runs.cancel):
            with pytest.raises(UnknownRun):
                await ask(live.run.id, nobody)
        assert await runs.find(live.run.id, frozenset([agent.id])) is live
        model.let_go()
        await live.finished()
        with pytest.raises(UnknownRun):
            await runs.find(live.run.id, nobody)


# Agents that go meanwhile


async def test_deleting_an_agent_ends_its_runs_at_once_and_no_others(
    store: MemoryStore, agent: Agent
) -> None:
    new_agent(store, "eve")
    model = HeldModel([Reply("Hello.")])
    async with process(store, model) as found:
        other = await found.start(said("Hi", "eve"))
        await model.thinks()
        thinking = await found.start(said("a"))
        await model.thinks()
        queued = await found.start(said("b"))
        with store.write(PERSON) as transaction:
            agents.delete_agent(transaction, agent)
        for live in (thinking, queued):
            run = await ended(live)
            assert (run.status, run.stop_reason) == ("cancelled", "cancelled")
            assert str(live.failure) == f"run {run.id} was cancelled: its agent was deleted"
            with pytest.raises(UnknownRun):
                await found.find(run.id)
        assert (model.begun, model.broken_off) == (2, 1)
        assert found.all() == [other]
        model.let_go()
        assert (await ended(other)).status == "completed"
    with store.read() as reader:
        assert runs.open_runs(reader) == []


async def test_a_message_that_says_nothing_leaves_no_run(store: MemoryStore, agent: Agent) -> None:
    async with process(store, ScriptedModel([])) as found:
        with pytest.raises(InvalidValue, match="message"):
            await found.start(said(" "))
    with store.read() as reader:
        assert runs.list_runs(reader, agent, None, 10) == []


async def test_the_text_of_a_reply_is_seen_as_it_is_written(
    store: MemoryStore, agent: Agent
) -> None:
    seen = list[str]()

    class Writing(ScriptedModel):
        async def complete(
            self, prompt: Prompt, max_tokens: int, on_text: OnText | None = None
        ) -> Completion:
            for text in ("He", "Hello", "Hello."):
                assert on_text is not None
                await on_text(text)
                await anyio.wait_all_tasks_blocked()
            return await super().complete(prompt, max_tokens)

    async with process(store, Writing([Reply("Hello.")])) as found:
        live = LiveRun.new(agent.id, "run-1", "Hi", "host:test")

        async def watch() -> None:
            while not live.is_finished:
                await live.change()
                if live.text and live.text not in seen:
                    seen.append(live.text)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watch)
            await found.take(live)
    assert seen == ["He", "Hello", "Hello."]
    assert (live.text, live.reply) == ("", "Hello.")
