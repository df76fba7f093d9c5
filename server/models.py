"""Which model is in memory: one at a time, shared by all agents that name it."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio

from agent.errors import ModelError
from agent.loop import AgentLoop
from agent.models.llama import LlamaModel


class LoadedModel:
    """Holds one model file; another takes its place when nobody uses the first any more.

    Two files of several gigabytes would not fit the memory of most machines.

    Args:
        make_model: a model for a file; touches nothing yet.
        make_loop: a loop on a model.
    """

    def __init__(
        self,
        make_model: Callable[[Path], LlamaModel],
        make_loop: Callable[[LlamaModel], AgentLoop],
    ) -> None:
        self._make_model, self._make_loop = make_model, make_loop
        self._path: Path | None = None
        self._model: LlamaModel | None = None
        self._loop: AgentLoop | None = None
        self._users = 0
        self._changed = anyio.Condition()
        # Who comes later waits for whoever waits, also for the model that is in memory: else one
        # that is always in use would keep another out for ever.
        self._turn = anyio.Lock()
        self._forgotten: set[str] = set()

    @asynccontextmanager
    async def use(self, path: Path) -> AsyncIterator[AgentLoop]:
        """A loop on this file, which stays in memory until the block ends."""
        async with self._turn, self._changed:
            while self._path != path and self._users > 0:
                await self._changed.wait()
            loop = await self._switch(path)
            self._users += 1
        try:
            await self._forget(self._model)
            yield loop
        finally:
            with anyio.CancelScope(shield=True):
                async with self._changed:
                    self._users -= 1
                    self._changed.notify_all()

    async def aclose(self) -> None:
        """End the model's process, also in the middle of a turn."""
        model, self._model = self._model, None
        self._path = self._loop = None
        if model is not None:
            await model.aclose()
            await self._forget(model)

    def forget(self, agent_id: str) -> None:
        """Have nothing kept that was computed for an agent; from any thread, done when next used.

        What a model writes when it ends is removed then.
        """
        self._forgotten.add(agent_id)

    async def _forget(self, model: LlamaModel | None) -> None:
        for agent_id in tuple(self._forgotten):
            # One that cannot now is asked again when it is next used; that is nobody else's matter.
            with suppress(ModelError):
                if model is not None:
                    await model.forget(agent_id)
                    self._forgotten.discard(agent_id)

    async def _switch(self, path: Path) -> AgentLoop:
        if self._loop is None or self._path != path:
            await self.aclose()
            self._model = self._make_model(path)
            self._loop = self._make_loop(self._model)
            self._path = path
        return self._loop
