"""Calls that a person must approve: nothing is done before, and nothing waits for ever."""

from datetime import UTC, datetime, timedelta

import anyio
import pytest

from agent.approval import Decision, Pending
from agent.errors import NotWaiting, RunCancelled, RunWaits
from agent.live_run import LiveRun
from agent.model import Parsed, Prompt, Reply
from agent.models.scripted import ScriptedModel
from agent.runs import Runs
from memory import agents
from memory.errors import RunInProgress, UnknownRun
from memory.records import Agent, ToolCall
from memory.runs import open_runs
from memory.store import MemoryStore
from tests.agent import harness
from tests.agent.harness import PERSON, block_value, call, calls, remember, stored_messages
from tests.agent.run_words import (
    ASKS,
    AT_ONCE,
    HeldModel,
    ended,
    process,
    said,
    set_to,
    settled,
    stored_run,
    stored_steps,
)

YES, NO = Decision(True), Decision(False, "not now")


@pytest.fixture
def careful(store: MemoryStore, agent: Agent) -> Agent:
    """Ada, who asks before she appends."""
    set_to(store, agent, tool_rules=[ASKS])
    return agent


async def asked(runs: Runs, text: str = "I like tea.") -> LiveRun:
    live = await runs.message(said(text))
    assert live.run.status == "waiting"
    return live


async def test_a_run_waits_before_anything_is_done_and_says_what_for(
    store: MemoryStore, careful: Agent
) -> None:
    before = datetime.now(UTC)
    model = ScriptedModel([remember("Likes tea.")])
    async with process(store, model) as runs:
        live = await asked(runs)
        (found,) = runs.of_agent(careful.id)
        for run in (live.run, found.run, stored_run(store, live.run.id)):
            assert (run.status, run.stop_reason, run.steps) == ("waiting", "requires_approval", 1)
            assert run.pending is not None
            pending = Pending.from_json(run.pending)
            assert [wanted.name for wanted in pending.calls] == ["core_memory_append"]
            assert timedelta(minutes=59) < pending.until - before < timedelta(minutes=61)
    assert stored_messages(store, careful) == []
    assert block_value(store, careful) == "Name: Sam"
    (step,) = stored_steps(store, live.run.id)
    assert (step.outcome, step.usage) == ("core_memory_append", live.run.usage)


async def test_what_a_person_approves_is_done_and_the_run_goes_on(
    store: MemoryStore, careful: Agent
) -> None:
    async with process(store, ScriptedModel([remember("Likes tea."), Reply("Noted.")])) as runs:
        live = await asked(runs)
        done = await runs.decide(live.run.id, YES)
        assert (done.reply, done.run.steps, done.run.pending) == ("Noted.", 2, None)
        assert runs.all() == []
    assert block_value(store, careful) == "Name: Sam\nLikes tea."
    assert [step.number for step in stored_steps(store, live.run.id)] == [1, 2]


async def test_what_a_person_denies_is_not_done_and_the_model_reads_why(
    store: MemoryStore, careful: Agent
) -> None:
    model = ScriptedModel([remember("Likes tea."), Reply("I see.")])
    async with process(store, model) as runs:
        live = await asked(runs)
        done = await runs.decide(live.run.id, NO)
        assert (done.reply, done.doing) == ("I see.", "denied: core_memory_append")
    told = model.prompts[1].messages[-1]
    assert (told.role, told.content) == (
        "tool",
        "Denied by the person: not now. The call was not made.",
    )
    assert block_value(store, careful) == "Name: Sam"


async def test_one_of_two_calls_can_be_approved_alone(store: MemoryStore, careful: Agent) -> None:
    both = calls(
        ToolCall("call-1", "core_memory_append", {"label": "human", "content": "Tea."}),
        ToolCall("call-2", "core_memory_append", {"label": "human", "content": "Mate."}),
        call("core_memory_replace", label="human", old_content="Sam", new_content="Tom"),
    )
    async with process(store, ScriptedModel([both, Reply("Noted.")])) as runs:
        live = await asked(runs)
        with pytest.raises(NotWaiting, match="with call call-3 waits for no approval"):
            await runs.decide(live.run.id, YES, call_id="call-3")
        await runs.decide(live.run.id, YES, call_id="call-2")
    assert block_value(store, careful) == "Name: Tom\nMate."
    denied = next(m for m in stored_messages(store, careful) if m.tool_call_id == "call-1")
    assert denied.content.startswith("Denied by the person: they decided about another call")


async def test_a_no_holds_also_when_the_rule_is_gone_by_then(
    store: MemoryStore, careful: Agent
) -> None:
    async with process(store, ScriptedModel([remember("Likes tea."), Reply("I see.")])) as runs:
        live = await asked(runs)
        set_to(store, careful, tool_rules=[])
        await runs.decide(live.run.id, NO)
    assert block_value(store, careful) == "Name: Sam"


async def test_each_of_two_steps_is_decided_by_itself(store: MemoryStore, careful: Agent) -> None:
    model = ScriptedModel([remember("Tea."), remember("Tea."), Reply("Noted.")])
    async with process(store, model) as runs:
        live = await asked(runs)
        again = await runs.decide(live.run.id, YES)
        assert (again.run.status, again.run.steps) == ("waiting", 2)
        assert (await runs.decide(live.run.id, NO)).reply == "Noted."
    assert block_value(store, careful) == "Name: Sam\nTea."


async def test_a_yes_to_one_step_is_none_to_the_next(store: MemoryStore, careful: Agent) -> None:
    model = ScriptedModel([remember("Tea."), remember("All of it."), Reply("Noted.")])
    async with process(store, model) as runs:
        live = await asked(runs)
        shown = Decision(True, step=live.run.steps)
        assert (await runs.decide(live.run.id, shown)).run.steps == 2
        with pytest.raises(NotWaiting, match="with step 1"):
            await runs.decide(live.run.id, shown)
        assert stored_run(store, live.run.id).status == "waiting"
    assert block_value(store, careful) == "Name: Sam\nTea."


async def test_an_agent_deleted_while_its_model_wants_to_ask_leaves_no_run_behind(
    store: MemoryStore, careful: Agent
) -> None:
    def delete(prompt: Prompt) -> Parsed:
        with store.write(PERSON) as transaction:
            agents.delete_agent(transaction, careful)
        return remember("Tea.")

    async with process(store, ScriptedModel(delete)) as runs:
        with pytest.raises(RunCancelled, match="its agent was deleted"):
            await runs.message(said("I like tea."))
        assert runs.all() == []
    with store.read() as reader:
        assert open_runs(reader) == []


async def test_only_one_decision_counts(store: MemoryStore, careful: Agent) -> None:
    async with process(store, ScriptedModel([remember("Tea."), Reply("Noted.")])) as runs:
        live = await asked(runs)
        refused = list[str]()

        async def decide(decision: Decision) -> None:
            try:
                await runs.decide(live.run.id, decision)
            except NotWaiting as error:
                refused.append(str(error))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(decide, YES)
            tasks.start_soon(decide, NO)
        (why,) = refused
        assert why.startswith(f"{live.run.id} waits for no approval; it is ")
        with pytest.raises(NotWaiting, match="it is completed: run_get tells what came of it"):
            await runs.decide(live.run.id, NO)
    assert block_value(store, careful) == "Name: Sam\nTea."


async def test_nobody_decides_for_an_agent_that_is_not_theirs(
    store: MemoryStore, careful: Agent
) -> None:
    async with process(store, ScriptedModel([remember("Tea.")])) as runs:
        live = await asked(runs)
        with pytest.raises(UnknownRun):
            await runs.decide(live.run.id, YES, frozenset())
        assert (await runs.find(live.run.id)).run.status == "waiting"


# Other messages meanwhile


async def test_another_message_meanwhile_is_refused_with_what_to_do(
    store: MemoryStore, careful: Agent
) -> None:
    model = ScriptedModel([remember("Tea."), Reply("Noted."), Reply("Hello.")])
    async with process(store, model) as runs:
        live = await asked(runs)
        with pytest.raises(RunWaits) as caught:
            await runs.message(said("Hello?"))
        assert str(caught.value) == (
            f"the agent waits for a person's approval of core_memory_append in {live.run.id};"
            " decide it with run_approve or `mnemon approve`, or stop it with run_cancel, then send"
            " the message again"
        )
        await runs.decide(live.run.id, YES)
        assert (await runs.message(said("Hello?"))).reply == "Hello."


async def test_a_message_that_was_queued_is_refused_once_the_run_before_it_waits(
    store: MemoryStore, careful: Agent
) -> None:
    model = HeldModel([remember("Tea.")])
    async with process(store, model) as runs:
        first = await runs.start(said("a"))
        await model.thinks()
        refused = list[RunWaits]()

        async def send() -> None:
            with pytest.raises(RunWaits) as caught:
                await runs.message(said("b"))
            refused.append(caught.value)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(send)
            await anyio.wait_all_tasks_blocked()
            model.let_go()
        assert refused[0].run_id == first.run.id


async def test_one_in_the_background_is_queued_behind_the_run_that_waits(
    store: MemoryStore, careful: Agent
) -> None:
    model = ScriptedModel([remember("Tea."), Reply("1"), Reply("2"), Reply("3")])
    async with process(store, model) as runs:
        live = await asked(runs)
        second, third = await runs.start(said("b")), await runs.start(said("c"))
        await settled(runs)
        assert [second.place, third.place] == [1, 2]
        assert [second.run.status, third.run.status] == ["queued", "queued"]
        await runs.decide(live.run.id, YES)
        await third.finished()
    assert [content for role, content in harness.said(store, careful) if role == "user"] == [
        "I like tea.",
        "b",
        "c",
    ]


async def test_the_same_message_again_neither_denies_nor_repeats_what_waits(
    store: MemoryStore, careful: Agent
) -> None:
    async with process(store, ScriptedModel([remember("Tea.")])) as runs:
        first = await runs.message(said("Tea.", run_id="run-1"))
        for send in (runs.message, runs.start):
            again = await send(said("Tea.", run_id="run-1"))
            assert again.run == first.run
        assert await runs.waiting_for_answer(said("Tea.")) is first
        assert await runs.waiting_for_answer(said("Mate.")) is None


# Its end


async def test_silence_is_a_no_when_the_time_is_up(store: MemoryStore, agent: Agent) -> None:
    set_to(store, agent, tool_rules=[ASKS], approval_minutes=AT_ONCE)
    model = ScriptedModel([remember("Tea."), Reply("I see.")])
    async with process(store, model) as runs:
        live = await runs.message(said("I like tea."))
        while live.next is None:
            await live.change()
        run = await ended(live.next)
    assert (run.status, run.stop_reason) == ("completed", "end_turn")
    assert "nobody answered in time" in model.prompts[1].messages[-1].content
    assert block_value(store, agent) == "Name: Sam"


async def test_a_yes_that_comes_too_late_is_none(store: MemoryStore, agent: Agent) -> None:
    set_to(store, agent, tool_rules=[ASKS], approval_minutes=AT_ONCE)
    model = ScriptedModel([remember("Tea."), Reply("I see.")])
    runs = harness.runs_on(store, model)  # without tasks, in which a wait would end by itself
    live = await asked(runs)
    await runs.decide(live.run.id, YES)
    assert "nobody answered in time" in model.prompts[1].messages[-1].content
    assert block_value(store, agent) == "Name: Sam"


async def test_a_wait_that_is_cancelled_leaves_the_agent_as_it_was(
    store: MemoryStore, careful: Agent
) -> None:
    before = store.agent_state("ada")
    async with process(store, ScriptedModel([remember("Tea."), Reply("Hello.")])) as runs:
        live = await asked(runs)
        run = await runs.cancel(live.run.id)
        assert (run.status, run.stop_reason, run.pending) == ("cancelled", "cancelled", None)
        assert stored_run(store, live.run.id) == run
        assert store.agent_state("ada") == before
        with pytest.raises(NotWaiting, match="it is cancelled"):
            await runs.decide(live.run.id, YES)
        assert (await runs.message(said("Hi"))).reply == "Hello."


async def test_a_decision_whose_caller_leaves_takes_the_run_to_its_end_all_the_same(
    store: MemoryStore, careful: Agent
) -> None:
    first = ScriptedModel([remember("Tea.")])
    async with process(store, first) as runs:
        live = await asked(runs)
    held = HeldModel([Reply("Noted.")])
    async with process(store, held) as runs:
        async with anyio.create_task_group() as tasks:
            decide = runs.decide
            tasks.start_soon(lambda: decide(live.run.id, YES, detached=True))
            await held.thinks()
            tasks.cancel_scope.cancel()
        held.let_go()
        await settled(runs)
    run = stored_run(store, live.run.id)
    assert (run.status, run.background) == ("completed", True)


@pytest.mark.parametrize("how", ["approve", "deny", "cancel", "expire"])
async def test_a_wait_outlives_its_process_and_the_next_one_can_end_it(
    store: MemoryStore, agent: Agent, how: str
) -> None:
    minutes = AT_ONCE if how == "expire" else 60
    set_to(store, agent, tool_rules=[ASKS], approval_minutes=minutes)
    found = harness.runs_on(store, ScriptedModel([remember("Tea.")]))  # nobody waits for its time
    live = await found.message(said("I like tea."))
    async with process(store, ScriptedModel([Reply("Noted.")])) as runs:
        match how:
            case "expire":
                await settled(runs)
                while runs.all():
                    await runs.all()[0].change()
            case "cancel":
                await runs.cancel(live.run.id)
            case _:
                assert (await runs.find(live.run.id)).run == live.run
                with pytest.raises(RunWaits):
                    await runs.message(said("Hello?"))
                await runs.decide(live.run.id, YES if how == "approve" else NO)
    run = stored_run(store, live.run.id)
    assert run.status == ("cancelled" if how == "cancel" else "completed")
    assert ("Tea." in block_value(store, agent)) == (how == "approve")


async def test_a_decision_without_a_model_ends_the_run(store: MemoryStore, careful: Agent) -> None:
    async with process(store, ScriptedModel([remember("Tea.")])) as runs:
        live = await asked(runs)
        with pytest.raises(LookupError):
            await runs.decide(live.run.id, YES)
        assert runs.all() == []
    assert stored_run(store, live.run.id).status == "failed"
    assert block_value(store, careful) == "Name: Sam\nTea."


async def test_messages_are_not_forgotten_while_a_run_waits_and_a_deleted_agent_waits_no_more(
    store: MemoryStore, careful: Agent
) -> None:
    async with process(store, ScriptedModel([remember("Tea.")])) as runs:
        live = await asked(runs)
        with pytest.raises(RunInProgress, match=live.run.id), store.write(PERSON) as transaction:
            agents.reset_messages(transaction, careful)
        with store.write(PERSON) as transaction:
            agents.delete_agent(transaction, careful)
        await live.change()
        assert (live.run.status, runs.all()) == ("cancelled", [])
        with pytest.raises(UnknownRun):
            await runs.find(live.run.id)


def test_what_waits_comes_back_from_json_as_it_was() -> None:
    pending = Pending(remember("Tea."), ("call-core_memory_append",), datetime.now(UTC))
    assert Pending.from_json(pending.to_json()) == pending
