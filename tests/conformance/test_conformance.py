"""The official conformance suite: our stack under its fixture, and the real server.

Over HTTP with the guard and a token; both revisions that the suite has. What it wants of a server
that offers everything is in fixture.py; what applies to any server is asked of `mnemon serve`.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conformance.relay import relay
from tests.conformance.suite import EXPECTED_FAILURES, Tools
from tests.server.processes import raw_process

REVISIONS = ("2025-11-25", "2026-07-28")
DEADLINE_S = 300.0

# Scenarios and passed checks of these versions of the suite, so that none is lost in silence.
EXPECTED = {"2025-11-25": (33, 81), "2026-07-28": (50, 164)}

# Resuming a stream needs a store of sent events, which we do not keep: a call can be repeated.
NOT_OFFERED = {"server-sse-polling"}

# What is asked of every server, whatever its tools. The rest wants the fixture's tools, or passes
# because an unknown tool is an error too.
BOTH = {
    "tools-list", "resources-list", "prompts-list", "completion-complete",
    "server-sse-multiple-streams", "dns-rebinding-protection",
}  # fmt: skip
APPLICABLE = {
    "2025-11-25": BOTH | {"server-initialize", "ping", "server-session-lifecycle"},
    "2026-07-28": BOTH
    | {
        "server-stateless", "caching", "sep-2164-resource-not-found", "http-header-validation",
        "input-required-result-unsupported-methods",
    },
}  # fmt: skip
PASSED_BY_MNEMON = {"2025-11-25": 21, "2026-07-28": 65}

# That lists changed is told when they did, and nothing here changes them; the fixture does.
ONLY_THE_FIXTURE_CHANGES = {
    "sep-2575-server-sends-prompts-list-changed-on-subscription",
    "sep-2575-server-sends-tools-list-changed-on-subscription",
}


@contextmanager
def served(program: Sequence[str], directory: Path) -> Iterator[str]:
    """Start a server that prints where it is; gives a URL that needs no token."""
    with raw_process(program, directory / "journal", DEADLINE_S) as server:
        assert server.process.stdout is not None
        line = server.process.stdout.readline().decode()
        url = json.loads(line)["url"] if line.startswith("{") else line.strip()
        with relay(url, (directory / "http-token").read_text().strip()) as open_url:
            yield open_url


def expected_failures() -> set[str]:
    text = EXPECTED_FAILURES.read_text(encoding="utf-8")
    names = set(re.findall(r"^  - (\S+)$", text, re.MULTILINE))
    assert all(name.startswith("tasks-") for name in names)
    return names


@pytest.mark.parametrize("revision", REVISIONS)
def test_our_stack_passes_all_but_tasks(tools: Tools, revision: str, tmp_path: Path) -> None:
    fixture = [sys.executable, "-m", "tests.conformance.fixture", str(tmp_path)]
    with served(fixture, tmp_path) as url:
        flags = ("--expected-failures", str(EXPECTED_FAILURES))
        run = tools.run_suite(url, revision, tmp_path / "results", *flags)
    counts = run.counts()
    tools.summary.append(
        f"conformance {revision}, fixture: {len(run.scenarios)} scenarios, "
        f"{counts['SUCCESS']} checks passed, {counts['FAILURE']} failed (tasks-*)"
    )
    others = {name: found for name, found in run.scenarios.items() if name[:6] != "tasks-"}
    strict = [found for name, found in others.items() if name not in NOT_OFFERED]
    assert [line for found in strict for line in found.complaints] == []
    assert [found.name for found in strict if found.is_vacuous] == []
    # The suite itself does not hold what it calls unscored to the list, and tasks-* is all of that.
    assert run.failing == run.scenarios.keys() & expected_failures()
    assert (len(run.scenarios), counts["SUCCESS"]) == EXPECTED[revision]
    assert run.exit_code == 0, run.output


@pytest.mark.parametrize("revision", REVISIONS)
def test_the_real_server_passes_what_applies_to_any(
    tools: Tools, mnemon: str, revision: str, tmp_path: Path
) -> None:
    memory = ["--data", str(tmp_path), "--embedder", "none"]
    subprocess.run([mnemon, "agents", "create", "Ada", *memory], check=True, capture_output=True)
    with served([mnemon, "serve", *memory, "--port", "0", "--json"], tmp_path) as url:
        run = tools.run_suite(url, revision, tmp_path / "results")
    names = APPLICABLE[revision]
    counts = run.counts(names)
    complaints = [
        line
        for name in sorted(names)
        for line in run.scenarios[name].complaints
        if line.split(": ")[1] not in ONLY_THE_FIXTURE_CHANGES
    ]
    tools.summary.append(
        f"conformance {revision}, mnemon serve: {len(names)} scenarios that apply, "
        f"{counts['SUCCESS']} checks passed, {len(complaints)} failed"
    )
    assert complaints == []
    assert counts["SUCCESS"] == PASSED_BY_MNEMON[revision]
