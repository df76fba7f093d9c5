"""What the tests of the command line share."""

import os
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.agent.models.chat_server import ChatServer, Reply, chat_server
from tests.server.processes import Run

Models = Callable[..., ChatServer]


@pytest.fixture
def run(mnemon: str, tmp_path: Path) -> Run:
    """Run mnemon on a data directory of the test's own."""

    def call(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "MNEMON_DATA": str(tmp_path / "data")}
        return subprocess.run(
            [mnemon, *arguments],
            **{"env": environment, "capture_output": True, "text": True, "timeout": 60, **options},
        )

    return call


@pytest.fixture
async def models(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Models]:
    """A model server that says what it is told to, which processes of this test think with."""
    entries = {"/v1/models": {"data": [{"id": "m", "context_length": 32_000}]}}
    with anyio.fail_after(90):
        async with chat_server(**entries) as server:
            monkeypatch.setenv("MNEMON_MODEL", f"openai:m@{server.url}")

            def say(*replies: Reply) -> ChatServer:
                server.replies.extend(replies)
                return server

            yield say
