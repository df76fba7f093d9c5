"""What does a host wait for, and what does the front between it and the owner cost?

Questions, each beside its baseline in one run: process start → `initialize` answered through the
front with a warm owner, against a bare script of the standard library, a bare server on the same
SDK, and Node's @modelcontextprotocol/server-memory (left out with a note where npm is missing); the
front's resident memory; a call through the front against the same call straight to the owner's
socket, and through the least a relay can be: wait, read, write, without a thought for owners that
die. Goals: start ≤ 0.3 of server-memory's and ≤ 1.5 of the bare script's, front ≤ 16 MB, the relay
adds ≤ 0.1 ms to the median call.

All sides of a comparison take turns, starts in a shuffled order (whoever follows Node finds cold
caches). The first rounds are not measured. Prints one JSON line: quartiles, and p99 of calls.
"""

import argparse
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.report import Report, print_line, quartiles, say, spread
from benchmarks.startup import BARE, INITIALIZE, start_ms
from benchmarks.stdio_servers import (
    MNEMON,
    SERVER_MEMORY_VERSION,
    node_version,
    piped,
    server_memory,
)
from scripts.node_tools import ToolsMissing

SCRIPT = """
import json, sys
for line in sys.stdin:
    answer = {"jsonrpc": "2.0", "id": json.loads(line)["id"], "result": {"serverInfo": {}}}
    print(json.dumps(answer), flush=True)
"""
LEAST_RELAY = """
import os, select, socket, sys
owner = socket.socket(socket.AF_UNIX)
owner.connect(sys.argv[1])
poll = select.poll()
poll.register(0, select.POLLIN)
poll.register(owner, select.POLLIN)
while True:
    for fd, _ in poll.poll():
        if fd == 0:
            chunk = os.read(0, 65536)
            if not chunk:
                sys.exit()
            owner.send(chunk)
        else:
            os.write(1, owner.recv(65536))
"""
GREETING = b'{"mnemon":1,"front":"benchmark"}\n'
GOALS = {
    "front_of_server_memory": 0.3,
    "front_of_script": 1.5,
    "front_rss_mb": 16,
    "call_front_adds_ms": 0.1,
    "ping_front_adds_ms": 0.1,
}
REQUESTS: dict[str, dict[str, Any]] = {
    "call": {"method": "tools/call", "params": {"name": "agent_list", "arguments": {}}},
    "ping": {"method": "ping"},
}


def node_server() -> list[str] | None:
    """How the Node server is started; None where it cannot be had."""
    try:
        return server_memory()
    except ToolsMissing as error:
        say(str(error))
        return None


def measure_starts(rounds: int, data: Path, node: list[str] | None) -> dict[str, Any]:
    """Start all servers in turn; the owner of `data` is warm."""
    commands = {
        "front": [MNEMON, "mcp", "--data", str(data)],
        "script": [sys.executable, "-c", SCRIPT],
        "bare_sdk": [sys.executable, "-c", BARE],
    } | ({"server_memory": node} if node else {})
    environment = {**os.environ, "MEMORY_FILE_PATH": str(data / "node.json")}
    times: dict[str, list[float]] = {name: [] for name in commands}
    order = random.Random(1)  # noqa: S311 - only the same again
    for number in range(rounds + 1):
        for name in order.sample(list(commands), len(commands)):
            took_ms = start_ms(commands[name], environment)
            if number:
                times[name].append(took_ms)
    front = median(times["front"])
    return {
        **{f"{name}_ms": quartiles(taken, 1) for name, taken in times.items()},
        **{f"front_of_{n}": round(front / median(t), 3) for n, t in times.items() if n != "front"},
    }


class Connection:
    """A session with the owner, by whatever way."""

    def __init__(self, writer: Any, reader: Any, greets: bool) -> None:
        self._writer, self._reader, self._last_id = writer, reader, 0
        self.times_ms: dict[str, list[float]] = {name: [] for name in REQUESTS}
        if greets:
            self._ask(GREETING)
        self._ask(json.dumps(INITIALIZE).encode() + b"\n")
        self._writer.write(b'{"jsonrpc":"2.0","method":"notifications/initialized"}\n')

    def ask(self, name: str) -> None:
        """Measure one request."""
        self._last_id += 1
        request = {"jsonrpc": "2.0", "id": self._last_id, **REQUESTS[name]}
        line = json.dumps(request).encode() + b"\n"
        started = time.perf_counter()
        self._ask(line)
        self.times_ms[name].append((time.perf_counter() - started) * 1000)

    def _ask(self, line: bytes) -> None:
        self._writer.write(line)
        self._writer.flush()
        self._reader.readline()


def measure_relay(calls: int, data: Path) -> dict[str, Any]:
    """The same requests by each way in turn, and the front's memory; the first are not counted."""
    address = str(data / "owner.sock")
    with ExitStack() as stack:
        front = stack.enter_context(piped([MNEMON, "mcp", "--data", str(data)]))
        least = stack.enter_context(piped([sys.executable, "-c", LEAST_RELAY, address]))
        straight = stack.enter_context(socket.socket(socket.AF_UNIX))
        straight.connect(address)
        lines = stack.enter_context(straight.makefile("rwb"))
        ways = {
            "through_front": Connection(front.stdin, front.stdout, greets=False),
            "through_least": Connection(least.stdin, least.stdout, greets=True),
            "direct": Connection(lines, lines, greets=True),
        }
        for request in REQUESTS:
            for _ in range(calls + calls // 10):
                for way in ways.values():
                    way.ask(request)
        rss_mb = resident_mb(front.pid)
        for process in (front, least):
            assert process.stdin is not None  # noqa: S101
            process.stdin.close()
    found: dict[str, Any] = {"front_rss_mb": rss_mb}
    for request in REQUESTS:
        times = {name: way.times_ms[request][-calls:] for name, way in ways.items()}
        p50 = {name: median(taken) for name, taken in times.items()}
        found |= {
            f"{request}_{name}_ms": spread(taken, 25, 50, 75, 99) for name, taken in times.items()
        }
        found[f"{request}_front_adds_ms"] = round(p50["through_front"] - p50["direct"], 3)
        found[f"{request}_least_adds_ms"] = round(p50["through_least"] - p50["direct"], 3)
    return found


def resident_mb(pid: int) -> float:
    """Resident memory of a process (Linux)."""
    rows = Path(f"/proc/{pid}/status").read_text().splitlines()
    return round(next(int(row.split()[1]) for row in rows if row.startswith("VmRSS")) / 1024, 1)


def main() -> None:
    """Measure and print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--calls", type=int, default=1000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        data = Path(name)
        node = node_server()
        try:
            start_ms([MNEMON, "mcp", "--data", str(data)], dict(os.environ))
            starts = measure_starts(options.rounds, data, node)
            relay = measure_relay(options.calls, data)
        finally:
            subprocess.run([MNEMON, "stop", "--data", str(data)], capture_output=True)
    note = {} if node else {"note": "server-memory left out: npm is missing or cannot install it"}
    figures = {**starts, **relay, **note}
    versions = {"server-memory": SERVER_MEMORY_VERSION, "node": node_version()} if node else {}
    print_line(Report("hosts", figures, vars(options), GOALS, packages=("mcp",), versions=versions))


if __name__ == "__main__":
    main()
