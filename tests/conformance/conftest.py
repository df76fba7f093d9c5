"""The suite and the Inspector for the tests here, and what they found, at the end of the run.

Where npm cannot install them, the tests are skipped; with CONFORMANCE_REQUIRED (`make conformance`,
`make check`) they fail.
"""

import os
from pathlib import Path

import pytest

from scripts.node_tools import ToolsMissing
from tests.conformance.suite import Tools

ROOT = Path(__file__).parents[2]
SUMMARY = pytest.StashKey[list[str]]()


@pytest.fixture(scope="session")
def tools(pytestconfig: pytest.Config) -> Tools:
    try:
        found = Tools.install(ROOT / ".node")
    except ToolsMissing as error:
        if "CONFORMANCE_REQUIRED" in os.environ:
            pytest.fail(f"conformance cannot be checked: {error}", pytrace=False)
        pytest.skip(f"conformance is not checked: {error}")
    pytestconfig.stash[SUMMARY] = found.summary
    return found


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    for line in config.stash.get(SUMMARY, []):
        terminalreporter.write_line(line)
