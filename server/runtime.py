"""Everything heavy, built at once: the store, the embedder, the model.

Imported late, by app.py, so that a host has its first answer before DuckDB is loaded.
"""

from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Self

import anyio.to_thread

from agent.errors import ModelNotConfigured
from agent.loop import TurnRunner
from agent.models.llama import LlamaModel, LlamaOptions
from agent.turn_locks import TurnLocks
from memory.embedders.factory import load_embedder
from memory.records import Agent
from memory.store import HNSW_THRESHOLD, MemoryStore
from server.config import Settings, expanded
from server.models import LoadedModel


class Runtime:
    """The open store, and the model that agents think with.

    Raises:
        DatabaseError: the file is locked, damaged, too new or cannot be opened.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        embedder = settings.embedder
        self.store = MemoryStore(
            settings.database,
            None if embedder == "none" else lambda: load_embedder(embedder),
            settings.hnsw_threshold or HNSW_THRESHOLD,
        )
        locks = TurnLocks()
        self._model = LoadedModel(
            lambda path: LlamaModel(
                path,
                context_tokens=settings.context_tokens,
                threads=settings.model_threads,
                options=LlamaOptions(
                    engine=settings.engine,
                    state_directory=settings.directory and settings.directory / "kv-cache",
                    state_limit_bytes=settings.kv_cache_mb * 1024 * 1024,
                ),
            ),
            lambda model: TurnRunner(self.store, model, locks=locks),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def runner_for(self, agent: Agent) -> AbstractAsyncContextManager[TurnRunner]:
        """A runner on the agent's model, or on the configured one; it waits for its turn.

        Raises:
            ModelNotConfigured: neither is set.
        """
        path = Path(agent.model) if agent.model else self._settings.model
        if path is None:
            raise ModelNotConfigured
        return self._model.use(expanded(path))

    async def aclose(self) -> None:
        """End the model's process, finish the store's work and release the file."""
        try:
            await self._model.aclose()
        finally:
            await anyio.to_thread.run_sync(self.store.close)
