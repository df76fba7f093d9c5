"""Running the official suite and the Inspector, and reading what they found."""

import json
import os
import re
import subprocess
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from scripts.node_tools import find_node, install_tools

SUITE: Final = "@modelcontextprotocol/conformance@0.2.0-alpha.12"
INSPECTOR: Final = "@modelcontextprotocol/inspector@2.12.0"
EXPECTED_FAILURES: Final = Path(__file__).with_name("expected-failures.yml")
DEADLINE_S: Final = 180  # against a hang; a revision takes 5 to 15 s

Check = dict[str, Any]


@dataclass(frozen=True)
class Scenario:
    """What one scenario of the suite found."""

    name: str
    checks: tuple[Check, ...]

    def with_status(self, *statuses: str) -> list[Check]:
        return [check for check in self.checks if check["status"] in statuses]

    @property
    def complaints(self) -> list[str]:
        """Checks that failed or warn, without those that the suite could not do here."""
        return [
            f"{self.name}: {check['id']}: {check.get('errorMessage', '')}"
            for check in self.with_status("FAILURE", "WARNING")
            if not check.get("details", {}).get("untestable")
        ]

    @property
    def is_vacuous(self) -> bool:
        """Whether nothing passed but the form of the messages."""
        passed = self.with_status("SUCCESS")
        return all(check["id"] == "wire-schema-valid" for check in passed)


@dataclass(frozen=True)
class Run:
    """All scenarios of one revision against one server."""

    exit_code: int
    output: str
    scenarios: dict[str, Scenario]

    def counts(self, names: Iterable[str] | None = None) -> Counter[str]:
        chosen = self.scenarios if names is None else names
        return Counter(check["status"] for name in chosen for check in self.scenarios[name].checks)

    @property
    def failing(self) -> set[str]:
        return {name for name, found in self.scenarios.items() if found.with_status("FAILURE")}


@dataclass(frozen=True)
class Tools:
    """The suite and the Inspector, installed."""

    node: str
    modules: Path
    summary: list[str] = field(default_factory=list)

    @classmethod
    def install(cls, directory: Path) -> "Tools":
        """Install both from npm, unless they are there.

        Raises:
            ToolsMissing: that cannot be done here.
        """
        return cls(find_node(directory), install_tools(directory, SUITE, INSPECTOR))

    def run_suite(self, url: str, revision: str, results: Path, *flags: str) -> Run:
        """Everything that a revision requires, and what the suite runs beside it."""
        entry = self.modules / "@modelcontextprotocol" / "conformance" / "dist" / "index.js"
        wanted = ["server", "--url", url, "--requirements", revision, "-o", str(results)]
        done = subprocess.run(
            [self.node, entry, *wanted, *flags],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=DEADLINE_S,
        )
        return Run(done.returncode, done.stdout, read_results(results))

    def inspect(
        self, config: Path, era: str, method: str, *flags: str
    ) -> "subprocess.CompletedProcess[str]":
        """One request of the Inspector's command line to the server in a configuration file."""
        entry = self.modules / "@modelcontextprotocol" / "inspector" / "clients" / "launcher"
        asked = ["--config", str(config), "--server", "mnemon", "--protocol-era", era]
        form = ["--method", method, "--format", "json", "--quiet"]
        return subprocess.run(
            [self.node, entry / "build" / "index.js", "--cli", *asked, *form, *flags],
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            # It would look for the machine's keychain, and report that there is none.
            env={**os.environ, "MCP_INSPECTOR_SECRET_STORE": "memory"},
        )


def read_results(directory: Path) -> dict[str, Scenario]:
    """What the suite wrote: a folder for each scenario, named after it and the time."""
    found = {}
    for file in sorted(directory.glob("*/checks.json")):
        name = re.sub(r"^server-(.+)-\d{4}-\d\d-\d\dT[\d-]+Z$", r"\1", file.parent.name)
        found[name] = Scenario(name, tuple(json.loads(file.read_text(encoding="utf-8"))))
    return found
