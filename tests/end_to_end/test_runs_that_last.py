"""The loop on the real worker: workers interrupted in mid-run, and a thousand turns.

Small by default; MNEMON_TORTURE=1 (`make torture`) asks for a thousand turns.
"""

import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import nullcontext
from pathlib import Path

import anyio
import pytest

from agent.errors import ModelCrashed, ModelError, RunCancelled
from agent.live_run import LiveRun, Said
from agent.loop import AgentLoop
from agent.models.llama import LlamaModel, LlamaOptions
from agent.runs import Runs
from memory.store import MemoryStore
from tests.agent.harness import block_value, new_agent, said
from tests.resources import children, descriptors, resident_bytes

TURNS = 1000 if "MNEMON_TORTURE" in os.environ else 60
WARM_UP = 60
MAX_GROWTH_BYTES = 24_000_000
"""Of this process and of the worker: DuckDB's buffers grow with the file, up to a bound."""

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/fd").exists(), reason="memory and descriptors are read from /proc"
)
LONG = "z " * 1_500  # seconds of work for the fixture


@pytest.fixture
def make_model(model_file: Path, tmp_path: Path) -> Callable[[int], LlamaModel]:
    options = LlamaOptions(
        silence_deadline_s=3.0,
        restart_wait_s=0.01,
        state_directory=tmp_path / "kv",
        state_limit_bytes=10**8,
    )
    return lambda tokens: LlamaModel(model_file, context_tokens=tokens, threads=1, options=options)


@pytest.fixture
async def model(make_model: Callable[[int], LlamaModel]) -> AsyncIterator[LlamaModel]:
    async with make_model(4096) as model:
        yield model


@pytest.fixture
def store(tmp_path: Path) -> MemoryStore:
    return MemoryStore(tmp_path / "mnemon.duckdb", None)


def runs_of(store: MemoryStore, model: LlamaModel) -> Runs:
    loop = AgentLoop(store, model)
    return Runs(store, lambda _: nullcontext(loop))


def kill(model: LlamaModel) -> None:
    assert model.worker_pid is not None
    os.kill(model.worker_pid, signal.SIGKILL)


def stop(model: LlamaModel) -> None:
    assert model.worker_pid is not None
    os.kill(model.worker_pid, signal.SIGSTOP)


@pytest.mark.parametrize("interrupt", [kill, stop])
async def test_a_worker_that_dies_or_hangs_ends_the_run_with_an_error_and_the_next_turn_works(
    store: MemoryStore, model: LlamaModel, interrupt: Callable[[LlamaModel], None]
) -> None:
    with store:
        agent = new_agent(store, "ada")
        runs = runs_of(store, model)
        told = await runs.message(Said("ada", "My dog is named Rex.", "person:test"))
        before = said(store, agent), block_value(store, agent)
        live = await runs.prepare(Said("ada", LONG, "person:test"))
        failed: list[ModelError] = []

        async def go() -> None:
            try:
                await runs.take(live)
            except ModelError as error:
                failed.append(error)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(go)
            while live.run.status != "running":
                await live.change()
            interrupt(model)
        assert isinstance(failed[0], ModelCrashed)
        assert (said(store, agent), block_value(store, agent)) == before
        found = await runs.find(live.run.id)
        assert (found.run.status, found.run.stop_reason) == ("failed", "llm_api_error")
        assert found.run.error is not None and "worker of model" in found.run.error
        asked = await runs.message(Said("ada", "What is my dog named?", "person:test"))
        assert (told.reply, asked.reply) == (
            "Got it. I will remember that.",
            "Your dog is named Rex.",
        )


async def test_a_run_that_is_stopped_in_mid_prefill_leaves_the_agent_as_it_was(
    store: MemoryStore, model: LlamaModel
) -> None:
    with store:
        agent = new_agent(store, "ada")
        runs = runs_of(store, model)
        await runs.message(Said("ada", "Hello", "person:test"))
        before = said(store, agent)
        live = await runs.prepare(Said("ada", LONG, "person:test"))
        ended: list[str] = []

        async def go() -> None:
            try:
                await runs.take(live)
            except RunCancelled as error:
                ended.append(error.run_id)

        worker = model.worker_pid
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(go)
            while live.run.status != "running":
                await live.change()
            await runs.cancel(live.run.id)
        assert ended == [live.run.id]
        assert said(store, agent) == before
        assert model.worker_pid == worker
        again = await runs.message(Said("ada", "Hello", "person:test"))
        assert again.reply == "Hello! How can I help?"


async def test_many_turns_leak_nothing(
    store: MemoryStore, make_model: Callable[[int], LlamaModel]
) -> None:
    # A small window is full, and what the worker keeps of each agent as large as it gets, soon.
    with store:
        async with make_model(1024) as model:
            await talk_for_long(store, model)


async def talk_for_long(store: MemoryStore, model: LlamaModel) -> None:
    for number in range(4):
        new_agent(store, f"agent {number}")
    runs = runs_of(store, model)
    before: tuple[int, int] = (0, 0)
    for number in range(WARM_UP + TURNS):
        # Nothing that makes core memory grow: it would fill this window in the end.
        text = "Hello" if number % 3 else f"Archive this: I saw {number} birds."
        done: LiveRun = await runs.message(Said(f"agent {number % 4}", text, "person:test"))
        assert done.run.status == "completed"
        if number == WARM_UP:
            assert model.worker_pid is not None
            worker = model.worker_pid
            before = resident_bytes(worker), resident_bytes("self")
            open_before = descriptors(worker), descriptors("self"), children()
    assert (descriptors(worker), descriptors("self"), children()) == open_before
    assert resident_bytes(worker) - before[0] < MAX_GROWTH_BYTES
    assert resident_bytes("self") - before[1] < MAX_GROWTH_BYTES
