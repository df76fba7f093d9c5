"""Everything heavy, built at once: the store, the embedder, the models.

Imported late, by app.py, so that a host has its first answer before DuckDB is loaded.
"""

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Self

from agent.errors import ModelNotConfigured
from agent.loop import TurnRunner
from agent.models.llama import LlamaModel
from agent.turn_locks import TurnLocks
from memory.embedders.factory import load_embedder
from memory.records import Agent
from memory.store import MemoryStore
from server.config import Settings


class Runtime:
    """The open store, and turn runners for the models that agents use.

    Raises:
        DatabaseError: the file is locked, damaged, too new or cannot be opened.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        embedder = settings.embedder
        self.store = MemoryStore(
            settings.database,
            None if embedder == "none" else lambda: load_embedder(embedder),
            settings.hnsw_threshold,
        )
        self._runners: dict[Path, TurnRunner] = {}
        self._locks = TurnLocks()
        self._models = AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def runner_for(self, agent: Agent) -> TurnRunner:
        """Return the runner on the agent's model, or on the configured one.

        Raises:
            ModelNotConfigured: neither is set.
        """
        path = Path(agent.model) if agent.model else self._settings.model
        if path is None:
            raise ModelNotConfigured
        path = path.expanduser()
        if path not in self._runners:
            model = LlamaModel(
                path,
                context_tokens=self._settings.context_tokens,
                threads=self._settings.model_threads,
            )
            self._models.push_async_callback(model.aclose)
            self._runners[path] = TurnRunner(self.store, model, locks=self._locks)
        return self._runners[path]

    async def aclose(self) -> None:
        """End the models' processes, finish the store's work and release the file."""
        await self._models.aclose()
        self.store.close()
