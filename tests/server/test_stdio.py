"""The stdio transport as a host meets it: a child process and two pipes."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters

from tests.server.processes import ROOT, RawServer, command, toy_process, wait_for_line

SOON_S = 10.0  # an end takes a fraction of a second; the rest is for a loaded machine


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RawServer]:
    with toy_process("stdio", tmp_path / "journal") as server:
        yield server


@pytest.mark.anyio
@pytest.mark.parametrize("era", ["legacy", "auto"])
async def test_a_client_of_either_era_can_call_tools(era: str, tmp_path: Path) -> None:
    program, *arguments = command("stdio", tmp_path / "journal")
    parameters = StdioServerParameters(command=program, args=arguments, cwd=ROOT)
    with anyio.fail_after(30):
        async with Client(parameters, mode=era) as client:
            result = await client.call_tool("add", {"left": 20, "right": 22})
    assert result.structured_content == {"sum": 42}


def test_nothing_but_messages_is_on_stdout_whatever_prints(server: RawServer) -> None:
    server.shake_hands()
    server.call(1, "fail", {"how": "noise"})
    assert server.receive_answer(1)["result"]["isError"] is False
    server.send(b"")
    assert server.process.stdin is not None
    server.process.stdin.close()
    assert server.process.stdout is not None
    assert server.process.stdout.read() == b""
    assert server.end() == 0


def test_end_of_input_cancels_calls_in_flight_and_cleans_up(server: RawServer) -> None:
    server.shake_hands()
    server.call(1, "wait")
    server.wait_for("waiting")
    assert server.process.stdin is not None
    server.process.stdin.close()
    assert server.end() == 0
    assert server.events() == ["second message", "waiting", "cancelled", "closed"]


def test_end_of_input_before_any_message_is_a_clean_end(server: RawServer) -> None:
    assert server.process.stdin is not None
    server.process.stdin.close()
    assert server.end() == 0
    assert server.events() == ["closed"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_the_process_with_cleanup_while_stdin_stays_open(
    server: RawServer, number: signal.Signals
) -> None:
    server.shake_hands()
    server.call(1, "wait")
    server.wait_for("waiting")
    begun = time.monotonic()
    server.process.send_signal(number)
    assert server.end() == 0
    assert time.monotonic() - begun < SOON_S
    assert server.events() == ["second message", "waiting", "cancelled", "closed"]


def test_a_call_that_the_host_cancels_ends_and_the_connection_goes_on(server: RawServer) -> None:
    server.shake_hands()
    server.call(1, "wait")
    server.wait_for("waiting")
    cancelled = {"method": "notifications/cancelled", "params": {"requestId": 1}}
    server.send({"jsonrpc": "2.0", **cancelled})
    server.wait_for("cancelled")
    server.call(2, "add", {"left": 1, "right": 2})
    assert server.receive_answer(2)["result"]["structuredContent"] == {"sum": 3}


def test_a_call_that_cannot_be_cancelled_does_not_keep_the_process(server: RawServer) -> None:
    server.shake_hands()
    server.call(1, "block")
    server.wait_for("blocking")
    server.process.send_signal(signal.SIGTERM)
    assert server.end() == 1


def test_a_stdout_that_nobody_reads_any_more_ends_the_process(server: RawServer) -> None:
    server.shake_hands()
    assert server.process.stdout is not None
    server.process.stdout.close()
    assert server.end() == 1
    assert server.events()[-1] == "closed"


def test_an_answer_that_cannot_be_written_ends_the_process(server: RawServer) -> None:
    server.shake_hands()
    assert server.process.stdout is not None
    server.process.stdout.close()
    server.call(1, "add", {"left": 1, "right": 1})
    assert server.end() == 1
    assert server.events()[-1] == "closed"


def test_a_server_whose_parent_is_gone_ends_though_stdin_stays_open(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    journal.touch()
    # The middle process starts the server and dies; both pipes stay open in this process.
    middle = "import subprocess, sys; subprocess.Popen(sys.argv[1:]); sys.stdin.readline()"
    with subprocess.Popen(
        [sys.executable, "-c", middle, *command("stdio", journal)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
    ) as process:
        opened = wait_for_line(journal, lambda line: line.startswith("opened"))
        process.kill()
        wait_for_line(journal, lambda line: line == "closed")
        assert process.stdin is not None
        assert opened != f"opened {process.pid}"


def test_lines_that_are_no_messages_are_answered_and_serving_goes_on(server: RawServer) -> None:
    server.shake_hands()
    server.send(b"garbage\n", b"\n", b"[]\n", b'{"jsonrpc":"2.0","id":3,"method":"x","p\xff":1}\n')
    answers = [server.receive() for _ in range(3)]
    assert [(answer["id"], answer["error"]["code"]) for answer in answers] == [
        (None, -32700),
        (None, -32600),
        (3, -32700),
    ]
    server.call(4, "add", {"left": 1, "right": 1})
    assert server.receive_answer(4)["result"]["structuredContent"] == {"sum": 2}


def test_garbage_before_the_first_message_is_answered_too(server: RawServer) -> None:
    server.send(b"garbage\n")
    assert server.receive()["error"]["code"] == -32700
    server.shake_hands()


def test_lines_may_end_in_crlf_and_answers_end_in_lf(server: RawServer) -> None:
    server.shake_hands()
    ping = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "ping"}).encode()
    server.send(ping + b"\r\n")
    assert server.receive_answer(1)["result"] == {}


def test_a_message_of_four_megabytes_is_read_and_answered(server: RawServer) -> None:
    server.shake_hands()
    server.call(1, "echo", {"text": "é" * 2_000_000})
    answer = server.receive_answer(1)
    assert len(answer["result"]["structuredContent"]["text"]) == 2_000_000


def test_messages_are_utf8_whatever_the_locale(server: RawServer) -> None:
    server.shake_hands()
    text = "Grüße, 世界 \U0001f600\u2028"
    request = {"name": "echo", "arguments": {"text": text}}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": request}
    server.send(json.dumps(message, ensure_ascii=False).encode() + b"\n")
    assert server.receive_answer(1)["result"]["structuredContent"]["text"] == text


def test_a_client_that_does_not_read_cannot_hold_up_the_end(server: RawServer) -> None:
    server.shake_hands()
    server.call(1, "echo", {"text": "x" * 1_000_000})
    server.call(2, "wait")
    server.wait_for("waiting")
    server.process.send_signal(signal.SIGTERM)
    assert server.end() == 0
    assert server.events()[-1] == "closed"


def test_a_host_that_sends_everything_at_once_and_closes_gets_an_answer_to_each(
    tmp_path: Path,
) -> None:
    journal = tmp_path / "journal"
    lines = [{"jsonrpc": "2.0", "id": number, "method": "ping"} for number in range(1, 6)]
    done = subprocess.run(
        command("stdio", journal),
        input=b"".join(json.dumps(line).encode() + b"\n" for line in lines),
        capture_output=True,
        cwd=ROOT,
        timeout=30,
        env={**os.environ},
        check=True,
    )
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert sorted(answer["id"] for answer in answers) == [1, 2, 3, 4, 5]
