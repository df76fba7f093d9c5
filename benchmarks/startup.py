"""How long until a host has its first answer?

Question: process start → `initialize` answered, of the server itself (`mnemon mcp --data :memory:`,
which needs no owner) against a bare server with one tool on the same SDK, started alternately in
one run. Goal: the ratio of medians ≤ 1.25. What a host waits for when an owner is there or must be
started first is hosts.py's question.

Each start is a fresh process; bytecode is compiled in a first, unmeasured round. Prints one JSON
line: medians and quartiles in ms, the ratio, versions.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.report import Report, print_line, quartiles, say

BARE = """
import anyio
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp_types import CallToolResult, ListToolsResult, TextContent, Tool

async def list_tools(ctx, params):
    return ListToolsResult(tools=[Tool(name="echo", input_schema={"type": "object"})])

async def call_tool(ctx, params):
    return CallToolResult(content=[TextContent(text="ok")])

async def main():
    server = Server("bare", on_list_tools=list_tools, on_call_tool=call_tool)
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())

anyio.run(main)
"""

INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "benchmark", "version": "1"},
    },
}


def start_ms(command: Sequence[str], environment: dict[str, str]) -> float:
    """Start a server, wait for its answer to initialize, end it; return the milliseconds."""
    # An installed program has its bytecode; where this is set, every start would compile again.
    environment = {k: v for k, v in environment.items() if k != "PYTHONDONTWRITEBYTECODE"}
    request = (json.dumps(INITIALIZE) + "\n").encode()
    started = time.perf_counter()
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
    ) as process:
        assert process.stdin is not None and process.stdout is not None  # noqa: S101
        process.stdin.write(request)
        process.stdin.flush()
        answer = json.loads(process.stdout.readline())
        took_ms = (time.perf_counter() - started) * 1000
        process.stdin.close()
        process.wait(10)
    if "serverInfo" not in answer.get("result", {}):
        raise SystemExit(f"no answer to initialize: {answer}")
    return took_ms


def measure(rounds: int) -> dict[str, Any]:
    """Start both servers alternately and summarise."""
    mnemon = [str(Path(sys.executable).with_name("mnemon")), "mcp", "--data", ":memory:"]
    bare = [sys.executable, "-c", BARE]
    times: dict[str, list[float]] = {"mnemon": [], "bare": []}
    for number in range(rounds + 1):
        for name, command in (("bare", bare), ("mnemon", mnemon)):
            took_ms = start_ms(command, dict(os.environ))
            if number > 0:
                times[name].append(took_ms)
        say(f"round {number} of {rounds}")
    medians = {name: statistics.median(taken) for name, taken in times.items()}
    return {
        **{f"{name}_ms": quartiles(taken, 1) for name, taken in times.items()},
        "ratio": round(medians["mnemon"] / medians["bare"], 3),
    }


def main() -> None:
    """Measure and print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    figures = measure(options.rounds)
    print_line(Report("startup", figures, vars(options), {"ratio": 1.25}, packages=("mcp",)))


if __name__ == "__main__":
    main()
