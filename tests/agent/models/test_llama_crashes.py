"""Workers that die, hang or are told to stop in the middle of their work; what is left after it."""

import importlib.util
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from agent.errors import ModelCrashed, ModelError, RequestPoisonous
from agent.model import ChatMessage, Prompt, Reply
from agent.models.llama import LlamaModel, LlamaOptions

HELLO = Prompt((ChatMessage("user", "Hello"),), agent_id="ada")
# Fills the window: seconds of work for the fixture.
LONG = Prompt((ChatMessage("user", "z" * 3900),), agent_id="bob")
# Outside the fixture's language: it talks to the token limit.
RAVING = Prompt((ChatMessage("user", "Tell me a joke."),), agent_id="cyd")

Interrupt = Callable[[LlamaModel], Awaitable[None]]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "kv"


@pytest.fixture
async def model(model_path: Path, directory: Path) -> AsyncIterator[LlamaModel]:
    options = LlamaOptions(
        silence_deadline_s=3.0,
        restart_wait_s=0.01,
        state_directory=directory,
        state_limit_bytes=10**8,
    )
    async with LlamaModel(model_path, threads=1, options=options) as model:
        assert (await model.complete(HELLO, 10)).parsed == Reply("Hello! How can I help?")
        yield model


def worker_of(model: LlamaModel) -> int:
    assert model.worker_pid is not None
    return model.worker_pid


def left_behind(directory: Path) -> list[str]:
    """Files that are no states: none may be left."""
    return [path.name for path in directory.glob("*") if path.suffix != ".kv"]


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def in_prefill(model: LlamaModel, interrupt: Interrupt) -> list[BaseException]:
    """Interrupt a request while its prompt is computed; returns what it ended with."""
    ended: list[BaseException] = []

    async def ask() -> None:
        try:
            await model.complete(LONG, 100)
        except ModelError as error:
            ended.append(error)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        await anyio.wait_all_tasks_blocked()
        await interrupt(model)
    return ended


async def in_generation(model: LlamaModel, interrupt: Interrupt) -> list[BaseException]:
    """Interrupt a request when the first of its reply is there."""
    done = False

    async def show(_text: str) -> None:
        nonlocal done
        if not done:
            done = True
            await interrupt(model)

    try:
        await model.complete(RAVING, 3000, show)
    except ModelError as error:
        return [error]
    return []


async def kill(model: LlamaModel) -> None:
    os.kill(worker_of(model), signal.SIGKILL)


async def stop(model: LlamaModel) -> None:
    os.kill(worker_of(model), signal.SIGSTOP)


MOMENTS = pytest.mark.parametrize("moment", [in_prefill, in_generation])
Moment = Callable[[LlamaModel, Interrupt], Awaitable[list[BaseException]]]


@MOMENTS
@pytest.mark.parametrize(("interrupt", "said"), [(kill, "SIGKILL"), (stop, "said nothing for 3 s")])
async def test_a_worker_that_dies_or_hangs_fails_its_request_and_the_next_one_works(
    model: LlamaModel, directory: Path, moment: Moment, interrupt: Interrupt, said: str
) -> None:
    pid, before = worker_of(model), open_descriptors()

    (error,) = await moment(model, interrupt)

    assert isinstance(error, ModelCrashed)
    assert said in str(error)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert (await model.complete(HELLO, 10)).parsed == Reply("Hello! How can I help?")
    assert worker_of(model) != pid
    assert open_descriptors() == before
    await model.aclose()
    assert left_behind(directory) == []


async def test_an_abort_in_generation_leaves_the_worker_and_what_it_computed(
    model: LlamaModel,
) -> None:
    pid = worker_of(model)
    with anyio.CancelScope() as scope:

        async def give_up(_text: str) -> None:
            scope.cancel()

        await model.complete(RAVING, 3000, give_up)

    assert scope.cancelled_caught
    again = await model.complete(RAVING, 1)
    assert again.cached_tokens == again.prompt_tokens - 1
    assert worker_of(model) == pid


async def test_an_abort_in_prefill_leaves_the_worker_and_what_it_computed(
    model: LlamaModel,
) -> None:
    pid = worker_of(model)
    with anyio.move_on_after(0.3) as scope:
        await model.complete(LONG, 100)
    assert scope.cancelled_caught
    assert (await model.complete(HELLO, 10)).parsed == Reply("Hello! How can I help?")
    assert worker_of(model) == pid


async def test_what_fails_while_it_is_shown_a_reply_ends_the_request_and_not_the_worker(
    model: LlamaModel,
) -> None:
    pid = worker_of(model)

    async def fail(_text: str) -> None:
        raise LookupError("no one to show it to")

    with pytest.raises(LookupError, match="no one to show it to"):
        await model.complete(RAVING, 3000, fail)
    assert (await model.complete(HELLO, 10)).parsed == Reply("Hello! How can I help?")
    assert worker_of(model) == pid


async def test_a_request_that_kills_three_workers_is_refused_until_another_one_succeeds(
    model: LlamaModel,
) -> None:
    for _ in range(3):
        (error,) = await in_prefill(model, kill)
        assert isinstance(error, ModelCrashed)
        await model.describe()  # a load is not what says that all is well again
    with pytest.raises(RequestPoisonous, match="3 times in a row") as caught:
        await model.complete(LONG, 100)
    assert caught.value.deaths == 3

    assert (await model.complete(HELLO, 10)).parsed == Reply("Hello! How can I help?")
    with anyio.move_on_after(0.05) as scope:
        await model.complete(LONG, 100)
    assert scope.cancelled_caught  # it was tried


@pytest.mark.skipif(
    importlib.util.find_spec("llama_cpp") is None, reason="only llama-cpp-python saves to disk"
)
async def test_a_worker_killed_while_it_saves_leaves_a_directory_that_the_next_one_uses(
    model: LlamaModel, directory: Path
) -> None:
    await kill(model)
    while model.worker_pid is not None:  # until it is dead
        await anyio.lowlevel.checkpoint()
    await anyio.Path(directory).mkdir(exist_ok=True)
    await anyio.Path(directory / "0-0.tmp").write_bytes(b"half a state")
    assert (await model.complete(HELLO, 10)).parsed == Reply("Hello! How can I help?")
    assert left_behind(directory) == []
