"""A host with agents and the real sandbox of this machine, for tests of code that is run."""

import json
import os
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
from mcp import Client

from memory import agents, core_memory
from server.app import App, open_app
from server.config import Settings
from tests.sandbox.sandboxes import skip_where_impossible
from tests.server.test_approvals import text_of


@dataclass
class CodeHost:
    """A host, and the server behind it."""

    app: App
    client: Client

    async def call(self, tool: str, /, **arguments: Any) -> dict[str, Any]:
        result = await self.client.call_tool(tool, arguments)
        assert not result.is_error, result.content
        dumped = result.model_dump(mode="json", by_alias=True, exclude_none=True)
        assert len(json.dumps(dumped, ensure_ascii=False).encode()) <= 16_000
        found: dict[str, Any] | None = result.structured_content
        assert found is not None
        return found

    async def refused(self, tool: str, /, **arguments: Any) -> str:
        result = await self.client.call_tool(tool, arguments)
        assert result.is_error, result.content
        return text_of(result)

    async def code(self, code: str, agent: str = "Ada", **arguments: Any) -> dict[str, Any]:
        return await self.call("run_code", agent_id=agent, code=code, **arguments)

    async def folder(self, agent: str = "Ada") -> Path:
        """The workspace of an agent, out here."""
        runtime = await self.app.runtime()
        found = await runtime.outside.sandbox.workspace(await self.id_of(agent))
        assert found is not None
        return found

    async def id_of(self, agent: str) -> str:
        return (await self.app.runtime()).store.agent_state(agent).agent.id

    async def block(self, agent: str = "Ada", label: str = "human") -> str:
        with (await self.app.runtime()).store.read() as reader:
            return core_memory.get_block(reader, agents.find_agent(reader, agent), label).value


@asynccontextmanager
async def code_host(data: str = ":memory:") -> AsyncIterator[CodeHost]:
    """A host with the agents Ada and Eve; skips where nothing can be isolated."""
    settings = Settings(data=data, embedder="none", toolset="full")
    with anyio.fail_after(180):
        async with open_app(settings) as app, Client(app.server()) as client:
            host = CodeHost(app, client)
            for name in ("Ada", "Eve"):
                blocks = [{"label": "human", "value": f"Of {name}."}]
                await host.call("agent_create", name=name, blocks=blocks)
            found = await (await app.runtime()).outside.sandbox.availability()
            skip_where_impossible(found)
            yield host


class Alive:
    """A pipe in a workspace that a run has open to write: tells that it lives, and when it ends."""

    OPEN = "alive = open('alive', 'w')\n"

    def __init__(self, folder: Path) -> None:
        self._path = folder / "alive"
        os.mkfifo(self._path)
        self._path.chmod(0o666)
        self._opened, self._gone = threading.Event(), threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        with self._path.open("rb") as pipe:  # opens when somebody opens the other end
            self._opened.set()
            pipe.read()
        self._gone.set()

    async def begun(self) -> None:
        assert await anyio.to_thread.run_sync(self._opened.wait, 60)

    async def ended(self) -> None:
        """Return when no process has it open any more."""
        assert await anyio.to_thread.run_sync(self._gone.wait, 20)
