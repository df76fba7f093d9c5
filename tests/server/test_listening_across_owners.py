"""What a host listens to survives the owner: the next one tells it, whoever started that."""

import select
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.server.processes import RawServer, front_process, kill_owner

BLOCK = "memory://agents/Sam/blocks/human"


def end_owner(mnemon: str, data: Path, how: str) -> None:
    if how == "killed":
        kill_owner(data)
    else:
        subprocess.run([mnemon, "stop", "--data", str(data)], check=True, capture_output=True)


def hears_of(front: RawServer, uri: str) -> bool:
    """Whether the front has been told that a resource changed, reading what it has said so far."""
    assert front.process.stdout is not None
    while select.select([front.process.stdout], [], [], 0.1)[0]:
        message: dict[str, Any] = front.receive()
        assert "id" not in message, message
        if message["method"] == "notifications/resources/updated":
            assert message["params"]["uri"] == uri
            return True
    return False


@pytest.mark.parametrize("how", ["killed", "stopped"])
def test_a_subscriber_hears_of_changes_by_the_owner_that_another_host_started(
    mnemon: str, tmp_path: Path, how: str
) -> None:
    with front_process(mnemon, tmp_path) as listening, front_process(mnemon, tmp_path) as writing:
        listening.shake_hands()
        writing.shake_hands()
        writing.call(1, "agent_create", {"name": "Sam", "blocks": [{"label": "human"}]})
        writing.receive_answer(1)
        subscribe = {"method": "resources/subscribe", "params": {"uri": BLOCK}}
        listening.send({"jsonrpc": "2.0", "id": 2, **subscribe})
        listening.receive_answer(2)
        end_owner(mnemon, tmp_path, how)
        for number in range(3, 200):  # until the subscriber has joined, which takes a second
            edit = {"agent_id": "Sam", "label": "human", "content": f"Fact {number}."}
            writing.call(number, "core_memory_append", edit)
            assert not writing.receive_answer(number)["result"]["isError"]
            if hears_of(listening, BLOCK):
                return
    raise AssertionError("nobody told the subscriber")
