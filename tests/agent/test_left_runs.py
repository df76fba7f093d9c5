"""Runs that a process left, by its end or by a bug: gone on with, or told as interrupted."""

from contextlib import nullcontext
from datetime import UTC, datetime

import anyio
import pytest

from agent.left_runs import MAX_RESUMES
from agent.loop import AgentLoop
from agent.model import Reply
from agent.models.scripted import ScriptedModel
from agent.runs import Runs
from memory import runs
from memory.records import Agent
from memory.runs import Run
from memory.store import MemoryStore
from tests.agent import harness
from tests.agent.harness import PERSON
from tests.agent.run_words import HeldModel, ended, process, said, settled, stored_run


async def test_a_run_in_the_background_goes_on_in_the_next_process(
    store: MemoryStore, agent: Agent
) -> None:
    held = HeldModel([])
    async with process(store, held) as runs:
        first, second = await runs.start(said("a")), await runs.start(said("b"))
        await held.thinks()
    assert held.broken_off == 1
    assert [stored_run(store, live.run.id).status for live in (first, second)] == ["queued"] * 2
    async with process(store, ScriptedModel([Reply("1"), Reply("2")])) as runs:
        await settled(runs)
    assert [content for _, content in harness.said(store, agent)] == ["a", "1", "b", "2"]
    assert stored_run(store, first.run.id).status == "completed"


async def test_a_run_that_was_in_work_when_its_process_died_is_told_as_interrupted(
    store: MemoryStore, agent: Agent
) -> None:
    now = datetime.now(UTC)
    died = Run("run-1", "running", "Hi", "host:test", False, now, steps=1, started_at=now)
    with store.write(PERSON) as transaction:
        runs.save_run(transaction, agent, died, known=False)
    async with process(store, ScriptedModel([Reply("Hello.")])) as found:
        run = (await found.find("run-1")).run
        assert (run.status, run.stop_reason) == ("failed", "error")
        assert run.error == (
            "run run-1 was interrupted: mnemon ended; what its steps stored is kept, send the"
            " message again"
        )
        assert (await found.message(said("Hi", run_id="run-1"))).reply == "Hello."


async def test_a_bug_in_one_run_ends_no_other_and_its_row_says_so(
    store: MemoryStore, agent: Agent, caplog: pytest.LogCaptureFixture
) -> None:
    async with process(store, ScriptedModel([])) as runs:
        live = await runs.start(said("Hi"))
        run = await ended(live)
        assert (run.status, run.error) == ("failed", "internal error; see mnemon's log")
        assert (await ended(await runs.start(said("Ho")))).status == "failed"
    assert f"bug in {live.run.id}" in caplog.text
    assert stored_run(store, live.run.id) == run


async def test_a_message_that_failed_and_comes_again_in_the_background_survives_its_process(
    store: MemoryStore, agent: Agent
) -> None:
    message = said("Hi", run_id="run-1")
    async with process(store, ScriptedModel([])) as found:
        with pytest.raises(LookupError):
            await found.message(message)
    assert stored_run(store, "run-1").status == "failed"
    held = HeldModel([])
    async with process(store, held) as found:
        await found.start(message)
        await held.thinks()
    assert stored_run(store, "run-1").status == "queued"
    async with process(store, ScriptedModel([Reply("Hello.")])) as found:
        await settled(found)
    assert stored_run(store, "run-1").status == "completed"


async def test_a_run_that_ends_every_process_is_begun_again_a_few_times_only(
    store: MemoryStore, agent: Agent
) -> None:
    async with process(store, HeldModel([])) as found:
        run_id = (await found.start(said("Hi"))).run.id
    for _ in range(MAX_RESUMES):
        held = HeldModel([])
        async with process(store, held):
            await held.thinks()
        assert stored_run(store, run_id).status == "queued"
    async with process(store, ScriptedModel([])) as found:
        run = (await found.find(run_id)).run
    assert (run.status, run.stop_reason) == ("failed", "error")
    assert f"mnemon ended {MAX_RESUMES + 1} times in the same step" in (run.error or "")


async def test_a_run_that_waits_behind_others_is_not_counted_as_begun(
    store: MemoryStore, agent: Agent
) -> None:
    held = HeldModel([])
    async with process(store, held) as found:
        first, second = await found.start(said("a")), await found.start(said("b"))
        await held.thinks()
    held = HeldModel([])
    async with process(store, held):
        await held.thinks()
        counted = [stored_run(store, live.run.id).resumes for live in (first, second)]
    assert counted == [1, 0]


async def test_a_bug_before_the_loop_ends_the_row_too(
    store: MemoryStore, agent: Agent, caplog: pytest.LogCaptureFixture
) -> None:
    def no_loop(_: Agent) -> nullcontext[AgentLoop]:
        raise ZeroDivisionError

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            found = Runs(store, no_loop)
            await found.begin(tasks)
            run = await ended(await found.start(said("Hi")))
    assert (run.status, run.error) == ("failed", "internal error; see mnemon's log")
    assert stored_run(store, run.id) == run
    assert f"bug in {run.id}" in caplog.text
