"""Calls of outside tools that a person must approve, because of the tool or of a rule."""

import anyio
import pytest

from agent.approval import Decision
from agent.errors import RunCancelled
from agent.model import Reply, ToolCalls
from agent.models.scripted import ScriptedModel
from memory.records import Agent, ToolCall
from memory.store import MemoryStore
from tests.agent.harness import calls, stored_messages
from tests.agent.outside_words import Held, answering, source, tool
from tests.agent.run_words import AT_ONCE, process, said, set_to, stored_run


def results(store: MemoryStore, agent: Agent) -> list[str]:
    return [m.content for m in stored_messages(store, agent) if m.role == "tool"]


def cities(name: str, *visited: str) -> ToolCalls:
    return calls(*(ToolCall(f"call-{city}", name, {"city": city}) for city in visited))


async def test_a_tool_that_needs_approval_waits_for_it_and_then_runs(
    store: MemoryStore, agent: Agent
) -> None:
    log = list[str]()
    pay = tool("pay", answering("Paid", log), needs_approval=True)
    model = ScriptedModel([cities("pay", "Oslo", "Bodo"), Reply("Done.")])
    async with process(store, model, source(pay)) as runs:
        live = await runs.message(said("Go."))
        assert (live.run.status, log) == ("waiting", [])
        await runs.decide(live.run.id, Decision(True), call_id="call-Bodo")
    assert log == ["Bodo"]
    denied, paid = results(store, agent)
    assert denied.startswith("Denied by the person: they decided about another call")
    assert paid == "Paid in Bodo"


async def test_silence_is_a_no_to_a_tool_that_needs_approval(
    store: MemoryStore, agent: Agent
) -> None:
    log = list[str]()
    set_to(store, agent, approval_minutes=AT_ONCE)
    pay = tool("pay", answering("Paid", log), needs_approval=True)
    model = ScriptedModel([cities("pay", "Oslo"), Reply("Done.")])
    async with process(store, model, source(pay)) as runs:
        live = await runs.message(said("Go."))
        with anyio.fail_after(30):
            while runs.all():
                await runs.all()[0].change()
    assert (log, stored_run(store, live.run.id).status) == ([], "completed")
    assert results(store, agent) == [
        "Denied by the person: nobody answered in time. The call was not made."
    ]


async def test_a_rule_can_ask_for_the_approval_of_an_outside_tool(
    store: MemoryStore, agent: Agent
) -> None:
    set_to(store, agent, tool_rules=[{"type": "requires_approval", "tool_name": "pay"}])
    log = list[str]()
    model = ScriptedModel([cities("pay", "Oslo"), Reply("Done.")])
    async with process(store, model, source(tool("pay", answering("Paid", log)))) as runs:
        live = await runs.message(said("Go."))
        assert (live.run.status, log) == ("waiting", [])
        await runs.decide(live.run.id, Decision(False))
    assert log == []


async def test_a_run_that_is_stopped_in_a_call_which_a_person_approved_is_cancelled(
    store: MemoryStore, agent: Agent
) -> None:
    held = Held()
    pay = tool("pay", held.run, needs_approval=True)
    async with process(store, ScriptedModel([cities("pay", "Oslo")]), source(pay)) as runs:
        live = await runs.message(said("Go."))

        async def decide() -> None:
            with pytest.raises(RunCancelled):
                await runs.decide(live.run.id, Decision(True))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(decide)
            await held.until(running=1)
            await runs.cancel(live.run.id)
    assert (held.broken_off, stored_run(store, live.run.id).status) == (1, "cancelled")
