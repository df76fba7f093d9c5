"""Everything heavy, built at once: the store, the embedder, the models, the tools, the runs.

Imported late, by app.py, so that a host has its first answer before DuckDB is loaded.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self, assert_never

import anyio.abc
import anyio.to_thread

from agent.compiling import Compiler
from agent.errors import ModelNotConfigured
from agent.loop import AgentLoop
from agent.model import ChatModel
from agent.models.endpoint import EndpointModel
from agent.models.library.probes import stored_mode
from agent.models.llama import LlamaModel, LlamaOptions
from agent.models.scripted import ScriptedModel
from agent.models.spec import Endpoint, GgufFile, parse_spec
from agent.models.state_files import forget_agent
from agent.runs import Runs
from memory.embedders.factory import load_embedder
from memory.errors import DatabaseLocked
from memory.records import Agent
from memory.store import MemoryStore, SearchMeans
from memory.transaction import Change
from server.config import Settings, installer_variables
from server.endpoint_models import EndpointModels
from server.model_library import file_of
from server.models import LoadedModel
from server.outside_tools import OutsideTools
from server.sandboxes import chosen
from server.tool_running import RunTool
from server.turns import in_turn


class Runtime:
    """The open store, and the runs of agents on the models they think with.

    Raises:
        DatabaseError: the file is locked, damaged, too new or cannot be opened.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        embedder = settings.embedder
        self.store = in_turn(
            lambda: MemoryStore(
                settings.database,
                None if embedder == "none" else lambda: load_embedder(embedder),
                SearchMeans(settings.search_memory_mb << 20, settings.hnsw_threshold),
            ),
            DatabaseLocked,
        )
        self.outside = OutsideTools(
            self.store, settings.directory, chosen(settings), installer_variables()
        )
        self._model = LoadedModel(lambda path: _local_model(settings, path), self._loop_on)
        self._endpoints = EndpointModels(
            lambda endpoint: EndpointModel(
                endpoint,
                key=settings.key_for(endpoint),
                context_tokens=settings.context_tokens,
            ),
            self._loop_on,
        )
        self.runs = Runs(self.store, self.loop_for)
        self.run_tool: RunTool = self.outside.run_tool
        self.store.watch(self._forget_prompts)
        self.store.watch(self._forget_files)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def begin(self, tasks: anyio.abc.TaskGroup) -> None:
        """Go on with what an earlier process left, in tasks that end with this one."""
        self.outside.begin(tasks)
        await self.runs.begin(tasks)

    @asynccontextmanager
    async def loop_for(self, agent: Agent) -> AsyncIterator[AgentLoop]:
        """A loop on the agent's model, or on the configured one; it waits for its turn.

        Raises:
            ModelNotConfigured: neither is set.
            ModelSpecInvalid: the agent's is none, as an older version may have stored it.
            LibraryError: it is the name of no model on this machine, or of several.
        """
        spec = agent.model or self._settings.model
        if not spec:
            raise ModelNotConfigured
        match parse_spec(spec):
            case GgufFile(path):
                file = await anyio.to_thread.run_sync(file_of, self._settings, path)
                async with self._model.use(file) as loop:
                    yield loop
            case Endpoint() as endpoint:
                async with self._endpoints.use(endpoint) as loop:
                    yield loop
            case _ as never:
                assert_never(never)

    @asynccontextmanager
    async def compiler_for(self, agent: Agent) -> AsyncIterator[tuple[Compiler, bool]]:
        """A compiler on the agent's model; without one it estimates, and the second says no."""
        if agent.model or self._settings.model:
            async with self.loop_for(agent) as loop:
                yield loop.compiler, True
        else:
            estimate = ScriptedModel((), context_tokens=self._settings.context_tokens or 8_192)
            yield Compiler(self.store, estimate), False

    def _loop_on(self, model: ChatModel) -> AgentLoop:
        return AgentLoop(self.store, model, self.outside.source)

    def _forget_prompts(self, changes: Sequence[Change]) -> None:
        """What a model computed for an agent is its conversation, and goes with it."""
        for change in changes:
            if change.action in ("agent.delete", "agent.reset_messages") and change.agent_id:
                if (directory := _states(self._settings)) is not None:
                    forget_agent(directory, change.agent_id)
                self._model.forget(change.agent_id)

    def _forget_files(self, changes: Sequence[Change]) -> None:
        """An agent's workspace goes with it."""
        for change in changes:
            if change.action == "agent.delete" and change.agent_id:
                self.outside.forget(change.agent_id)

    async def aclose(self) -> None:
        """End the model's process and connections, finish the store's work and release the file."""
        try:
            await self._model.aclose()
            await self._endpoints.aclose()
            await self.outside.aclose()
        finally:
            await anyio.to_thread.run_sync(self.store.close)


def _local_model(settings: Settings, path: Path) -> LlamaModel:
    directory = settings.directory
    return LlamaModel(
        path,
        context_tokens=settings.context_tokens,
        threads=settings.model_threads,
        options=LlamaOptions(
            engine=settings.engine,
            call_style=stored_mode(directory, path) if directory else None,
            state_directory=_states(settings),
            state_limit_bytes=settings.kv_cache_mb * 1024 * 1024,
        ),
    )


def _states(settings: Settings) -> Path | None:
    """Where prompts are kept as models computed them; None: nowhere."""
    return settings.directory / "kv-cache" if settings.directory else None
