"""`mnemon setup` and `unsetup` as people type them: real processes, a home of the test's own."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from server.hosts.hosts import HOSTS
from server.hosts.locations import locate
from tests.server.processes import Run


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "CLAUDE_CONFIG_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def run(mnemon: str, home: Path) -> Run:
    def call(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, **environ}
        return subprocess.run(
            [mnemon, *arguments],
            env=environment, cwd=home, capture_output=True, text=True, timeout=60,
        )  # fmt: skip

    return call


def everything(home: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in home.rglob("*") if path.is_file()}


@pytest.mark.parametrize("host", HOSTS)
def test_a_host_is_set_up_once_and_its_files_come_back(
    run: Run, home: Path, mnemon: str, host: str
) -> None:
    known = locate(host, os.environ)
    known.sign.mkdir(parents=True)
    known.file.parent.mkdir(exist_ok=True)
    known.file.write_text('{\n\t"theme": "dark"\n}\n')
    before = everything(home)

    done = run("setup", host, "--data", "memory")

    assert done.returncode == 0
    assert f"added mnemon to {known.file}\n" in done.stdout
    assert HOSTS[host].then in done.stdout
    written = json.loads(known.file.read_text())
    entry = written[HOSTS[host].section]["mnemon"]
    assert entry["command"] == mnemon
    assert entry["args"] == ["mcp", "--data", str(home / "memory")]
    after = everything(home)

    again = run("setup", host, "--data", "memory")

    assert again.returncode == 0
    assert "already set up" in again.stdout
    assert everything(home) == after
    assert run("unsetup", host).returncode == 0
    assert everything(home) == before
    last = run("unsetup", host)
    assert last.returncode == 0
    assert "is not set up" in last.stdout


def test_the_command_that_was_written_starts_a_server(run: Run, home: Path) -> None:
    run("setup", "cursor", "--config", "mcp.json", "--data", "memory")
    entry = json.loads((home / "mcp.json").read_text())["mcpServers"]["mnemon"]
    params = {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    }
    request = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}
    with subprocess.Popen(
        [entry["command"], *entry["args"]],
        cwd="/", stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as server:  # fmt: skip
        assert server.stdin is not None and server.stdout is not None
        server.stdin.write(json.dumps(request) + "\n")
        server.stdin.flush()
        answer = json.loads(server.stdout.readline())
        server.stdin.close()
        assert server.wait(10) == 0
    assert answer["result"]["serverInfo"]["name"] == "mnemon"
    assert (home / "memory" / "owner.lock").exists()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["setup", "cursr"], "invalid choice: 'cursr' (choose from "),
        (["setup", "cursor"], "Cursor does not seem to be installed: there is no "),
        (["setup", "cursor", "--force", "--name", "my memory"], "--name cannot be 'my memory'"),
        (["setup", "cursor", "--force", "--context-tokens", "3"], "context_tokens cannot be 3"),
        (["setup", "cursor", "--config", "broken.json"], "line 1, column 2; nothing was changed"),
        (["setup", "cursor", "--config", "foreign.json"], "take another name with --name"),
        (["setup", "cursor", "--print", "--list"], "not allowed with argument"),
        (["unsetup"], "the following arguments are required: HOST"),
        (["unsetup", "cursor", "--config", "broken.json"], "broken.json: not valid JSON"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_explained_changes_nothing_and_exits_with_2(
    run: Run, home: Path, arguments: list[str], expected: str
) -> None:
    (home / "broken.json").write_text("{broken")
    (home / "foreign.json").write_text('{"mcpServers": {"mnemon": {"command": "other"}}}')
    before = everything(home)
    result = run(*arguments)
    assert result.returncode == 2
    assert expected in result.stderr
    assert "Traceback" not in result.stderr
    assert everything(home) == before


@pytest.mark.parametrize("force", [("--force",), ("--config", ".cursor/mcp.json")])
def test_a_host_that_has_not_run_yet_is_set_up_when_that_is_asked_for(
    run: Run, home: Path, force: tuple[str, ...]
) -> None:
    assert run("setup", "cursor", *force).returncode == 0
    assert (home / ".cursor" / "mcp.json").exists()


def test_the_hosts_are_listed_with_how_they_stand(run: Run, home: Path) -> None:
    (home / ".cursor").mkdir()
    (home / ".lmstudio").mkdir()
    (home / ".claude.json").write_text("{broken")
    run("setup", "cursor")
    listed: list[dict[str, Any]] = json.loads(run("setup", "--json").stdout)
    states = {row["host"]: row["state"] for row in listed}
    assert list(states) == list(HOSTS)
    assert states["cursor"] == "set up"
    assert states["lm-studio"] == "installed"
    assert states["claude-code"] == "unreadable"
    assert states["zed"] == "not found"
    assert "mnemon setup HOST" in run("setup", "--list").stdout


def test_a_dry_run_says_what_it_would_do_and_does_nothing(run: Run, home: Path) -> None:
    (home / ".cursor").mkdir()
    result = run("setup", "cursor", "--dry-run")
    assert "would have added mnemon" in result.stdout
    assert everything(home) == {}
    run("setup", "cursor")
    before = everything(home)
    assert "would have removed mnemon" in run("unsetup", "cursor", "--dry-run").stdout
    assert everything(home) == before


def test_the_entry_is_printed_for_a_host_that_mnemon_does_not_know(
    run: Run, home: Path, mnemon: str
) -> None:
    shown = json.loads(run("setup", "--print", "--embedder", "none").stdout)
    assert shown == {
        "mcpServers": {"mnemon": {"command": mnemon, "args": ["mcp", "--embedder", "none"]}}
    }
    assert next(iter(json.loads(run("setup", "zed", "--print").stdout))) == "context_servers"
    assert everything(home) == {}


def test_settings_of_the_environment_are_not_written_down_but_pointed_out(
    run: Run, home: Path
) -> None:
    for given in (["cursor", "--force"], ["--print"], ["cursor", "--print"]):
        result = run("setup", *given, MNEMON_DATA=str(home / "memory"))
        assert "note: the host may not see MNEMON_DATA; to be sure, give --data" in result.stderr
    assert '""' not in run("setup", "--print", "--agent", "").stdout
    assert "memory" not in (home / ".cursor" / "mcp.json").read_text()


def test_with_json_the_result_is_json(run: Run) -> None:
    result = json.loads(run("setup", "cursor", "--force", "--json").stdout)
    assert result["result"] == "added"
    assert result["entry"]["args"] == ["mcp"]
    assert json.loads(run("unsetup", "cursor", "--json").stdout)["result"] == "removed"


def test_an_agent_that_is_not_there_is_told_of(run: Run, home: Path) -> None:
    setup = "setup", "cursor", "--config", "mcp.json", "--data", "memory", "--agent", "Sam"
    done = run(*setup)
    assert done.returncode == 0
    assert "note: no agent 'Sam'; agents: none yet" in done.stderr
    assert "mnemon agents create Sam" in done.stderr
    assert not (home / "memory").exists()
    warned = json.loads(run(*setup, "--json").stdout)
    assert "no agent 'Sam'" in warned["warning"]
    run("agents", "create", "Sam", "--data", "memory")
    assert "note" not in run(*setup).stderr
