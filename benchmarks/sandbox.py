"""What does isolation cost a call of untrusted code, beside Python without any?

Question 1: a call, first to last: a process that nobody prepared (cold) and one that waited (warm),
against the same interpreter started bare as the same user (`python -I -c pass`). All three take
turns. Goals: cold ≤ 2.5 times bare, warm ≤ 0.1 times bare.

Question 2: 20 callers at once, each calling again and again: calls a second, and whether processes
or descriptors are left.

Question 3: memory of a process that waits, with bubblewrap's own two: proportional (PSS), so that
what is shared with other processes is divided, and resident (RSS). Goal: ≤ 10 MB PSS.

Prints one JSON line; progress goes to stderr.
"""

import argparse
import os
import subprocess
import time
from contextlib import AsyncExitStack
from pathlib import Path
from statistics import median
from typing import Any

import anyio

from benchmarks.report import Report, print_line, say, spread
from sandbox.namespaces import NamespaceSandbox
from sandbox.places import temporary_places
from sandbox.protocol import ToolRun
from sandbox.settings import SandboxSettings
from sandbox.watch import descendants

TOOL = ToolRun("def add(a, b):\n    return a + b\n", "add", {"a": 2, "b": 3})
CALLERS = 20
GOALS = {"cold_of_bare": 2.5, "warm_of_bare": 0.1, "idle_pss_mb": 10.0}


async def call_ms(sandbox: NamespaceSandbox) -> float:
    """One call."""
    started = time.perf_counter()
    outcome = await sandbox.run(TOOL)
    took = 1000 * (time.perf_counter() - started)
    if outcome.result != TOOL.arguments["a"] + TOOL.arguments["b"]:
        raise SystemExit(f"a call failed: {outcome}")
    return took


def bare_ms(python: str, user: dict[str, Any]) -> float:
    """Start and end of an interpreter that does nothing."""
    started = time.perf_counter()
    subprocess.run([python, "-I", "-c", "pass"], check=True, env={}, cwd="/", **user)
    return 1000 * (time.perf_counter() - started)


async def until_one_waits(sandbox: NamespaceSandbox) -> frozenset[int]:
    """The processes that wait, as soon as there are any; a little later they are at rest."""
    while not sandbox.idle_pids():  # noqa: ASYNC110 - nothing tells us
        await anyio.sleep(0.005)
    await anyio.sleep(0.02)
    return sandbox.idle_pids()


async def measure_calls(
    rounds: int, cold: NamespaceSandbox, warm: NamespaceSandbox
) -> dict[str, Any]:
    """Bare, cold and warm in turn; the first rounds are not counted."""
    python = (await cold.run(ToolRun("import sys\nsys.executable", None))).result
    user = (await cold.child()).spawn_arguments()
    times: dict[str, list[float]] = {"bare": [], "cold": [], "warm": []}
    for number in range(-3, rounds):
        taken = {"bare": bare_ms(python, user), "cold": await call_ms(cold)}
        taken["warm"] = await call_ms(warm)
        # Its successor is started in the background: not while the others are measured.
        await until_one_waits(warm)
        if number >= 0:
            for name, took in taken.items():
                times[name].append(took)
    p50 = {name: median(taken) for name, taken in times.items()}
    return {
        **{f"{name}_ms": spread(taken, 50, 90, 99) for name, taken in times.items()},
        **{f"{name}_of_bare": round(p50[name] / p50["bare"], 3) for name in ("cold", "warm")},
    }


async def measure_many(rounds: int, sandbox: NamespaceSandbox) -> dict[str, Any]:
    """All callers at once, and what is left when they are done."""
    times: list[float] = []

    async def caller() -> None:
        for _ in range(rounds):
            times.append(await call_ms(sandbox))

    await sandbox.aclose()
    before = left_over()
    started = time.perf_counter()
    async with anyio.create_task_group() as callers:
        for _ in range(CALLERS):
            callers.start_soon(caller)
    took_s = time.perf_counter() - started
    await sandbox.aclose()
    after = left_over()
    return {
        "callers": CALLERS,
        "calls": len(times),
        "calls_per_s": round(len(times) / took_s, 1),
        "call_ms": spread(times, 50, 90, 99),
        "left_processes": after[0] - before[0],
        "left_descriptors": after[1] - before[1],
    }


def left_over() -> tuple[int, int]:
    """Processes that descend from this one, and its open descriptors."""
    return len(descendants(os.getpid())), len(list(Path("/proc/self/fd").iterdir()))


def memory_mb(pids: frozenset[int]) -> dict[str, float]:
    """Of some processes together."""
    found = {"Pss": 0.0, "Rss": 0.0}
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            name, _, value = line.partition(":")
            if name in found:
                found[name] += int(value.split()[0]) / 1024
    return {f"idle_{name.lower()}_mb": round(value, 1) for name, value in found.items()}


async def measure(rounds: int) -> dict[str, Any]:
    """Everything, in one process."""
    async with AsyncExitStack() as stack:
        places = stack.enter_context(temporary_places())
        cold, warm = [
            await stack.enter_async_context(NamespaceSandbox(places, settings).open())
            for settings in (SandboxSettings(warm_workers=0), SandboxSettings())
        ]
        found = await cold.availability()
        if found.tier is None:
            raise SystemExit(f"nothing is run here: {found.cause}. {found.cure}")
        await warm.availability()
        calls = await measure_calls(rounds, cold, warm)
        say("calls are measured")
        memory = memory_mb(await until_one_waits(warm))
        many = await measure_many(max(2, rounds // 10), warm)
    return {"tier": found.tier, **calls, **memory, "at_once": many}


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    options = parser.parse_args()
    figures = {**anyio.run(measure, options.rounds), "root": os.geteuid() == 0}
    print_line(Report("sandbox", figures, vars(options), GOALS))


if __name__ == "__main__":
    main()
