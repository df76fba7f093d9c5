"""Many passages in one call: each kept once, however often the call comes; what waits is told."""

from typing import Any

import pytest
from mcp import Client

from memory.importing import MAX_CHARS, MAX_PASSAGES
from server.app import open_server
from server.config import Settings

WORDS_ONLY = Settings(data=":memory:", embedder="none")
DIARY: list[dict[str, Any]] = [
    {"content": "Ada is allergic to peanuts.", "author": "Ada", "tags": ["health"]},
    {"content": "Ada plays the oboe.", "occurred_at": "2026-03-31T18:00"},
]


async def imported(client: Client, passages: list[Any], **more: Any) -> dict[str, Any]:
    arguments = {"agent_id": "Sam", "passages": passages, **more}
    result = await client.call_tool("archival_memory_import", arguments)
    assert not result.is_error, result.content
    return result.structured_content or {}


async def refused(client: Client, passages: list[Any]) -> str:
    arguments = {"agent_id": "Sam", "passages": passages}
    result = await client.call_tool("archival_memory_import", arguments)
    assert result.is_error
    return str(result.content[0].text)  # type: ignore[union-attr]


async def held(client: Client) -> int:
    shown = await client.call_tool("memory_context", {"agent_id": "Sam"})
    return int((shown.structured_content or {})["passages"])


async def test_passages_that_are_imported_again_are_there_once() -> None:
    async with open_server(WORDS_ONLY) as server, Client(server) as client:
        await client.call_tool("agent_create", {"name": "Sam"})
        first = await imported(client, DIARY)
        again = await imported(client, [*DIARY, {"content": "Ada moved to Ghent."}])
        other = await imported(client, [{**DIARY[0], "author": "Bob"}])
        assert [(r["stored"], r["held"]) for r in (first, again, other)] == [(2, 0), (1, 2), (1, 0)]
        assert await held(client) == 4


async def test_the_same_said_twice_is_kept_twice_when_it_is_said_to_be_a_copy() -> None:
    twice = [{"content": "ok"}, {"content": "ok"}, {"content": "ok", "copy_number": 1}]
    async with open_server(WORDS_ONLY) as server, Client(server) as client:
        await client.call_tool("agent_create", {"name": "Sam"})
        assert (await imported(client, twice))["stored"] == 2
        assert (await imported(client, twice))["stored"] == 0
        assert (await imported(client, [{"content": "ok", "copy_number": 2}]))["stored"] == 1


async def test_the_answer_says_what_waits_for_vectors_and_why() -> None:
    async with open_server(WORDS_ONLY) as server, Client(server) as client:
        await client.call_tool("agent_create", {"name": "Sam"})
        told = await imported(client, DIARY, wait_s=60)
        assert told["pending_vectors"] == 2 and told["problem"] == "there is no embedder"


async def test_a_host_that_waits_gets_the_answer_when_all_is_embedded() -> None:
    async with open_server(Settings(data=":memory:")) as server, Client(server) as client:
        await client.call_tool("agent_create", {"name": "Sam"})
        assert (await imported(client, DIARY))["problem"] == ""
        told = await imported(client, [], wait_s=60)
        assert (told["stored"], told["pending_vectors"], told["problem"]) == (0, 0, "")


@pytest.mark.parametrize(
    ("passages", "message"),
    [
        ([*DIARY, {"content": " "}], "passage 3: the passage is empty"),
        ([{"content": "a", "occurred_at": "soon"}], "occurred_at"),
        ([{"content": str(n)} for n in range(MAX_PASSAGES + 1)], "1001 passages"),
        ([{"content": "x" * (MAX_CHARS // 10)}] * 11, "send at most"),
    ],
)
async def test_a_call_with_a_bad_passage_or_too_many_stores_nothing(
    passages: list[Any], message: str
) -> None:
    async with open_server(WORDS_ONLY) as server, Client(server) as client:
        await client.call_tool("agent_create", {"name": "Sam"})
        assert message in await refused(client, passages)
        assert await held(client) == 0
