"""Connections to the toy MCP server, with every process ended at the end."""

import os
import select
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import anyio
import pytest

from memory.tool_server_records import Grants, Launch
from server.external.servers import ExternalServers
from tests.server.processes import DEADLINE_S

TOY = Path(__file__).with_name("toy_mcp.py")

SECRETS = {"files": "s3cr3t-value"}


@pytest.fixture
async def servers() -> AsyncIterator[ExternalServers]:
    """Connections without a sandbox."""
    async with anyio.create_task_group() as tasks:
        servers = ExternalServers(secrets=lambda names: {name: SECRETS[name] for name in names})
        servers.begin(tasks)
        yield servers
        tasks.cancel_scope.cancel()


@pytest.fixture
def toy() -> Callable[..., Launch]:
    """How the toy is started, well-behaved or in a hostile mode."""

    def launch(*mode: str, **more: object) -> Launch:
        command = (sys.executable, str(TOY), "stdio", *mode)
        return Launch(
            "stdio",
            command=command,
            grants=Grants(unsandboxed=True),
            **{"call_timeout_s": 20.0, "connect_timeout_s": 20.0, **more},  # type: ignore[arg-type]
        )

    return launch


def wait_until_ended(pid: int) -> None:
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        assert select.select([process], [], [], DEADLINE_S)[0], "it goes on"
    finally:
        os.close(process)
