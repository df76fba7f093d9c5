"""Hosts start and end, in every way they can: nothing of them is left, in the owner or beside it.

Small by default; MNEMON_TORTURE=1 (`make torture`) has two hundred hosts come and go.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.server.processes import DEADLINE_S, RawServer, ask_status, front_process, read_owner

STARTS = 200 if "MNEMON_TORTURE" in os.environ else 12


@pytest.fixture(autouse=True)
def no_setting_of_mnemons_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MNEMON_TORTURE", raising=False)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def use(mnemon: str, data: Path, end: str) -> None:
    """A host that starts, asks something, and ends as named."""
    with front_process(mnemon, data) as front:
        front.shake_hands()
        front.call(1, "agent_list")
        assert "result" in front.receive_answer(1)
        leave(front, end)


def leave(front: RawServer, end: str) -> None:
    assert front.process.stdin is not None and front.process.stdout is not None
    match end:
        case "end of input":
            front.process.stdin.close()
            assert front.end() == 0
        case "closed stdout":
            front.process.stdout.close()
            assert front.end() == 1
        case "SIGTERM":
            front.process.send_signal(signal.SIGTERM)
            assert front.end() == 0
        case _:
            front.process.kill()
            assert front.end() == -signal.SIGKILL


def status_without_hosts(data: Path) -> dict[str, Any]:
    """The owner's status once it has noticed that its hosts have left."""
    deadline = time.monotonic() + DEADLINE_S
    while (status := ask_status(data))["hosts"]:
        assert time.monotonic() < deadline, status
    return status


def processes_on(data: Path) -> list[int]:
    """The processes that have the directory in their arguments."""
    shown = subprocess.run(
        ["ps", "-ww", "-eo", "pid=,args="], capture_output=True, text=True, check=True
    )
    return [int(row.split()[0]) for row in shown.stdout.splitlines() if str(data) in row]


def open_descriptors(pid: int) -> list[str]:
    """What a process has open (Linux)."""
    folder = Path(f"/proc/{pid}/fd")
    return sorted(str(link.readlink()).partition(":[")[0] for link in folder.iterdir())


def test_nothing_of_a_host_is_left_when_it_has_ended(mnemon: str, data: Path) -> None:
    ends = ("end of input", "closed stdout", "SIGTERM", "SIGKILL")
    for end in ends:
        use(mnemon, data, end)  # the owner is warm then
    owner = read_owner(data)
    status_without_hosts(data)
    before = open_descriptors(owner) if sys.platform == "linux" else []
    for number in range(STARTS):
        use(mnemon, data, ends[number % len(ends)])
    assert status_without_hosts(data)["pid"] == owner
    assert processes_on(data) == [owner]
    if sys.platform == "linux":
        assert open_descriptors(owner) == before
    stopped = subprocess.run([mnemon, "stop", "--data", str(data)], capture_output=True, timeout=60)
    assert stopped.returncode == 0
    assert processes_on(data) == []
    assert not (data / "owner.sock").exists()
