"""The front, where its owner makes a difference; what any host meets is in test_mcp_command.py."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server.processes import INITIALIZE, RawServer, front_process, read_owner


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def front(mnemon: str, data: Path) -> Iterator[RawServer]:
    with front_process(mnemon, data) as front:
        yield front


def close_input(front: RawServer) -> None:
    assert front.process.stdin is not None
    front.process.stdin.close()


def test_end_of_input_ends_the_front_and_leaves_the_owner(front: RawServer, data: Path) -> None:
    front.shake_hands()
    close_input(front)
    assert front.process.stdout is not None
    assert front.process.stdout.read() == b""
    assert front.end() == 0
    os.kill(read_owner(data), 0)


def test_a_host_that_says_all_at_once_and_closes_is_answered_by_an_owner_with_its_settings(
    mnemon: str, data: Path
) -> None:
    said = json.dumps(INITIALIZE).encode() + b"\n"
    for embedder in ("minilm", "none"):  # the second owner takes the place of the first
        given = [mnemon, "mcp", "--data", str(data), "--embedder", embedder]
        run = subprocess.run(given, input=said, capture_output=True, timeout=60)
        assert json.loads(run.stdout)["id"] == 0
        assert run.returncode == 0


def test_an_owner_that_does_not_answer_does_not_keep_the_front_of_a_host_that_left(
    front: RawServer, data: Path
) -> None:
    front.shake_hands()
    os.kill(read_owner(data), signal.SIGSTOP)
    front.call(1, "agent_list")
    close_input(front)
    assert front.end() == 0


def test_a_front_whose_parent_is_gone_ends_though_stdin_stays_open(mnemon: str, data: Path) -> None:
    # The middle process starts the front and dies; both pipes stay open in this process.
    middle = "import signal, subprocess, sys; subprocess.Popen(sys.argv[1:]); signal.pause()"
    command = [sys.executable, "-c", middle, mnemon, "mcp", "--data", str(data)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(b'{"jsonrpc":"2.0","id":1,"method":"ping"}\n')
        process.stdin.flush()
        process.stdout.readline()
        process.kill()
        # The front has the other end of this pipe: its end of file is the front's end.
        assert process.stdout.read() == b""


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--context-tokens", "5"], "context_tokens cannot be"),
        (["--bogus"], "unrecognized arguments: --bogus"),
        (["--log-level", "loud"], "'loud'"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
@pytest.mark.parametrize("warm", [False, True], ids=["cold", "warm"])
def test_a_wrong_flag_is_explained_in_a_line_and_exits_with_2(
    mnemon: str, data: Path, flags: list[str], expected: str, warm: bool
) -> None:
    command = [mnemon, "mcp", "--data", str(data), "--embedder", "none"]
    ping = '{"jsonrpc":"2.0","id":1,"method":"ping"}\n'
    if warm:
        subprocess.run(command, input=ping, text=True, check=True)
    run = subprocess.run([*command, *flags], input=ping, capture_output=True, text=True, timeout=60)
    assert run.returncode == 2
    assert expected in run.stderr
    assert run.stdout == ""


def test_a_directory_that_cannot_be_one_is_explained_and_exits_with_2(
    mnemon: str, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    command = [mnemon, "mcp", "--data", str(tmp_path / "file")]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert run.returncode == 2
    assert f"{tmp_path / 'file'} cannot be used" in run.stderr
    assert len(run.stderr.splitlines()) == 1


def test_a_damaged_database_is_served_and_each_call_explains_it(mnemon: str, data: Path) -> None:
    data.mkdir()
    (data / "mnemon.duckdb").write_bytes(b"rubbish" * 5000)
    with front_process(mnemon, data) as front:
        front.shake_hands()
        front.call(1, "agent_list")
        answer = front.receive_answer(1)["result"]
        assert answer["isError"]
        assert "restore a backup" in answer["content"][0]["text"]


def test_other_settings_than_the_owners_are_told_to_the_person(mnemon: str, data: Path) -> None:
    ping = b'{"jsonrpc":"2.0","id":1,"method":"ping"}\n'
    with front_process(mnemon, data) as front:
        front.shake_hands()
        run = subprocess.run(
            [mnemon, "mcp", "--data", str(data)], input=ping, capture_output=True, timeout=60
        )
    assert json.loads(run.stdout)["result"] == {}
    assert b"embedder none, not minilm" in run.stderr


def test_a_front_imports_the_standard_library_alone(mnemon: str, data: Path) -> None:
    command = [sys.executable, "-X", "importtime", mnemon, "mcp", "--data", str(data)]
    ping = '{"jsonrpc":"2.0","id":1,"method":"ping"}\n'
    for _ in ("cold", "warm"):
        run = subprocess.run(command, input=ping, capture_output=True, text=True, timeout=60)
        names = (row.rpartition("|")[2].strip() for row in run.stderr.splitlines())
        packages = {name.partition(".")[0] for name in names} - set(sys.stdlib_module_names)
        assert {"pydantic", "mcp", "anyio", "duckdb"} & packages == set()
        assert "server" in packages
