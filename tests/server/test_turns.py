"""Several processes at once on one memory: each gets its turn."""

import os
import subprocess
from pathlib import Path

import pytest

from memory.database import Database
from server.turns import in_turn
from tests.server.processes import Run


class Busy(Exception):
    """Somebody else has it."""


def test_what_is_busy_for_a_moment_is_tried_again() -> None:
    answers = iter([Busy(), Busy(), None])

    def attempt() -> str:
        if (answer := next(answers)) is not None:
            raise answer
        return "done"

    assert in_turn(attempt, Busy) == "done"


def test_what_stays_busy_is_told_of_once_patience_ends() -> None:
    def attempt() -> str:
        raise Busy

    with pytest.raises(Busy):
        in_turn(attempt, Busy, patience_s=0.1)


def test_commands_that_come_at_once_all_work(mnemon: str, run: Run, tmp_path: Path) -> None:
    environment = {**os.environ, "MNEMON_DATA": str(tmp_path / "data")}
    commands = [
        subprocess.Popen(
            [mnemon, "agents", "create", f"Sam{number}"], env=environment, stderr=subprocess.PIPE
        )
        for number in range(4)
    ]
    assert [(c.communicate(timeout=60)[1], c.returncode) for c in commands] == [(b"", 0)] * 4
    assert [line.split()[0][:3] for line in run("agents", "list").stdout.splitlines()] == [
        "Sam"
    ] * 4


def test_a_command_that_comes_while_the_owner_begins_waits_for_it(
    mnemon: str, run: Run, tmp_path: Path
) -> None:
    environment = {**os.environ, "MNEMON_DATA": str(tmp_path / "data")}
    serve = subprocess.Popen(
        [mnemon, "serve", "--port", "0"], env=environment, stdout=subprocess.PIPE
    )
    try:
        while not (tmp_path / "data" / "owner.lock").exists():
            assert serve.poll() is None
        assert f"served by process {serve.pid}" in run("status").stdout
    finally:
        assert run("stop").returncode == 0
        serve.communicate(timeout=30)


def test_a_memory_that_another_program_keeps_open_is_told_of(run: Run, tmp_path: Path) -> None:
    with Database(tmp_path / "data" / "mnemon.duckdb"):
        refused = run("agents", "list")
    assert refused.returncode == 2
    assert f"is in use by process {os.getpid()}" in refused.stderr
