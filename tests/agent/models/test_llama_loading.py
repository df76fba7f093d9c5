"""Loading takes long: it outlives the call that began it, and ends with the model object."""

import os
import signal
from collections.abc import AsyncIterator

import anyio
import pytest

from agent.errors import ModelCrashed, ModelError, ModelUnavailable
from agent.model import ChatMessage, Prompt, Reply
from agent.models.llama import LlamaModel
from tests.agent.models.conftest import MakeModel

HELLO = Prompt((ChatMessage("user", "Hello"),))


@pytest.fixture
async def model(make_model: MakeModel) -> AsyncIterator[LlamaModel]:
    async with make_model() as model:
        yield model


async def cancelled_load(model: LlamaModel) -> int:
    """Cancel a call as soon as it has started a worker; returns the worker's process id."""

    async def ask() -> None:
        await model.describe()
        pytest.fail("the load ended before it could be cancelled")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        with anyio.fail_after(10):
            while model.worker_pid is None:
                await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()
    assert model.worker_pid is not None
    return model.worker_pid


async def test_a_load_goes_on_when_its_call_is_cancelled_and_the_next_call_has_it(
    model: LlamaModel,
) -> None:
    pid = await cancelled_load(model)
    with anyio.move_on_after(0.01):
        await model.describe()
    assert (await model.complete(HELLO, 10)).parsed == Reply("Hello! How can I help?")
    assert model.worker_pid == pid


async def test_a_load_that_nobody_awaits_is_ended_by_closing(model: LlamaModel) -> None:
    pid = await cancelled_load(model)
    await model.aclose()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_the_next_call_says_how_a_load_that_nobody_awaited_failed(model: LlamaModel) -> None:
    os.kill(await cancelled_load(model), signal.SIGKILL)
    with pytest.raises(ModelCrashed, match=r"SIGKILL(.|\n)*it was in load"):
        await model.describe()
    assert (await model.complete(HELLO, 10)).parsed == Reply("Hello! How can I help?")


async def test_closing_while_the_worker_loads_leaves_none_behind(model: LlamaModel) -> None:
    outcome = []

    async def ask() -> None:
        try:
            await model.describe()
        except ModelError as error:
            outcome.append(error)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        await anyio.wait_all_tasks_blocked()
        await model.aclose()
    assert [type(error) for error in outcome] == [ModelUnavailable]
    assert model.worker_pid is None
