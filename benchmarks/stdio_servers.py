"""MCP servers over stdio, asked as a host asks them: mnemon, and Node's server-memory.

Standard library only, one request after the other, so that what is measured is the server.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from benchmarks.processes import cpu_s
from benchmarks.startup import INITIALIZE
from scripts.node_tools import ToolsMissing, install_tools

ROOT = Path(__file__).resolve().parent.parent
MNEMON = str(Path(sys.executable).with_name("mnemon"))
SERVER_MEMORY = "@modelcontextprotocol/server-memory"
SERVER_MEMORY_VERSION = "2026.8.31"


def server_memory() -> list[str]:
    """How server-memory is started; installed from npm into .node/ unless it is there.

    Raises:
        ToolsMissing: it cannot be had here.
    """
    node = shutil.which("node")
    if node is None:
        raise ToolsMissing("Node.js is not installed")
    modules = install_tools(ROOT / ".node", f"{SERVER_MEMORY}@{SERVER_MEMORY_VERSION}")
    return [node, str(modules / SERVER_MEMORY / "dist" / "index.js")]


def node_version() -> str:
    """Of the machine's own Node.js."""
    said = subprocess.run(["node", "--version"], capture_output=True, text=True).stdout
    return said.strip().removeprefix("v")


def piped(
    command: Sequence[str], environment: Mapping[str, str] | None = None
) -> "subprocess.Popen[bytes]":
    """Start a process with pipes to it."""
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, env=environment)


class StdioServer:
    """A session with a server that was just started."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process, self._ids = process, count(1)
        self._send({**INITIALIZE, "id": 0})
        self._answer(0)
        self._send({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """What the tool returns."""
        number = next(self._ids)
        params = {"name": tool, "arguments": arguments}
        self._send({"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params})
        result = self._answer(number)["result"]
        if result.get("isError"):
            raise RuntimeError(result["content"])
        found = result.get("structuredContent") or json.loads(result["content"][0]["text"])
        return dict(found)

    def cpu_s(self) -> float:
        """Of the server, so far."""
        return cpu_s(self._process.pid)

    def end(self) -> None:
        """End the server."""
        self._process.kill()
        self._process.communicate()

    def _send(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None  # noqa: S101 - it is piped
        self._process.stdin.write(json.dumps(message).encode() + b"\n")
        self._process.stdin.flush()

    def _answer(self, number: int) -> dict[str, Any]:
        assert self._process.stdout is not None  # noqa: S101 - it is piped
        for line in self._process.stdout:
            message: dict[str, Any] = json.loads(line)
            if message.get("id") == number:
                if "error" in message:
                    raise RuntimeError(message["error"])
                return message
        raise RuntimeError("the server has ended")


class MemoryHost(StdioServer):
    """A front of mnemon with its owner, as a host has them."""

    def __init__(self, front: "subprocess.Popen[bytes]", data: Path) -> None:
        super().__init__(front)
        self._front, self._data = front, data

    def warm_up(self, agent: str) -> None:
        """Let everything be loaded."""
        self.call("archival_memory_insert", agent_id=agent, content="It is ready.")
        self.embedded(agent)

    def embedded(self, agent: str) -> None:
        """Wait until all has its vectors."""
        waiting = {"agent_id": agent, "passages": [], "wait_s": 60}
        while self.call("archival_memory_import", **waiting)["pending_vectors"]:
            pass

    def cpu_s(self) -> float:
        """Of front and owner, so far."""
        owner = json.loads((self._data / "owner.lock").read_text())["pid"]
        return cpu_s(self._front.pid, owner)


@contextmanager
def memory_host() -> Iterator[MemoryHost]:
    """A host on a memory of its own, which is gone afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        front = piped([MNEMON, "mcp", "--data", folder])
        try:
            yield MemoryHost(front, Path(folder))
        finally:
            front.kill()
            front.communicate()
            subprocess.run([MNEMON, "stop", "--data", folder], check=False, capture_output=True)
