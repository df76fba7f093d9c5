"""What does a host wait for, and what does the front between it and the owner cost?

Questions, each beside its baseline in one run: process start → `initialize` answered through the
front with a warm owner, against a bare script of the standard library, a bare server on the same
SDK, and Node's @modelcontextprotocol/server-memory (left out with a note where npm is missing); the
front's resident memory; a call through the front against the same call straight to the owner's
socket. Goals: start ≤ 0.3 of server-memory's and ≤ 1.5 of the bare script's, front ≤ 16 MB, the
relay adds ≤ 0.1 ms to the median call.

Started alternately, the first round unmeasured. Prints one JSON line: medians and quartiles.
"""

import argparse
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.startup import BARE, INITIALIZE, start_ms, summary

SCRIPT = """
import json, sys
for line in sys.stdin:
    answer = {"jsonrpc": "2.0", "id": json.loads(line)["id"], "result": {"serverInfo": {}}}
    print(json.dumps(answer), flush=True)
"""
NODE_SERVER = "@modelcontextprotocol/server-memory"
MNEMON = str(Path(sys.executable).with_name("mnemon"))
CALL = {"method": "tools/call", "params": {"name": "agent_list", "arguments": {}}}


def install_node_server(folder: Path) -> list[str] | None:
    """Install the Node server; None where that is not possible."""
    if shutil.which("npm") is None:
        return None
    npm = ["npm", "install", "--silent", "--no-audit", "--no-fund", NODE_SERVER]
    if subprocess.run(npm, cwd=folder, capture_output=True).returncode:
        return None
    return ["node", str(folder / "node_modules" / NODE_SERVER / "dist" / "index.js")]


def measure_starts(rounds: int, data: Path, node: list[str] | None) -> dict[str, Any]:
    """Start all servers alternately; the owner of `data` is warm."""
    commands = {
        "front": [MNEMON, "mcp", "--data", str(data)],
        "script": [sys.executable, "-c", SCRIPT],
        "bare_sdk": [sys.executable, "-c", BARE],
    } | ({"server_memory": node} if node else {})
    environment = {**os.environ, "MEMORY_FILE_PATH": str(data / "node.json")}
    times: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(rounds + 1):
        for name, command in commands.items():
            took_ms = start_ms(command, environment)
            if number:
                times[name].append(took_ms)
    front = median(times["front"])
    return {
        **{f"{name}_ms": summary(taken) for name, taken in times.items()},
        **{f"front_of_{n}": round(front / median(t), 3) for n, t in times.items() if n != "front"},
    }


def call_times_ms(writer: Any, reader: Any, calls: int) -> list[float]:
    """Shake hands and measure calls; a tenth more go before, unmeasured."""
    times = []
    for number in range(calls + calls // 10 + 1):
        request = {"jsonrpc": "2.0", "id": number + 1, **CALL} if number else INITIALIZE
        started = time.perf_counter()
        writer.write(json.dumps(request).encode() + b"\n")
        writer.flush()
        reader.readline()
        times.append((time.perf_counter() - started) * 1000)
        if number == 0:
            writer.write(b'{"jsonrpc":"2.0","method":"notifications/initialized"}\n')
    return times[-calls:]


def measure_relay(calls: int, data: Path) -> dict[str, Any]:
    """The same call through the front and straight to the owner, and the front's memory."""
    with (
        subprocess.Popen(
            [MNEMON, "mcp", "--data", str(data)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as front,
        socket.socket(socket.AF_UNIX) as direct,
    ):
        assert front.stdin is not None and front.stdout is not None  # noqa: S101
        direct.connect(str(data / "owner.sock"))
        straight = direct.makefile("rwb")
        straight.write(b'{"mnemon":1,"front":"benchmark"}\n')
        straight.flush()
        straight.readline()
        sides: dict[str, Callable[[], list[float]]] = {
            "through": lambda: call_times_ms(front.stdin, front.stdout, calls),
            "direct": lambda: call_times_ms(straight, straight, calls),
        }
        times = {name: measure() for name, measure in sides.items()}
        status = Path(f"/proc/{front.pid}/status")
        rss = [row for row in status.read_text().splitlines() if row.startswith("VmRSS")]
        front.stdin.close()
    added = median(times["through"]) - median(times["direct"])
    return {
        **{f"call_{name}_ms": summary(taken) for name, taken in times.items()},
        "relay_adds_ms": round(added, 3),
        "front_rss_mb": round(int(rss[0].split()[1]) / 1024, 1),
    }


def main() -> None:
    """Measure and print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--calls", type=int, default=500)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        data = Path(name)
        node = install_node_server(data)
        try:
            start_ms([MNEMON, "mcp", "--data", str(data)], dict(os.environ))
            starts = measure_starts(options.rounds, data, node)
            relay = measure_relay(options.calls, data)
        finally:
            subprocess.run([MNEMON, "stop", "--data", str(data)], capture_output=True)
    note = {} if node else {"note": "server-memory left out: npm is missing or cannot install it"}
    versions = {"mnemon": version("mnemon"), "python": platform.python_version()}
    print(json.dumps({"benchmark": "hosts", **starts, **relay, **note, "versions": versions}))


if __name__ == "__main__":
    main()
