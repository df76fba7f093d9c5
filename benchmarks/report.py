"""The one line of JSON that every benchmark prints.

    {"benchmark": "startup", "measured_at": "2026-11-26T18:00:00+00:00", "seed": null,
     "sizes": {"rounds": 20}, "figures": {...}, "goals": {...}, "load": {...}, "machine": {...},
     "versions": {"mnemon": "0.1.0", ...}}

Goals stand at the same keys as the figures that they are for. A figure is a number, a word (why it
is missing), a spread ({"p50": 1.2, "p95": 2.0}) or a mapping of figures. How a line is shown:
tables.py. It names neither the machine nor anybody's folders.
"""

import json
import os
import platform
import re
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

_LOAD_AT_START = os.getloadavg()[0]
KEYS = frozenset("benchmark measured_at seed sizes figures goals load machine versions".split())


@dataclass(frozen=True, slots=True)
class Report:
    """What a benchmark has found.

    packages: those beside mnemon whose versions matter. versions: of what is no Python package
    here. seed: None where nothing is drawn.
    """

    benchmark: str
    figures: Mapping[str, Any]
    sizes: Mapping[str, Any]
    goals: Mapping[str, Any] = field(default_factory=dict)
    seed: int | None = None
    packages: Sequence[str] = ()
    versions: Mapping[str, str] = field(default_factory=dict)


def print_line(report: Report) -> None:
    """Print the line of a report, with what this machine is."""
    print(json.dumps(as_line(report)), flush=True)


def as_line(report: Report) -> dict[str, Any]:
    """The line as it is printed."""
    packages = {name: version(name) for name in ("mnemon", *report.packages)}
    return {
        "benchmark": report.benchmark,
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "seed": report.seed,
        "sizes": dict(report.sizes),
        "figures": dict(report.figures),
        "goals": dict(report.goals),
        "load": {"at_start": round(_LOAD_AT_START, 1), "at_end": round(os.getloadavg()[0], 1)},
        "machine": machine(),
        "versions": {"python": platform.python_version(), **packages, **report.versions},
    }


def machine() -> dict[str, Any]:
    """What was measured on: processor, how many, memory and system."""
    memory_bytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "cpu": cpu_name(),
        "cpus": os.cpu_count(),
        "memory_gb": round(memory_bytes / 2**30),
        "system": " ".join([platform.system(), *re.findall(r"^\d+\.\d+", platform.release())]),
    }


def cpu_name() -> str:
    """The processor as the system calls it, or at least its kind."""
    known = Path("/proc/cpuinfo")
    if known.exists():
        for line in known.read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return f"{value.strip()} ({platform.machine()})"
    return platform.processor() or platform.machine()


def spread(values: Sequence[float], *percents: int, digits: int = 2) -> dict[str, float]:
    """Percentiles by their names: {"p50": 1.2, "p95": 2.0}."""
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return {f"p{percent}": round(cuts[percent - 1], digits) for percent in percents}


def quartiles(values: Sequence[float], digits: int = 2) -> dict[str, float]:
    """Median and quartiles."""
    return spread(values, 25, 50, 75, digits=digits)


def say(text: str) -> None:
    """Progress, beside the line."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
