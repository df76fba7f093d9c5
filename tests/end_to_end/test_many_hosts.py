"""Several hosts write while their owner is killed: nothing acknowledged is lost or applied twice.

Small by default; MNEMON_TORTURE=1 (`make torture`) runs eight hosts for a minute with ten kills.
"""

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.server.processes import RawServer, front_process, kill_owner

FULL = "MNEMON_TORTURE" in os.environ
HOSTS, KILLS, SECONDS = (8, 10, 60.0) if FULL else (3, 2, 6.0)


@pytest.fixture
def fronts(
    mnemon: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[list[RawServer]]:
    monkeypatch.delenv("MNEMON_TORTURE", raising=False)  # no setting of mnemon's own
    with ExitStack() as stack:
        yield [
            stack.enter_context(front_process(mnemon, tmp_path, 4 * SECONDS + 60))
            for _ in range(HOSTS)
        ]


def write(front: RawServer, host: int, ended: threading.Event) -> list[str]:
    """Store passages one after another; return those that were acknowledged."""
    acknowledged = []
    number = 0
    while not ended.is_set():
        number += 1
        text = f"host {host} wrote fact {number}"
        front.call(number, "archival_memory_insert", {"agent_id": "Sam", "content": text})
        answer = front.receive_answer(number)["result"]
        assert not answer["isError"], answer
        acknowledged.append(text)
        appended = {"agent_id": "Sam", "label": "counter", "content": "+"}
        front.call(number + 1_000_000, "core_memory_append", appended)
        assert not front.receive_answer(number + 1_000_000)["result"]["isError"]
    return acknowledged


def read(front: RawServer, uri: str) -> str:
    """The whole text of a resource, page by page."""
    arguments: dict[str, Any] = {"uri": uri}
    text: str = ""
    number = -2
    while True:
        front.call(number, "memory_read", arguments)
        piece = front.receive_answer(number)["result"]["structuredContent"]
        text += piece["text"]
        if piece["next_cursor"] is None:
            return text
        arguments["cursor"] = piece["next_cursor"]
        number -= 1


def test_no_write_is_lost_or_applied_twice_when_the_owner_is_killed(
    fronts: list[RawServer], tmp_path: Path
) -> None:
    for front in fronts:
        front.shake_hands()
    counter = {"label": "counter", "limit_chars": 100_000}
    fronts[0].call(0, "agent_create", {"name": "Sam", "blocks": [counter]})
    assert not fronts[0].receive_answer(0)["result"]["isError"]

    ended = threading.Event()
    with ThreadPoolExecutor(HOSTS) as pool:
        writers = [pool.submit(write, front, i, ended) for i, front in enumerate(fronts)]
        try:
            for _ in range(KILLS):
                ended.wait(SECONDS / (KILLS + 1))
                kill_owner(tmp_path)
            ended.wait(SECONDS / (KILLS + 1))
        finally:
            ended.set()
        acknowledged = [text for writer in writers for text in writer.result(60)]

    fronts[0].call(-1, "agent_get", {"agent_id": "Sam"})
    shown = fronts[0].receive_answer(-1)["result"]["structuredContent"]
    assert shown["passages"] == len(acknowledged)
    assert read(fronts[0], "memory://agents/Sam/blocks/counter").count("+") == len(acknowledged)
    assert all(any(f"host {host} " in text for text in acknowledged) for host in range(HOSTS))
