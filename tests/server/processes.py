"""Child processes for the tests: servers as a host starts them, with raw pipes."""

import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Timer
from typing import Any

ROOT = Path(__file__).parents[2]
Run = Callable[..., "subprocess.CompletedProcess[str]"]

DEADLINE_S = 30.0  # against a hang; far above what a loaded machine needs

INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 0,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "raw", "version": "0"},
    },
}
INITIALIZED = {"jsonrpc": "2.0", "method": "notifications/initialized"}


def command(transport: str, journal: Path) -> list[str]:
    return [sys.executable, "-m", "tests.server.toy_server", transport, str(journal)]


@dataclass
class RawServer:
    """A server on the other end of two pipes."""

    process: "subprocess.Popen[bytes]"
    journal: Path

    def send(self, *messages: dict[str, Any] | bytes) -> None:
        assert self.process.stdin is not None
        for message in messages:
            line = message if isinstance(message, bytes) else json.dumps(message).encode() + b"\n"
            self.process.stdin.write(line)
        self.process.stdin.flush()

    def receive(self) -> dict[str, Any]:
        """Return the next line of stdout as JSON; a line that is none fails the test."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.endswith(b"\n")
        assert not line.endswith(b"\r\n")
        message: dict[str, Any] = json.loads(line)
        return message

    def receive_answer(self, request_id: int) -> dict[str, Any]:
        while (message := self.receive()).get("id") != request_id:
            pass
        return message

    def call(self, request_id: int, tool: str, arguments: dict[str, Any] | None = None) -> None:
        params = {"name": tool, "arguments": arguments or {}}
        self.send({"jsonrpc": "2.0", "id": request_id, "method": "tools/call", "params": params})

    def shake_hands(self) -> None:
        self.send(INITIALIZE, INITIALIZED)
        assert self.receive()["id"] == 0

    def wait_for(self, event: str) -> None:
        """Return once the journal holds the event; the process must be writing it."""
        wait_for_line(self.journal, lambda line: line == event)

    def end(self) -> int:
        """Return the exit code; the deadline kills a process that does not end."""
        return self.process.wait()

    def events(self) -> list[str]:
        return self.journal.read_text().split("\n")[1:-1]


def wait_for_line(path: Path, found: Callable[[str], bool]) -> str:
    """Return the first complete line that is looked for. `tail` waits, so that nothing polls."""
    with subprocess.Popen(["tail", "-n", "+1", "-F", path], stdout=subprocess.PIPE) as tail:
        timer = Timer(DEADLINE_S, tail.kill)
        timer.start()
        try:
            assert tail.stdout is not None
            for line in tail.stdout:
                if found(line.decode().rstrip("\n")):
                    return line.decode().rstrip("\n")
        finally:
            timer.cancel()
            tail.kill()
    raise AssertionError(f"the line did not come; {path} holds: {path.read_text()}")


@contextmanager
def toy_process(transport: str, journal: Path) -> Iterator[RawServer]:
    """Start a toy server; it is killed at the deadline, which shows as exit code -9."""
    journal.touch()
    with raw_process(command(transport, journal), journal) as server:
        yield server


@contextmanager
def front_process(mnemon: str, data: Path, deadline_s: float = DEADLINE_S) -> Iterator[RawServer]:
    """Start `mnemon mcp` on a data directory, as a host does."""
    given = [mnemon, "mcp", "--data", str(data), "--embedder", "none"]
    with raw_process(given, data / "owner.log", deadline_s) as front:
        yield front


# A front and an owner as they are on Windows, as far as another system can try them.
PUMPED_FRONT = """
import sys
from server.front import run_front
from server.pumped_pipes import PumpedPipes
sys.exit(run_front(sys.argv[1], {"embedder": "none"}, pipes=PumpedPipes))
"""


def pumped_front(data: Path) -> list[str]:
    """The command of a front that has threads in place of poll."""
    return [sys.executable, "-c", PUMPED_FRONT, str(data)]


@contextmanager
def loopback_owner(mnemon: str, data: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """An owner that takes the lock by itself and listens on a port."""
    serve = [mnemon, "serve", "--background=-1", "--loopback", "--embedder", "none"]
    with subprocess.Popen([*serve, "--data", str(data)]) as owner:
        try:
            wait_for_line(data / "owner.lock", lambda line: str(owner.pid) in line)
            yield owner
        finally:
            owner.kill()


def read_owner(data: Path) -> int:
    """The pid in the owner's lock file."""
    return int(json.loads((data / "owner.lock").read_text())["pid"])


def ask_status(data: Path) -> dict[str, Any]:
    """The owner's status; when this returns, the owner has closed the connection."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(DEADLINE_S)
        connection.connect(str(data / "owner.sock"))
        connection.sendall(b'{"mnemon":1,"ask":"status"}\n')
        with connection.makefile("rb") as lines:
            status: dict[str, Any] = json.loads(lines.read())
    return status


def kill_owner(data: Path) -> None:
    """Kill the owner as a crash would, and return when it is dead; there may be another by then."""
    pid = read_owner(data)
    death = os.pidfd_open(pid) if sys.platform == "linux" else None
    os.kill(pid, signal.SIGKILL)
    if death is not None:
        select.select([death], [], [], DEADLINE_S)
        os.close(death)


@contextmanager
def raw_process(
    program: Sequence[str], journal: Path, deadline_s: float = DEADLINE_S
) -> Iterator[RawServer]:
    """Start a program with raw pipes; it is killed at the deadline."""
    process = subprocess.Popen(
        program,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "PYTHONIOENCODING": "cp1252"},
    )
    timer = Timer(deadline_s, process.kill)
    timer.start()
    try:
        yield RawServer(process, journal)
    finally:
        timer.cancel()
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None and not pipe.closed:
                with suppress(BrokenPipeError):
                    pipe.close()
