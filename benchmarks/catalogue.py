"""Which benchmarks there are, and how large they run: data for the runner (__main__.py).

Small runs say whether something broke, in minutes. Full ones are what claims rest on: hours.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A program that prints one line (report.py).

    command: what Python gets. small, full: further arguments by size. locomo: the arguments before
    the path of the LoCoMo data, where that is given; None: it has no use for it. needs_locomo: it
    is not run without.
    """

    name: str
    command: Sequence[str]
    small: Sequence[str] = ()
    full: Sequence[str] = ()
    locomo: Sequence[str] | None = None
    needs_locomo: bool = False

    def arguments(self, full: bool, locomo: str | None) -> list[str]:
        """What Python gets for a run."""
        given = [*self.command, *(self.full if full else self.small)]
        if locomo is not None and self.locomo is not None:
            given += [*self.locomo, locomo]
        return given


def _module(name: str) -> tuple[str, str]:
    return ("-m", f"benchmarks.{name}")


BENCHMARKS: Sequence[Benchmark] = (
    Benchmark("startup", _module("startup"), ("--rounds", "10"), ("--rounds", "40")),
    Benchmark(
        "hosts",
        _module("hosts"),
        ("--rounds", "8", "--calls", "500"),
        ("--rounds", "30", "--calls", "3000"),
    ),
    Benchmark(
        "turn",
        _module("turn"),
        ("--messages", "2000", "--passages", "2000", "--turns", "60"),
        ("--messages", "100000", "--passages", "10000", "--turns", "200"),
    ),
    Benchmark("prefix", _module("prefix"), ("--rounds", "3"), ("--rounds", "15")),
    Benchmark(
        "constrained",
        _module("constrained"),
        ("--rounds", "6", "--calls", "200"),
        ("--rounds", "30", "--calls", "1000"),
    ),
    Benchmark("sandbox", _module("sandbox"), ("--rounds", "40"), ("--rounds", "200")),
    Benchmark("facts", _module("facts"), ("--facts", "200"), ("--facts", "500")),
    Benchmark("event_dates", _module("event_dates"), ("--events", "50"), ("--events", "200")),
    Benchmark(
        "size",
        _module("size"),
        ("--sizes", "500", "1000", "2000", "5000"),
        ("--sizes", "1000", "3000", "10000", "30000", "100000"),
    ),
    Benchmark(
        "vector_engines", _module("vector_engines"), ("--rows", "10000"), ("--rows", "100000")
    ),
    Benchmark(
        "ingest",
        _module("ingest"),
        ("--passages", "400", "--sizes", "1000", "3000"),
        ("--passages", "2000", "--sizes", "1000", "10000", "100000"),
    ),
    Benchmark(
        "peers", _module("peers"), ("--facts", "100"), ("--facts", "500"), locomo=("--locomo",)
    ),
    Benchmark("locomo", _module("locomo"), locomo=(), needs_locomo=True),
    Benchmark(
        "locomo_ablation",
        _module("locomo_ablation"),
        full=("--window-vectors",),
        locomo=(),
        needs_locomo=True,
    ),
)
