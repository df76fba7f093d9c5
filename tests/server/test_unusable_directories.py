"""Data directories that cannot be used as they are: one line that says so, never a traceback."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.server.processes import Run

pytestmark = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs the rights of files")

WITHOUT = "-dac_override,-dac_read_search"
TiedRun = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def tied(mnemon: str, tmp_path: Path) -> TiedRun:
    """Run mnemon as a user who may do only what the rights of files allow, which root is not."""
    prefix = list[str]()
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("root needs setpriv to be less than root")
        prefix = ["setpriv", "--bounding-set", WITHOUT, "--inh-caps", WITHOUT]

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "MNEMON_DATA": str(tmp_path / "data")}
        return subprocess.run(
            [*prefix, mnemon, *arguments],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
        )

    return call


@pytest.fixture
def data(run: Run, tmp_path: Path) -> Iterator[Path]:
    """A directory with an agent, which an owner has served."""
    assert run("agents", "create", "Sam").returncode == 0
    found = tmp_path / "data"
    (found / "owner.lock").write_text('{"pid": 1, "since": "2026-01-01T00:00:00+00:00"}\n')
    yield found
    found.chmod(0o700)


@pytest.mark.parametrize("command", ["status", "stop"])
def test_of_a_directory_that_may_only_be_read_one_is_told_that_nobody_serves_it(
    tied: TiedRun, data: Path, command: str
) -> None:
    for file in data.iterdir():
        file.chmod(0o400)
    data.chmod(0o500)
    done = tied(command)
    assert (done.returncode, done.stderr) == (0, "")
    assert "nobody serves" in done.stdout


@pytest.mark.parametrize("command", [["mcp"], ["reindex"], ["agents", "list"], ["serve"]])
def test_what_needs_to_write_there_says_in_one_line_that_it_cannot(
    tied: TiedRun, data: Path, command: list[str]
) -> None:
    for file in data.iterdir():
        file.chmod(0o400)
    data.chmod(0o500)
    done = tied(*command)
    assert done.returncode == 2
    assert str(data) in done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr


def test_doctor_calls_a_directory_that_may_only_be_read_a_problem(
    tied: TiedRun, data: Path
) -> None:
    data.chmod(0o500)
    done = tied("doctor")
    assert done.returncode == 1
    assert f"problem directory: {data} cannot be written" in done.stdout
    assert "1 agent" in done.stdout


def test_doctor_calls_a_disk_that_is_full_a_problem(run: Run, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", disk]).returncode:
        pytest.skip("needs the right to mount")
    try:
        done = run("doctor", "--data", str(disk))
    finally:
        subprocess.run(["umount", disk], check=True)
    assert done.returncode == 1
    assert "problem directory: 6.3 MB are free on the disk of " in done.stdout


@pytest.mark.parametrize(
    "command", [["doctor"], ["status"], ["chat", "Sam", "-m", "Hi"], ["agents", "list"], ["mcp"]]
)
def test_a_directory_that_may_not_be_entered_is_named_in_one_line(
    tied: TiedRun, data: Path, command: list[str]
) -> None:
    data.chmod(0)
    done = tied(*command)
    assert done.returncode == 2
    assert str(data) in done.stderr and "Permission denied" in done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr


def test_a_lock_that_may_not_be_read_is_named_in_one_line(tied: TiedRun, data: Path) -> None:
    (data / "owner.lock").chmod(0)
    done = tied("status")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
    assert f"{data} cannot be used: Permission denied" in done.stderr
