"""`mnemon mcp` as a host meets it: a child process, two pipes, and nothing but JSON-RPC on them.

Every test runs with an owner behind the process (front.py), alone (stdio.py), and with the parts
that Windows has: an owner on a port (loopback.py), threads for the pipes (pumped_pipes.py).
"""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from tests.server.processes import RawServer, loopback_owner, pumped_front, raw_process


@pytest.fixture(params=["with an owner", "alone", "as on Windows"])
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def server(mnemon: str, way: str, tmp_path: Path) -> Iterator[RawServer]:
    data = tmp_path / "data"
    command = [mnemon, "mcp", "--data", str(data), "--embedder", "none"]
    if way == "alone":
        command[3] = ":memory:"
    if way == "as on Windows":
        command = pumped_front(data)
    owner = loopback_owner(mnemon, data) if way == "as on Windows" else nullcontext()
    with owner, raw_process(command, tmp_path / "journal") as server:
        yield server


def end_input(server: RawServer) -> None:
    assert server.process.stdin is not None
    server.process.stdin.close()


def assert_nothing_more_is_said(server: RawServer) -> None:
    assert server.process.stdout is not None
    assert server.process.stdout.read() == b""


def test_end_of_input_is_a_clean_end(server: RawServer) -> None:
    server.shake_hands()
    end_input(server)
    assert_nothing_more_is_said(server)
    assert server.end() == 0


def test_end_of_input_before_any_message_is_a_clean_end(server: RawServer) -> None:
    end_input(server)
    assert_nothing_more_is_said(server)
    assert server.end() == 0


def test_what_was_asked_before_the_end_of_input_is_still_answered(server: RawServer) -> None:
    server.send(*({"jsonrpc": "2.0", "id": number, "method": "ping"} for number in range(1, 6)))
    end_input(server)
    assert sorted(server.receive()["id"] for _ in range(5)) == [1, 2, 3, 4, 5]
    assert_nothing_more_is_said(server)
    assert server.end() == 0


def test_a_call_in_flight_at_the_end_of_input_is_answered(server: RawServer) -> None:
    server.shake_hands()
    server.call(0, "agent_list")
    server.receive_answer(0)  # everything is open
    server.call(1, "agent_create", {"name": "Sam"})
    end_input(server)
    assert server.receive_answer(1)["result"]["structuredContent"]["name"] == "Sam"
    assert_nothing_more_is_said(server)
    assert server.end() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_the_process_while_stdin_stays_open(
    server: RawServer, number: signal.Signals
) -> None:
    server.shake_hands()
    server.process.send_signal(number)
    assert_nothing_more_is_said(server)
    assert server.end() == 0


def test_a_stdout_that_nobody_reads_any_more_ends_the_process(server: RawServer, way: str) -> None:
    if way == "as on Windows":
        pytest.skip("a thread in place of poll notices when it writes")
    server.shake_hands()
    assert server.process.stdout is not None
    server.process.stdout.close()
    assert server.end() == 1


def test_an_answer_that_cannot_be_written_ends_the_process(server: RawServer) -> None:
    server.shake_hands()
    assert server.process.stdout is not None
    server.process.stdout.close()
    server.call(1, "agent_list")
    assert server.end() == 1


def test_lines_that_are_no_messages_are_answered_and_serving_goes_on(server: RawServer) -> None:
    server.send(b"garbage before the first message\n")
    assert server.receive()["error"]["code"] == -32700
    server.shake_hands()
    server.send(b"\xff\x00garbage\n", b"\n", b"[]\n")
    assert [server.receive()["error"]["code"] for _ in range(2)] == [-32700, -32600]
    server.call(4, "agent_list")
    assert server.receive_answer(4)["result"]["structuredContent"]["agents"] == []


def test_lines_may_end_in_crlf_and_answers_end_in_lf(server: RawServer) -> None:
    server.shake_hands()
    ping = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "ping"}).encode()
    server.send(ping + b"\r\n", b"\r\n")
    assert server.receive_answer(1)["result"] == {}
    end_input(server)
    assert_nothing_more_is_said(server)


def test_a_message_of_four_megabytes_passes_both_ways(server: RawServer) -> None:
    server.shake_hands()
    server.send({"jsonrpc": "2.0", "id": 1, "method": "é" * 2_000_000})
    assert server.receive_answer(1)["error"]["data"].count("é") == 2_000_000
    server.call(2, "agent_get", {"agent_id": "é" * 2_000_000})
    (content,) = server.receive_answer(2)["result"]["content"]
    assert len(content["text"]) < 4_100
    assert "more characters" in content["text"]


def test_a_host_that_writes_much_before_it_reads_is_served(server: RawServer) -> None:
    server.shake_hands()
    for number in range(1, 41):
        server.call(number, "agent_get", {"agent_id": "x" * 20_000})
    assert {server.receive()["id"] for _ in range(40)} == set(range(1, 41))


def test_a_library_that_prints_when_it_is_imported_does_not_reach_the_host(
    mnemon: str, way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if way == "as on Windows":
        pytest.skip("the owner's output is the test's own here")
    data = ":memory:" if way == "alone" else str(tmp_path / "data")
    # Found before the real one, whose place it then gives back.
    noisy = tmp_path / "noisy"
    noisy.mkdir()
    (noisy / "duckdb.py").write_text(
        f"""
import os, sys
print("noise of an import", flush=True)
os.system("echo noise of a child")
sys.path.remove({str(noisy)!r})
del sys.modules[__name__]
import duckdb
"""
    )
    path = [str(noisy), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path))
    errors = tmp_path / "stderr"
    command = ["sh", "-c", 'exec "$@" 2>"$0"', str(errors), mnemon, "mcp", "--data", data]
    with raw_process([*command, "--embedder", "none"], tmp_path / "journal") as server:
        server.shake_hands()
        server.call(1, "agent_list")
        assert server.receive()["id"] == 1
        end_input(server)
        assert_nothing_more_is_said(server)
    log = errors if data == ":memory:" else Path(data) / "owner.log"
    assert "noise of an import" in log.read_text()
