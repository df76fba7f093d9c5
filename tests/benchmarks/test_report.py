"""The line that every benchmark prints."""

import json
import platform
from pathlib import Path

import pytest

from benchmarks.report import KEYS, Report, print_line, spread

ROOT = Path(__file__).parents[2]


def test_a_report_is_one_line_with_its_machine_its_versions_and_its_load(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_line(Report("speed", {"ms": 2.5}, {"rounds": 3}, {"ms": 3}, seed=7, packages=("mcp",)))
    (printed,) = capsys.readouterr().out.splitlines()
    line = json.loads(printed)
    assert line.keys() == KEYS
    assert line["figures"] == {"ms": 2.5}
    assert line["goals"] == {"ms": 3}
    assert (line["seed"], line["sizes"]) == (7, {"rounds": 3})
    assert line["versions"].keys() == {"python", "mnemon", "mcp"}
    assert line["machine"]["cpus"] > 0
    assert line["load"].keys() == {"at_start", "at_end"}


def test_a_line_names_neither_the_host_nor_a_folder(capsys: pytest.CaptureFixture[str]) -> None:
    print_line(Report("speed", {}, {}))
    printed = capsys.readouterr().out
    assert platform.node() not in printed
    assert str(ROOT) not in printed


def test_a_spread_has_the_percentiles_asked_for() -> None:
    assert spread([float(n) for n in range(101)], 25, 50, 95) == {"p25": 25, "p50": 50, "p95": 95}
