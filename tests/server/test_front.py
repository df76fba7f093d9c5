"""`mnemon mcp` as a host meets it: a child process and two pipes, with an owner behind it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server.processes import RawServer, front_process, read_owner


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


def test_end_of_input_before_any_message_is_a_clean_end(front: RawServer) -> None:
    close_input(front)
    assert front.end() == 0


def test_what_was_asked_before_the_end_of_input_is_still_answered(front: RawServer) -> None:
    front.send(*({"jsonrpc": "2.0", "id": number, "method": "ping"} for number in range(1, 6)))
    close_input(front)
    assert sorted(front.receive()["id"] for _ in range(5)) == [1, 2, 3, 4, 5]
    assert front.end() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_the_front_while_stdin_stays_open(
    front: RawServer, number: signal.Signals
) -> None:
    front.shake_hands()
    front.process.send_signal(number)
    assert front.end() == 0


def test_a_stdout_that_nobody_reads_any_more_ends_the_front(front: RawServer) -> None:
    front.shake_hands()
    assert front.process.stdout is not None
    front.process.stdout.close()
    assert front.end() == 1


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


def test_lines_that_are_no_messages_are_answered_and_serving_goes_on(front: RawServer) -> None:
    front.shake_hands()
    front.send(b"garbage\n", b"\n", b"[]\n")
    assert [front.receive()["error"]["code"] for _ in range(2)] == [-32700, -32600]
    front.call(4, "agent_list")
    assert front.receive_answer(4)["result"]["structuredContent"]["agents"] == []


def test_a_message_of_four_megabytes_passes_both_ways(front: RawServer) -> None:
    front.shake_hands()
    front.call(1, "agent_get", {"agent_id": "é" * 2_000_000})
    text = front.receive_answer(1)["result"]["content"][0]["text"]
    assert text.count("é") == 2_000_000


def test_a_host_that_writes_much_before_it_reads_is_served(front: RawServer) -> None:
    front.shake_hands()
    for number in range(1, 41):
        front.call(number, "agent_get", {"agent_id": "x" * 20_000})
    assert {front.receive()["id"] for _ in range(40)} == set(range(1, 41))


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
