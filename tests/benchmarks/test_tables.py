"""From a line to the tables of the page, and the page's own text left alone."""

from typing import Any

import pytest

from benchmarks.page import with_lines
from benchmarks.tables import as_markdown


def line(figures: dict[str, Any], name: str = "speed", **more: Any) -> dict[str, Any]:
    return {
        "benchmark": name,
        "measured_at": "2026-03-31T10:00:00+00:00",
        "seed": None,
        "sizes": {"rounds": 1500},
        "figures": figures,
        "goals": {},
        "load": {"at_start": 0.5, "at_end": 2.0},
        "machine": {"cpu": "Z80", "cpus": 2, "memory_gb": 4, "system": "Linux 6.1"},
        "versions": {"python": "3.11.7", "mnemon": "0.1.0"},
        **more,
    }


def tables(figures: dict[str, Any], **more: Any) -> list[str]:
    """The tables alone, in order."""
    return as_markdown(line(figures, **more)).split("\n\n")[1:]


def test_a_line_is_introduced_with_where_its_figures_come_from() -> None:
    assert as_markdown(line({"ms": 1}, seed=7)).splitlines()[0] == (
        "*Measured 2026-03-31; Z80, 2 CPUs, 4 GB, Linux 6.1; load 0.5 before, 2.0 after;"
        " python 3.11.7, mnemon 0.1.0; rounds 1,500; seed 7.*"
    )


def test_single_figures_are_rows_with_their_spread_and_their_goal() -> None:
    found = {"wait_ms": {"p25": 1.0, "p50": 1.5, "p75": 2.25, "p99": 9.0}, "ratio": 1.198}
    assert tables(found, goals={"ratio": 1.25}) == [
        "| figure | value |\n| --- | --- |\n"
        "| wait ms | 1.5 (1 to 2.25, p99 9) |\n"
        "| ratio | 1.198, goal 1.25 |"
    ]


def test_mappings_with_the_same_figures_are_one_table() -> None:
    found = {"small": {"ms": 1, "recall_at_10": 0.5}, "large": {"ms": 20, "recall_at_10": None}}
    assert tables({"sizes": found}, goals={"sizes": {"large": {"ms": 15}}}) == [
        "| sizes | ms | recall@10 |\n| --- | --- | --- |\n"
        "| small | 1 | 0.5 |\n"
        "| large | 20, goal 15 | - |"
    ]


def test_one_that_is_missing_is_a_row_with_the_reason() -> None:
    found = {"mnemon": {"ms": 1, "mrr": 0.5}, "grep": "left out: no grep | none"}
    assert tables(found) == [
        "|  | ms | mrr |\n| --- | --- | --- |\n"
        "| mnemon | 1 | 0.5 |\n"
        "| grep | left out: no grep \\| none |  |"
    ]


def test_mappings_of_other_figures_are_tables_of_their_own() -> None:
    found = {"alone": {"one": {"ms": 1}, "two": {"ms": 2}}, "calls": {"whole": 1000}}
    assert [table.splitlines()[0] for table in tables(found)] == [
        "| alone | ms |",
        "| calls | value |",
    ]


PAGE = """# Speed

Why.

<!-- bench:speed -->
old
<!-- /bench:speed -->

<!-- bench:size -->
<!-- /bench:size -->
"""


def test_a_line_is_put_between_its_own_marks_and_nothing_else_changes() -> None:
    written, unplaced = with_lines(PAGE, [line({"ms": 1})])
    shown = as_markdown(line({"ms": 1}))
    assert written == PAGE.replace("old", shown)
    assert unplaced == []


def test_the_same_lines_again_change_nothing() -> None:
    lines = [line({"ms": 1}), line({"x \\1": "\\g<0>"}, "size")]
    once, _ = with_lines(PAGE, lines)
    assert with_lines(once, lines) == (once, [])


def test_a_line_without_a_place_is_named() -> None:
    assert with_lines(PAGE, [line({}, "novel")]) == (PAGE, ["novel"])


def test_what_is_no_figure_is_an_error_of_the_benchmark() -> None:
    with pytest.raises(TypeError, match="is no figure"):
        as_markdown(line({"ms": object()}))
