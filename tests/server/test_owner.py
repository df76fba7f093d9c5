"""The owner of a data directory: one for all hosts, replaced when it dies, gone when not needed."""

import fcntl
import json
import os
import signal
import stat
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.server.processes import (
    DEADLINE_S,
    ask_status,
    front_process,
    kill_owner,
    raw_process,
    read_owner,
)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@contextmanager
def deadline() -> Iterator[None]:
    """Interrupt what blocks for too long."""
    main = threading.main_thread().ident
    assert main is not None
    timer = threading.Timer(DEADLINE_S, signal.pthread_kill, (main, signal.SIGINT))
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def wait_until_unowned(data: Path) -> None:
    with (data / "owner.lock").open() as lock, deadline():
        fcntl.flock(lock, fcntl.LOCK_EX)


def wait_until_no_host(data: Path) -> None:
    with deadline():
        while ask_status(data)["hosts"]:
            pass


def command(mnemon: str, data: Path, *arguments: str) -> Any:
    run = subprocess.run(
        [mnemon, *arguments, "--data", str(data), "--json"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return json.loads(run.stdout)


def test_fronts_that_start_at_the_same_instant_end_with_one_owner(mnemon: str, data: Path) -> None:
    with ExitStack() as stack:
        fronts = [stack.enter_context(front_process(mnemon, data)) for _ in range(8)]
        for front in fronts:
            front.shake_hands()
        owner = command(mnemon, data, "status")["owner"]
        assert len(owner["hosts"]) == 8
        assert owner["pid"] == read_owner(data)


def test_the_status_names_the_owner_and_its_hosts(mnemon: str, data: Path) -> None:
    assert command(mnemon, data, "status") == {"owner": None}
    assert not data.exists()
    with front_process(mnemon, data) as front:
        front.shake_hands()
        owner = command(mnemon, data, "status")["owner"]
        assert [(host["name"], host["front_pid"]) for host in owner["hosts"]] == [
            ("raw", front.process.pid)
        ]


def test_socket_and_directory_are_the_users_alone(mnemon: str, data: Path) -> None:
    with front_process(mnemon, data) as front:
        front.shake_hands()
        assert stat.S_IMODE(data.stat().st_mode) == 0o700
        assert stat.S_IMODE((data / "owner.sock").stat().st_mode) == 0o600


def test_a_directory_with_a_path_too_long_for_a_socket_is_served(
    mnemon: str, tmp_path: Path
) -> None:
    data = tmp_path / ("d" * 100) / ("e" * 100)
    with front_process(mnemon, data) as front:
        front.shake_hands()
        assert len(command(mnemon, data, "status")["owner"]["hosts"]) == 1


def test_a_host_notices_nothing_when_the_owner_is_killed(mnemon: str, data: Path) -> None:
    with front_process(mnemon, data) as front:
        front.shake_hands()
        front.call(1, "agent_create", {"name": "Sam"})
        assert "isError" in front.receive_answer(1)["result"]
        kill_owner(data)
        front.call(2, "agent_list")
        found = front.receive_answer(2)["result"]["structuredContent"]["agents"]
        assert [agent["name"] for agent in found] == ["Sam"]


def test_a_request_that_was_not_answered_when_the_owner_died_is_answered_by_the_next(
    mnemon: str, data: Path
) -> None:
    with front_process(mnemon, data) as front:
        front.shake_hands()
        os.kill(read_owner(data), signal.SIGSTOP)  # it takes the request and never works on it
        front.call(1, "agent_list")
        kill_owner(data)
        assert front.receive_answer(1)["result"]["structuredContent"]["agents"] == []


@pytest.mark.parametrize("flags", [[], ["--idle-minutes", "0.002"]], ids=["variable", "flag"])
def test_an_owner_without_hosts_ends_after_a_while(
    mnemon: str, data: Path, monkeypatch: pytest.MonkeyPatch, flags: list[str]
) -> None:
    monkeypatch.setenv("MNEMON_IDLE_MINUTES", "5" if flags else "0.002")
    started = [mnemon, "mcp", "--data", str(data), "--embedder", "none", *flags]
    with raw_process(started, data / "owner.log") as front:
        front.shake_hands()
        front.call(1, "agent_list")
        front.receive_answer(1)
    wait_until_unowned(data)
    assert not (data / "owner.sock").exists()
    assert not (data / "mnemon.duckdb.wal").exists()


@pytest.mark.parametrize("how", ["SIGTERM", "stop"])
def test_an_owner_ends_in_order_and_hosts_go_on_with_the_next(
    mnemon: str, data: Path, how: str
) -> None:
    with front_process(mnemon, data) as front:
        front.shake_hands()
        front.call(1, "agent_create", {"name": "Sam"})
        front.receive_answer(1)
        first = read_owner(data)
        if how == "stop":
            assert command(mnemon, data, "stop") == {"stopped": first}
        else:
            os.kill(first, signal.SIGTERM)
            wait_until_unowned(data)
        assert not (data / "owner.sock").exists()
        assert not (data / "mnemon.duckdb.wal").exists()
        front.call(2, "agent_list")
        assert len(front.receive_answer(2)["result"]["structuredContent"]["agents"]) == 1
        assert read_owner(data) != first


def test_serve_in_the_foreground_serves_hosts_too_and_one_at_a_time(
    mnemon: str, data: Path
) -> None:
    serve = [mnemon, "serve", "--port", "0", "--data", str(data), "--embedder", "none"]
    with subprocess.Popen(serve, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        server.stdout.readline()
        with front_process(mnemon, data) as front:
            front.shake_hands()
            assert read_owner(data) == server.pid
            refused = subprocess.run(serve, capture_output=True, text=True, timeout=60)
        assert refused.returncode == 2
        assert f"is served by process {server.pid} since" in refused.stderr
        assert command(mnemon, data, "stop") == {"stopped": server.pid}
        assert server.wait(DEADLINE_S) == 0


def test_an_owner_that_a_host_started_makes_way_for_serve_and_the_host_goes_on(
    mnemon: str, data: Path
) -> None:
    with front_process(mnemon, data) as front:
        front.shake_hands()
        front.call(1, "agent_create", {"name": "Sam"})
        front.receive_answer(1)
        first = read_owner(data)
        serve = [
            mnemon,
            "serve",
            "--http",
            "127.0.0.1:0",
            "--data",
            str(data),
            "--embedder",
            "none",
        ]
        with subprocess.Popen(serve, stdout=subprocess.PIPE) as server:
            assert server.stdout is not None
            assert b"mnemon serves http://127.0.0.1:" in server.stdout.readline()
            assert read_owner(data) == server.pid != first
            owner = command(mnemon, data, "status")["owner"]
            assert owner["url"].startswith("http://127.0.0.1:")
            assert owner["settings"]["embedder"] == "none"
            front.call(2, "agent_list")
            assert len(front.receive_answer(2)["result"]["structuredContent"]["agents"]) == 1
            assert command(mnemon, data, "stop") == {"stopped": server.pid}
            assert server.wait(DEADLINE_S) == 0


def test_a_stuck_owner_is_named_rather_than_waited_for(mnemon: str, data: Path) -> None:
    with front_process(mnemon, data) as front:
        front.shake_hands()
        owner = read_owner(data)
        os.kill(owner, signal.SIGSTOP)
        for command in (["agents", "list"], ["status"], ["doctor"]):
            given = [mnemon, *command, "--data", str(data)]
            refused = subprocess.run(given, capture_output=True, text=True, timeout=30)
            assert refused.returncode == 2
            assert f"process {owner} holds" in refused.stderr
        os.kill(owner, signal.SIGCONT)


def test_a_folder_named_server_where_the_host_runs_is_not_taken_for_ours(
    mnemon: str, data: Path, tmp_path: Path
) -> None:
    (tmp_path / "server").mkdir()
    (tmp_path / "server" / "__init__.py").write_text("raise SystemExit('not ours')")
    run = subprocess.run(
        [mnemon, "mcp", "--data", str(data)],
        input=b'{"jsonrpc":"2.0","id":1,"method":"ping"}\n',
        capture_output=True,
        cwd=tmp_path,
        timeout=60,
    )
    assert json.loads(run.stdout)["result"] == {}


def test_a_command_takes_an_owner_with_any_settings(mnemon: str, data: Path) -> None:
    with front_process(mnemon, data) as front:  # whose embedder is not the default one
        front.shake_hands()
        owner = read_owner(data)
    wait_until_no_host(data)
    assert command(mnemon, data, "agents", "list") == []
    assert read_owner(data) == owner


def test_a_host_with_other_settings_gets_an_owner_with_them_when_nobody_needs_the_old_one(
    mnemon: str, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with front_process(mnemon, data) as first:
        first.shake_hands()
        owner = read_owner(data)
        monkeypatch.setenv("MNEMON_HNSW_THRESHOLD", "7")
        with front_process(mnemon, data) as beside:
            beside.shake_hands()
            assert read_owner(data) == owner
            for front in (first, beside):
                assert front.process.stdin is not None
                front.process.stdin.close()
                assert front.end() == 0
            with front_process(mnemon, data) as alone:
                alone.shake_hands()
                assert read_owner(data) != owner
                alone.call(7, "agent_list")
                assert "result" in alone.receive_answer(7)
