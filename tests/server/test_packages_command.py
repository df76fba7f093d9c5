"""Packages of custom tools at the command line: asked about at the terminal, shown, interrupted."""

import json
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sandbox.places import remove_tree
from tests.sandbox.wheels import wheel
from tests.server.package_index import (
    BREWED,
    USE,
    installed,
    kept_data,
    only_index,
    packages_of,
    skip_without_sandbox,
)
from tests.server.processes import DEADLINE_S
from tests.server.test_runs_command import Terminal

Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    with only_index(monkeypatch, tmp_path) as folder:
        wheel(folder, "tea")
        yield folder


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    skip_without_sandbox()
    yield from kept_data(tmp_path)


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "brew.py"
    path.write_text(USE)
    return str(path)


@pytest.fixture
def tools(mnemon: str, data: Path) -> Iterator[Command]:
    """Runs an action of `mnemon tools`, with nobody at a terminal."""

    def call(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [mnemon, "tools", *arguments, "--data", str(data)],
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    yield call
    subprocess.run([mnemon, "stop", "--data", str(data)], capture_output=True, check=False)


def test_a_tool_with_packages_is_added_shown_with_them_and_run(
    index: Path, data: Path, file: str, tools: Command, mnemon: str
) -> None:
    unasked = tools("add", file, "--requirement", "tea")
    assert unasked.returncode == 2
    assert "not done: Install tea==1.0 for tool brew" in unasked.stderr
    assert "To do it, add --yes" in unasked.stderr
    assert "no tools yet" in tools("list").stdout
    assert installed(data) == []

    added = tools("add", file, "--requirement", "tea", "--yes")
    assert added.returncode == 0, added.stderr
    assert "Packages: tea==1.0" in added.stdout
    assert "tea" in added.stderr  # what the installer said meanwhile
    (lock,) = installed(data)
    assert f"- {lock[:12]}: tea==1.0; 0.0 MB; for brew; Python 3." in tools("packages").stdout
    again = tools("packages", "brew", "--json")
    (shown,) = json.loads(again.stdout)["locks"]
    assert (shown["lock"], shown["tools"]) == (lock, ["brew"])
    assert shown["size_bytes"] > 0

    subprocess.run([mnemon, "agents", "create", "Sam", "--data", str(data)], check=True)
    ran = tools("run", "brew", "--agent", "Sam")
    assert ran.stdout == f"{BREWED}\n", ran.stderr
    subprocess.run([mnemon, "stop", "--data", str(data)], check=True)
    assert f"- {lock[:12]}: tea==1.0; 0.0 MB" in tools("packages").stdout  # no owner is needed


def test_what_cannot_be_installed_is_told_and_tried_again(
    index: Path, data: Path, file: str, tools: Command
) -> None:
    missing = tools("add", file, "--requirement", "coffee", "--yes")
    assert missing.returncode == 2
    assert "resolving coffee failed" in missing.stderr
    assert "no tools yet" in tools("list").stdout
    assert tools("add", file, "--requirement", "tea", "--yes").returncode == 0
    remove_tree(packages_of(data) / installed(data)[0])
    assert "not installed now" in tools("packages").stdout
    wheel(index, "tea", "2.0")
    newer = tools("packages", "brew", "--upgrade", "--yes")
    assert "tea==2.0" in newer.stdout, newer.stderr
    assert len(installed(data)) == 1


async def test_a_person_is_asked_at_the_terminal(
    index: Path, data: Path, file: str, tools: Command, mnemon: str
) -> None:
    for typed, code, shown in (("n", 1, "nothing was changed"), ("y", 0, "Packages: tea==1.0")):
        adding = ("tools", "add", file, "--requirement", "tea", "--data", str(data))
        terminal = Terminal(mnemon, *adding)
        try:
            await terminal.until("Install tea==1.0 for tool brew from this machine?")
            await terminal.until("[y/N]")
            terminal.type(typed)
            await terminal.until(shown)
            assert await terminal.ended() == code
        finally:
            terminal.close()
        assert len(installed(data)) == (typed == "y")


@pytest.fixture
def silent_index(index: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """An index that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(DEADLINE_S)
        monkeypatch.delenv("PIP_NO_INDEX")
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/simple"
        monkeypatch.setenv("PIP_INDEX_URL", address)
        yield silent


def test_a_command_that_is_interrupted_leaves_no_installer_and_nothing_half_done(
    silent_index: socket.socket, data: Path, file: str, tools: Command, mnemon: str
) -> None:
    adding = [mnemon, "tools", "add", file, "--requirement", "tea", "--data", str(data)]
    with subprocess.Popen(adding, stdin=subprocess.DEVNULL, start_new_session=True) as command:
        asked, _ = silent_index.accept()
        with asked:
            os.killpg(command.pid, signal.SIGINT)
            assert command.wait(DEADLINE_S) == -signal.SIGINT
            asked.settimeout(DEADLINE_S)
            while asked.recv(10_000):  # until its other end is gone, with the installer
                pass
    assert "no tools yet" in tools("list").stdout
    assert [path.name for path in packages_of(data).iterdir()] == []
