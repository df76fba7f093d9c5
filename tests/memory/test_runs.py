"""The rows of runs and steps: written, found, listed, forgotten."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from memory import agents
from memory.agents import NewAgent
from memory.errors import RunInProgress, UnknownRun
from memory.records import Agent
from memory.runs import (
    PROMPTS_KEPT,
    Run,
    StepTaken,
    Usage,
    add_step,
    find_run,
    list_runs,
    list_steps,
    open_runs,
    save_run,
    step_prompt,
    waiting_run,
)
from memory.store import MemoryStore
from memory.transaction import Change
from tests.memory.given import TEST, words_only_store

NOW = datetime(2026, 3, 4, 5, 6, 7, 89, tzinfo=UTC)
QUEUED = Run("run-1", "queued", "Hi", "host:test", True, NOW)
PENDING = {"text": "", "calls": [], "waiting": [], "until": "2026-03-04T06:06:07+00:00"}


def new_agent(store: MemoryStore, name: str = "ada") -> Agent:
    with store.write(TEST) as transaction:
        return agents.create_agent(transaction, NewAgent(name))


def save(store: MemoryStore, agent: Agent, run: Run, known: bool = False) -> None:
    with store.write(TEST) as transaction:
        save_run(transaction, agent, run, known)


def step(number: int, ended_at: datetime = NOW, prompt: str | None = "{}") -> StepTaken:
    return StepTaken(number, "reply", "m", Usage(1, 2, 3), NOW, ended_at, None, prompt)


def test_a_run_comes_back_as_it_was_written_and_changed() -> None:
    with words_only_store() as store:
        agent = new_agent(store)
        save(store, agent, QUEUED)
        waiting = replace(
            QUEUED,
            status="waiting",
            stop_reason="requires_approval",
            steps=1,
            usage=Usage(10, 5, 3),
            pending=PENDING,
            started_at=NOW,
        )
        save(store, agent, waiting, known=True)
        with store.read() as reader:
            assert find_run(reader, "run-1") == (agent.id, waiting)
            assert waiting_run(reader, agent) == waiting
            assert open_runs(reader) == [(agent.id, waiting)]
        done = replace(
            waiting,
            status="completed",
            background=False,
            stop_reason="end_turn",
            reply_id="message-1",
            error="é\n",
            pending=None,
            ended_at=NOW + timedelta(seconds=1),
        )
        save(store, agent, done, known=True)
        with store.read() as reader:
            assert find_run(reader, "run-1") == (agent.id, done)
            assert waiting_run(reader, agent) is None
            assert open_runs(reader) == []


def test_runs_are_listed_newest_first_and_page_by_page() -> None:
    with words_only_store() as store:
        agent, other = new_agent(store), new_agent(store, "eve")
        of_ada = [
            replace(QUEUED, id=f"run-{n}", created_at=NOW + timedelta(seconds=n)) for n in range(5)
        ]
        for run in of_ada:
            save(store, agent, run)
        save(store, other, replace(QUEUED, id="run-eve"))
        with store.read() as reader:
            first = list_runs(reader, agent, None, 3)
            rest = list_runs(reader, agent, first[-1].created_at, 3)
            assert [*first, *rest] == of_ada[::-1]
            assert [run.id for _, run in open_runs(reader)][-1] == "run-4"


def test_a_run_exists_only_for_those_for_whom_its_agent_does() -> None:
    with words_only_store() as store:
        agent = new_agent(store)
        save(store, agent, QUEUED)
        with store.read(frozenset([agent.id])) as reader:
            assert find_run(reader, "run-1")[1] == QUEUED
            assert open_runs(reader) == [(agent.id, QUEUED)]
        with store.read(frozenset(["agent-other"])) as reader:
            assert open_runs(reader) == []
            with pytest.raises(UnknownRun):
                find_run(reader, "run-1")


def test_steps_are_in_order_and_their_prompts_as_they_were_sent() -> None:
    sent = '{"messages":["Ünï \\u2028 🌊 \\\\"]}' * 1_000
    with words_only_store() as store:
        agent = new_agent(store)
        with store.write(TEST) as transaction:
            for number in (2, 1):
                add_step(transaction, agent, "run-1", step(number, prompt=f"{number}{sent}"))
            add_step(transaction, agent, "run-1", step(3, prompt=None))
            size = transaction.rows("list_steps", run_id="run-1")
        assert len(size) == 3
        with store.read() as reader:
            assert list_steps(reader, "run-1") == [step(n, prompt=None) for n in (1, 2, 3)]
            assert step_prompt(reader, "run-1", 2) == f"2{sent}"
            assert step_prompt(reader, "run-1", 3) is None
            assert step_prompt(reader, "run-1", 4) is None


def test_prompts_are_forgotten_at_the_start_after_some_days_and_steps_are_not(
    tmp_path: Path,
) -> None:
    path = tmp_path / "m.duckdb"
    now = datetime.now(UTC)
    with MemoryStore(path, None) as store:
        agent = new_agent(store)
        with store.write(TEST) as transaction:
            add_step(transaction, agent, "run-1", step(1, now - PROMPTS_KEPT - timedelta(hours=1)))
            add_step(transaction, agent, "run-1", step(2, now - PROMPTS_KEPT + timedelta(hours=1)))
    with MemoryStore(path, None) as store, store.read() as reader:
        assert step_prompt(reader, "run-1", 1) is None
        assert step_prompt(reader, "run-1", 2) == "{}"
        assert len(list_steps(reader, "run-1")) == 2


def test_an_agent_that_is_deleted_takes_its_runs_along() -> None:
    with words_only_store() as store:
        agent, other = new_agent(store), new_agent(store, "eve")
        for owner, run in ((agent, QUEUED), (other, replace(QUEUED, id="run-eve"))):
            save(store, owner, run)
            with store.write(TEST) as transaction:
                add_step(transaction, owner, run.id, step(1))
        with store.write(TEST) as transaction:
            agents.delete_agent(transaction, agent)
        with store.read() as reader:
            assert [run.id for _, run in open_runs(reader)] == ["run-eve"]
            assert list_steps(reader, "run-1") == []
            assert len(list_steps(reader, "run-eve")) == 1


def test_forgetting_messages_forgets_runs_that_have_ended_and_is_refused_while_one_is_in_work() -> (
    None
):
    with words_only_store() as store:
        agent = new_agent(store)
        running = replace(QUEUED, status="running", started_at=NOW)
        save(store, agent, running)
        save(store, agent, replace(QUEUED, id="run-2"))
        with pytest.raises(RunInProgress, match="run-1"), store.write(TEST) as transaction:
            agents.reset_messages(transaction, agent)
        save(store, agent, replace(running, status="failed", ended_at=NOW), known=True)
        with store.write(TEST) as transaction:
            agents.reset_messages(transaction, agent)
        with store.read() as reader:
            assert [run.id for run in list_runs(reader, agent, None, 10)] == ["run-2"]


def test_who_watches_an_agent_hears_that_it_waits() -> None:
    with words_only_store() as store:
        agent, heard = new_agent(store), list[Change]()
        store.watch(heard.extend)
        save(store, agent, QUEUED)
        save(store, agent, replace(QUEUED, status="waiting", pending=PENDING), known=True)
        assert [(change.action, change.subject) for change in heard] == [("run.wait", "run-1")]
