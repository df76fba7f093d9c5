"""What the tests of the command line share."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.server.processes import Run


@pytest.fixture
def run(mnemon: str, tmp_path: Path) -> Run:
    """Run mnemon on a data directory of the test's own."""

    def call(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "MNEMON_DATA": str(tmp_path / "data")}
        return subprocess.run(
            [mnemon, *arguments],
            **{"env": environment, "capture_output": True, "text": True, "timeout": 60, **options},
        )

    return call
