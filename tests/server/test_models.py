"""One model file in memory at a time, whatever agents name."""

import os
import shutil
from pathlib import Path

import anyio
import anyio.lowlevel

from agent.loop import AgentLoop
from agent.models.llama import LlamaModel
from memory.store import MemoryStore
from server.models import LoadedModel


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_another_model_takes_the_place_of_the_first_when_nobody_uses_it_any_more(
    tmp_path: Path, model_file: Path
) -> None:
    first, second = tmp_path / "first.gguf", tmp_path / "second.gguf"
    shutil.copy(model_file, first)
    shutil.copy(model_file, second)
    made: list[LlamaModel] = []

    def make(path: Path) -> LlamaModel:
        made.append(LlamaModel(path, context_tokens=512))
        return made[-1]

    with MemoryStore(None, None) as store, anyio.fail_after(60):
        loaded = LoadedModel(make, lambda model: AgentLoop(store, model))
        in_use, released = anyio.Event(), anyio.Event()
        order: list[str] = []

        async def use_first() -> None:
            async with loaded.use(first), loaded.use(first):  # two turns at once share it
                await made[0].describe()
                in_use.set()
                await released.wait()
                order.append("first is released")

        async def use_second() -> None:
            await in_use.wait()
            async with loaded.use(second):
                order.append("second is in use")
                await made[1].describe()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(use_first)
            tasks.start_soon(use_second)
            await in_use.wait()
            pid = made[0].worker_pid
            assert pid is not None
            await anyio.lowlevel.checkpoint()
            released.set()

        assert order == ["first is released", "second is in use"]
        assert pid is not None and not alive(pid)
        await loaded.aclose()
        assert made[1].worker_pid is None


async def test_an_agent_on_another_model_gets_its_turn_while_the_first_is_always_in_use(
    tmp_path: Path,
) -> None:
    first, second = tmp_path / "first.gguf", tmp_path / "second.gguf"
    order: list[str] = []
    with MemoryStore(None, None) as store, anyio.fail_after(60):
        loaded = LoadedModel(LlamaModel, lambda model: AgentLoop(store, model))

        async def use(path: Path, name: str) -> None:
            async with loaded.use(path):
                order.append(name)

        async with anyio.create_task_group() as tasks, loaded.use(first):
            tasks.start_soon(use, second, "other")
            await anyio.wait_all_tasks_blocked()
            tasks.start_soon(use, first, "later")
            await anyio.wait_all_tasks_blocked()
        assert order == ["other", "later"]
        await loaded.aclose()
