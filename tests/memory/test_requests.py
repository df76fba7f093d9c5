"""Requests that may come again: how long their results are kept."""

from datetime import timedelta
from pathlib import Path

from memory.requests import KEPT, Request, first_result
from memory.store import MemoryStore
from tests.memory.given import TEST


def keep(store: MemoryStore, key: str, age: timedelta) -> None:
    with store.write(TEST) as transaction:
        transaction.run(
            "insert_request",
            key=key,
            tool="agent_create",
            arguments="digest",
            result="{}",
            now=transaction.now_utc - age,
        )


def kept(store: MemoryStore, key: str) -> bool:
    with store.write(TEST) as transaction:
        request = Request(key, "agent_create", "digest", by_caller=True)
        return first_result(transaction, request) is not None


def test_opening_forgets_the_requests_that_nobody_repeats_any_more(tmp_path: Path) -> None:
    minute = timedelta(minutes=1)
    with MemoryStore(tmp_path / "mnemon.duckdb", None) as store:
        keep(store, "old", KEPT + minute)
        keep(store, "young", KEPT - minute)
        assert kept(store, "old")
    with MemoryStore(tmp_path / "mnemon.duckdb", None) as store:
        assert not kept(store, "old")
        assert kept(store, "young")
