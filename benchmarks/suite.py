"""Runs benchmarks one after the other, and keeps their lines as they come.

One that fails does not keep the others from running. Every line is in the file of its run as soon
as it is there, so that whatever ends a run loses none.
"""

import json
import os
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import processes
from benchmarks.catalogue import Benchmark
from benchmarks.report import KEYS, say

SHOWN_LINES = 10
"""Of stderr, of a benchmark that failed."""

ROOT = Path(__file__).resolve().parent.parent

Line = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Size:
    """How large a run is, and the path of the LoCoMo data."""

    full: bool = False
    locomo: str | None = None


@dataclass(slots=True)
class Outcome:
    """What became of a run. failures, not_run: why, by name."""

    kept: Path
    lines: list[Line] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    not_run: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    interrupted: str | None = None


class Failed(Exception):
    """A benchmark gave no line; the message says why, with the end of its stderr."""


def run_all(benchmarks: Sequence[Benchmark], size: Size, kept_in: Path) -> Iterator[Outcome]:
    """Run all; gives the same outcome after each, as it stands then."""
    kept_in.mkdir(parents=True, exist_ok=True)
    started = datetime.now(UTC)
    outcome = Outcome(kept_in / f"{started:%Y-%m-%dT%H-%M-%S-%f}.jsonl")
    processes.adopt_orphans()
    chosen = []
    for benchmark in benchmarks:
        if benchmark.needs_locomo and size.locomo is None:
            outcome.not_run[benchmark.name] = "it needs the data that --locomo PATH names"
        else:
            chosen.append(benchmark)
    for number, benchmark in enumerate(chosen, start=1):
        elapsed_s = (datetime.now(UTC) - started).total_seconds()
        say(f"[{number} of {len(chosen)}] {benchmark.name}, {elapsed_s:.0f} s so far")
        began = time.monotonic()
        try:
            line = run_one(benchmark, size, kept_in)
        except Failed as failure:
            outcome.failures[benchmark.name] = str(failure)
            say(f"{benchmark.name} failed: {failure}")
        except KeyboardInterrupt:
            outcome.interrupted = benchmark.name
            outcome.not_run |= {left.name: "interrupted" for left in chosen[number - 1 :]}
        else:
            outcome.lines.append(line)
            with outcome.kept.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        outcome.seconds[benchmark.name] = round(time.monotonic() - began, 1)
        yield outcome
        if outcome.interrupted:
            return


def run_one(benchmark: Benchmark, size: Size, folder: Path) -> Line:
    """The line of a benchmark.

    Raises:
        Failed: it ended with an error, or printed no line of the common form.
        KeyboardInterrupt: Ctrl-C; nothing of it runs any more.
    """
    output, progress = folder / f"{benchmark.name}.stdout", folder / f"{benchmark.name}.stderr"
    last: deque[str] = deque(maxlen=SHOWN_LINES)

    def watch(text: str) -> None:
        last.append(text)
        say(f"    {text}")

    command = [sys.executable, *benchmark.arguments(size.full, size.locomo)]
    code = processes.run(command, output, progress, watch, child_environment())
    ending = "".join(f"\n    {text}" for text in last)
    if code:
        ended = f"exit code {code}" if code > 0 else f"ended by signal {-code}"
        raise Failed(f"{ended}{ending}")
    try:
        line = read_line(output.read_text(encoding="utf-8"))
    except ValueError as error:
        raise Failed(f"{error}{ending}") from None
    if line["benchmark"] != benchmark.name:
        raise Failed(f"its line is that of {line['benchmark']!r}")
    return line


def read_line(printed: str) -> Line:
    """The one line of the common form in what a benchmark printed.

    Raises:
        ValueError: it is not that.
    """
    lines = [line for line in printed.splitlines() if line.strip()]
    if len(lines) != 1:
        raise ValueError(f"it printed {len(lines)} lines instead of one")
    try:
        found = json.loads(lines[0])
    except json.JSONDecodeError as error:
        raise ValueError(f"what it printed is no JSON: {error}") from None
    if not isinstance(found, dict) or found.keys() != KEYS:
        raise ValueError(f"its line has not the keys {', '.join(sorted(KEYS))}")
    return found


def child_environment() -> dict[str, str]:
    """This one's, without settings of mnemon, and with this tree before an installed one."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MNEMON_")}
    paths = [str(ROOT), *filter(None, [kept.get("PYTHONPATH")])]
    return {**kept, "PYTHONPATH": os.pathsep.join(paths)}
