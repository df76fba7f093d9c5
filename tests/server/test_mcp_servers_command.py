"""`mnemon mcp-servers`: a person adds a server, gives its tools away and takes them back."""

import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import DEVNULL, CompletedProcess, run
from typing import Any

import pytest

from tests.server.external.conftest import TOY
from tests.server.processes import DEADLINE_S

STDIO = ["--run", shlex.join([sys.executable, str(TOY), "stdio"])]
Command = Callable[..., CompletedProcess[str]]


@pytest.fixture
def servers(mnemon: str, tmp_path: Path) -> Command:
    """Runs an action on a memory with an agent Ada."""

    def mcp_servers(*arguments: str) -> CompletedProcess[str]:
        return run(
            [mnemon, "mcp-servers", *arguments, "--data", str(tmp_path)],
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
            stdin=DEVNULL,
        )

    run([mnemon, "agents", "create", "Ada", "--data", str(tmp_path)], check=True)
    return mcp_servers


def value(done: CompletedProcess[str]) -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_server_is_added_given_to_an_agent_and_removed(
    servers: Command, mnemon: str, tmp_path: Path
) -> None:
    added = value(servers("add", "toy", "--unsandboxed", "--yes", "--json", *STDIO))
    assert "say" in added["new"]
    attached = servers("attach", "Ada", "toy", "--tool", "say").stdout
    assert attached == "Agent Ada has of toy: toy__say.\n"
    show = [mnemon, "agents", "show", "Ada", "--data", str(tmp_path)]
    agent = run(show, capture_output=True, text=True, check=True)
    assert "tools of MCP servers toy__say" in agent.stdout
    shown = value(servers("show", "toy", "--json"))
    assert shown["agents"] == ["Ada"]
    assert len(shown["tools"]) == 6
    assert "switched off" in servers("disable", "toy").stdout
    assert "switched off" not in servers("enable", "toy").stdout
    assert "Nothing changed" in servers("refresh", "toy").stdout
    assert "nothing" in servers("detach", "Ada", "toy").stdout
    assert "removed toy" in servers("remove", "toy").stdout
    assert value(servers("list", "--json")) == []


def test_nothing_is_added_unasked(servers: Command) -> None:
    done = servers("add", "toy", "--unsandboxed", *STDIO)
    assert done.returncode == 2
    assert "WITHOUT a sandbox" in done.stderr
    assert "--yes" in done.stderr
    assert "no MCP servers yet" in servers("list").stdout


def test_a_path_is_one_of_the_folder_in_which_the_command_is_typed(
    servers: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    (tmp_path / "python").chmod(0o755)
    (tmp_path / "toy.py").symlink_to(TOY)
    monkeypatch.chdir(tmp_path)
    line = ["--run", "./python toy.py stdio"]
    assert "say" in value(servers("add", "toy", "--unsandboxed", "--yes", "--json", *line))["new"]
    assert value(servers("show", "toy", "--json"))["server"]["address"] == (
        f"{tmp_path / 'python'} {tmp_path / 'toy.py'} stdio"
    )


def test_what_could_not_start_is_not_added(servers: Command) -> None:
    done = servers("add", "toy", "--run", "./no-such-program", "--unsandboxed", "--yes")
    assert done.returncode == 2
    assert "no-such-program" in done.stderr
    assert value(servers("list", "--json")) == []


def test_what_fails_once_it_is_added_says_how_to_remove_it(servers: Command) -> None:
    done = servers("add", "toy", "--unsandboxed", "--yes", *STDIO[:1], STDIO[1] + " dies_at_start")
    assert done.returncode == 2
    assert "out of cheese" in done.stderr
    assert "`mnemon mcp-servers remove toy`" in done.stderr
    assert "removed toy" in servers("remove", "toy").stdout


def test_what_is_wrong_is_said_in_a_line(servers: Command) -> None:
    wrong = (
        (("show", "toy"), "no MCP server 'toy'"),
        (("add", "toy", "--yes"), "either a command"),
        (("add", "toy", "--url", "http://example.com/", "--yes"), "neither https"),
        (("add", "toy", "--env", "A", "--yes", *STDIO), "NAME=VALUE"),
    )
    for arguments, problem in wrong:
        done = servers(*arguments)
        assert done.returncode == 2
        assert problem in done.stderr
        assert done.stderr.count("\n") == 1
