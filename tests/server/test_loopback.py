"""An owner on a port of this machine, as Windows needs one: who may speak to it, and its end."""

import os
import signal
import socket
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from server import loopback, owner_files
from tests.server.processes import (
    DEADLINE_S,
    front_process,
    kill_owner,
    loopback_owner,
    pumped_front,
    raw_process,
    read_owner,
    wait_for_line,
)

ASK = b'{"mnemon":1,"ask":"status"}\n'


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def owner(mnemon: str, data: Path) -> Iterator["subprocess.Popen[bytes]"]:
    with loopback_owner(mnemon, data) as owner:
        wait_for_line(data / "owner.port", bool)
        yield owner


def answer(data: Path, said: bytes) -> bytes:
    """All that an owner says to somebody who says this."""
    port = int((data / "owner.port").read_text().split()[0])
    with socket.create_connection((loopback.HOST, port), DEADLINE_S) as connection:
        connection.sendall(said)
        with connection.makefile("rb") as lines:
            return lines.read()


@pytest.mark.usefixtures("owner")
def test_only_who_can_read_the_file_of_the_port_is_answered(data: Path) -> None:
    assert stat.S_IMODE((data / "owner.port").stat().st_mode) == 0o600
    token = (data / "owner.port").read_bytes().split()[1]
    assert answer(data, token + b"\n" + ASK).startswith(b'{"pid": ')
    for wrong in (b"", b"\n", token[:-1] + b"\n", token + b" \n", ASK):
        assert answer(data, wrong + ASK) == b""


def test_fronts_of_either_kind_and_commands_find_the_owner(
    mnemon: str, data: Path, owner: "subprocess.Popen[bytes]"
) -> None:
    with (
        front_process(mnemon, data) as polling,
        raw_process(pumped_front(data), data / "owner.log") as pumped,
    ):
        for number, front in enumerate((polling, pumped)):
            front.shake_hands()
            front.call(1, "agent_create", {"name": f"Sam{number}"})
            assert not front.receive_answer(1)["result"]["isError"]
        status = subprocess.run([mnemon, "status", "--data", str(data)], capture_output=True)
        assert f"process {owner.pid} since".encode() in status.stdout
        assert f"raw (process {pumped.process.pid})".encode() in status.stdout
    listed = subprocess.run([mnemon, "agents", "list", "--data", str(data)], capture_output=True)
    assert b"Sam0" in listed.stdout
    stopped = subprocess.run([mnemon, "stop", "--data", str(data)], capture_output=True)
    assert stopped.stdout == f"stopped process {owner.pid}\n".encode()
    assert owner.wait(DEADLINE_S) == 0
    assert not (data / "owner.port").exists()


def test_a_front_goes_on_with_the_next_owner_and_never_asks_at_the_port_of_a_dead_one(
    data: Path, owner: "subprocess.Popen[bytes]"
) -> None:
    with raw_process(pumped_front(data), data / "owner.log") as front:
        front.shake_hands()
        os.kill(owner.pid, signal.SIGSTOP)
        front.call(1, "agent_list")
        kill_owner(data)
        owner.wait(DEADLINE_S)
        assert owner_files.connect(str(data)) is None or read_owner(data) != owner.pid
        assert front.receive_answer(1)["result"]["structuredContent"]["agents"] == []
        assert read_owner(data) != owner.pid
        assert not (data / "owner.port").exists()


@pytest.mark.usefixtures("owner")
def test_an_owner_that_another_was_quicker_than_ends(mnemon: str, data: Path) -> None:
    serve = [mnemon, "serve", "--background=-1", "--data", str(data)]
    second = subprocess.run(serve, capture_output=True, timeout=60)
    assert (second.returncode, second.stdout, second.stderr) == (0, b"", b"")
