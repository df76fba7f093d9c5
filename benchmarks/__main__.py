"""Runs the benchmarks, each in a process of its own, and writes docs/benchmarks.md.

    python -m benchmarks [--only NAME...] [--full] [--locomo PATH] [--json] [--no-write]

Prints the line of each (report.py) as it comes; progress goes to stderr. Which there are, and how
large they run: catalogue.py. How lines become tables: tables.py. How long: minutes, with --full an
hour or two.
"""

import argparse
import difflib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import page, suite
from benchmarks.catalogue import BENCHMARKS, Benchmark

INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Places:
    """Where lines are kept, and the page that shows them."""

    kept: Path = suite.ROOT / ".bench"
    page: Path = suite.ROOT / "docs" / "benchmarks.md"


def main(
    arguments: Sequence[str] | None = None,
    benchmarks: Sequence[Benchmark] = BENCHMARKS,
    places: Places | None = None,
) -> int:
    """Run what the arguments ask for; the exit code: 0, 1 (one failed), 2 (asked wrongly), 130."""
    places = places or Places()
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        if options.list:
            print(_listing(benchmarks, options.full))
            return 0
        if options.lines:
            return _write(places.page, [line for file in options.lines for line in _read(file)])
        chosen = choose(benchmarks, options.only)
        if options.locomo and not (Path(options.locomo) / "eval_retrieval.py").is_file():
            raise ValueError(f"--locomo {options.locomo} does not hold eval_retrieval.py")
    except (ValueError, OSError) as error:
        parser.error(str(error))
    return _run(chosen, options, places)


def choose(benchmarks: Sequence[Benchmark], names: Sequence[str] | None) -> list[Benchmark]:
    """Those with the names, in the order of the catalogue; all if none is named.

    Raises:
        ValueError: there is none with a name; the message has the nearest.
    """
    known = {benchmark.name: benchmark for benchmark in benchmarks}
    for name in names or ():
        if name not in known:
            near = difflib.get_close_matches(name, known, n=3, cutoff=0.4) or sorted(known)
            raise ValueError(f"there is no benchmark {name!r}; did you mean {' or '.join(near)}?")
    return [benchmark for benchmark in benchmarks if not names or benchmark.name in names]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these alone")
    parser.add_argument("--list", action="store_true", help="what there is, and how it is run")
    parser.add_argument("--full", action="store_true", help="the sizes that claims rest on")
    parser.add_argument("--locomo", metavar="PATH", help="folder of the LoCoMo harness and data")
    parser.add_argument("--json", action="store_true", help="nothing but the lines on stdout")
    parser.add_argument("--no-write", action="store_true", help="leave docs/benchmarks.md alone")
    parser.add_argument(
        "--lines", nargs="+", type=Path, metavar="FILE", help="run nothing, show these kept lines"
    )
    return parser


def _listing(benchmarks: Sequence[Benchmark], full: bool) -> str:
    rows = [
        f"{b.name:<16} {' '.join(b.arguments(full, None))}"
        + ("  (only with --locomo PATH)" if b.needs_locomo else "")
        for b in benchmarks
    ]
    return "\n".join(rows)


def _run(chosen: Sequence[Benchmark], options: argparse.Namespace, places: Places) -> int:
    outcome = None
    printed = 0
    for outcome in suite.run_all(chosen, suite.Size(options.full, options.locomo), places.kept):
        for line in outcome.lines[printed:]:
            print(json.dumps(line), flush=True)
        printed = len(outcome.lines)
    if outcome is None:
        print("nothing was run: all of these need --locomo PATH", file=sys.stderr)
        return 2
    said = sys.stderr if options.json else sys.stdout
    print(summary(outcome), file=said, flush=True)
    if outcome.interrupted:
        return INTERRUPTED
    if outcome.lines and not options.no_write:
        _write(places.page, outcome.lines)
    return 1 if outcome.failures else 0


def summary(outcome: suite.Outcome) -> str:
    """What was measured, what failed, what was not run and why, and where the lines are."""
    names = [line["benchmark"] for line in outcome.lines]
    rows = [f"measured: {name}, {outcome.seconds[name]} s" for name in names]
    rows += [f"failed: {name}: {why}" for name, why in outcome.failures.items()]
    rows += [f"not run: {name}: {why}" for name, why in outcome.not_run.items()]
    if outcome.lines:
        rows.append(f"lines are kept in {outcome.kept}")
    return "\n".join(rows)


def _read(file: Path) -> list[suite.Line]:
    rows = file.read_text(encoding="utf-8").splitlines()
    try:
        return [suite.read_line(row) for row in rows if row.strip()]
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from None


def _write(path: Path, lines: Sequence[suite.Line]) -> int:
    text = path.read_text(encoding="utf-8")
    written, unplaced = page.with_lines(text, lines)
    if written != text:
        path.write_text(written, encoding="utf-8")
    for name in unplaced:
        print(f"{path.name} has no place for {name}: add <!-- bench:{name} -->", file=sys.stderr)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
