"""What people, models and disks get wrong: a clear error each time, and nothing half-written."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import duckdb
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError

from server.app import open_server
from server.config import Settings

SAM = {"agent_id": "Sam"}


@asynccontextmanager
async def host(data: Path | str, **settings: Any) -> AsyncIterator[Client]:
    given = Settings(data=str(data), embedder="none", **settings)
    async with open_server(given) as server, Client(server) as client:
        yield client


async def refused(client: Client, tool: str, **arguments: Any) -> str:
    result = await client.call_tool(tool, arguments)
    assert result.is_error
    (part,) = result.content
    assert part.type == "text"
    return part.text


async def create_sam(client: Client) -> None:
    blocks = [
        {"label": "human", "value": "Ada", "limit_chars": 10},
        {"label": "persona", "value": "I am Sam.", "read_only": True},
    ]
    result = await client.call_tool("agent_create", {"name": "Sam", "blocks": blocks})
    assert not result.is_error


LABEL = {**SAM, "label": "human"}
MEGABYTE = "x" * 1_000_000

BAD_CALLS: list[tuple[str, dict[str, Any], str]] = [
    ("core_memory_append", {**LABEL, "content": " Lovelace, countess"}, "13 over its limit of 10"),
    ("core_memory_append", {**SAM, "label": "persona", "content": "x"}, "is read-only"),
    ("core_memory_append", {**SAM, "label": "humna", "content": "x"}, "it has human, persona"),
    ("core_memory_append", {**LABEL, "content": ""}, "content is empty"),
    ("core_memory_append", {**LABEL, "content": "a\0b"}, "NUL"),
    ("core_memory_append", {**LABEL, "content": "a\ud800b"}, "surrogate"),
    ("core_memory_append", {**LABEL, "content": "x", "reason": "y"}, "reason"),
    ("core_memory_append", {**LABEL}, "content"),
    ("core_memory_replace", {**LABEL, "old_content": "Bob", "new_content": ""}, "does not hold"),
    ("memory_replace", {**LABEL, "old_string": "", "new_string": "x"}, "empty"),
    ("memory_insert", {**LABEL, "new_string": "x", "insert_line": 9}, "line 9 is outside"),
    ("memory_rethink", {**LABEL, "new_memory": MEGABYTE}, "999990 over its limit of 10"),
    ("memory_rethink", {**SAM, "label": "a b", "new_memory": "x"}, "cannot be a block's label"),
    ("archival_memory_insert", {**SAM, "content": MEGABYTE}, "900000 over the limit of 100000"),
    ("archival_memory_insert", {**SAM, "content": "  "}, "empty"),
    ("archival_memory_insert", {**SAM, "content": "x", "tags": [""]}, "a tag is empty"),
    ("archival_memory_insert", {**SAM, "content": "x", "occurred_at": "soon"}, "is no date"),
    ("archival_memory_search", {**SAM, "query": " "}, "query is empty"),
    ("archival_memory_search", {**SAM, "query": "x", "start_datetime": "2026-02-30"}, "is no date"),
    ("archival_memory_search", {**SAM, "query": "x", "cursor": "no cursor"}, "cursor"),
    ("archival_memory_search", {**SAM, "query": "x", "top_k": 0}, "top_k"),
    ("archival_memory_search", {**SAM, "query": MEGABYTE}, "over the limit of 4000"),
    ("archival_memory_delete", {**SAM, "passage_id": "passage-1"}, "no passage 'passage-1'"),
    ("conversation_search", {**SAM, "query": "x", "roles": ["system"]}, "roles"),
    (
        "conversation_search",
        {**SAM, "query": "x", "start_date": "2026-03-02", "end_date": "2026-03-01"},
        "lies before",
    ),
    ("memory_context", {"agent_id": "Tom"}, "no agent 'Tom'; agents: Sam"),
    ("agent_create", {"name": "sam"}, "exists already"),
    ("memory_read", {"uri": "memory://agents/a#b"}, "in a name # is written %23"),
    ("agent_create", {"name": ""}, "name is empty"),
    ("agent_create", {"name": "T", "timezone": "Mars/Base"}, "is no time zone"),
    (
        "agent_create",
        {"name": "T", "blocks": [{"label": "a"}, {"label": "a"}]},
        "two blocks are called",
    ),
    ("agent_create", {"name": "T", "blocks": [{"label": "a", "limit": 1}]}, "limit"),
    ("agent_list", {"cursor": "x"}, "no cursor"),
    (
        "agent_update",
        {**SAM, "name": "Tom", "blocks": [{"label": "human", "limit_chars": 2}]},
        "1 over its limit of 2",
    ),
    ("agent_message", {**SAM, "message": ""}, "message is empty"),
]


@pytest.mark.parametrize(
    ("tool", "arguments", "expected"), BAD_CALLS, ids=[f"{c[0]}: {c[2]}" for c in BAD_CALLS]
)
async def test_a_bad_call_is_explained_and_changes_nothing(
    tmp_path: Path, tool: str, arguments: dict[str, Any], expected: str
) -> None:
    async with host(tmp_path) as client:
        await create_sam(client)
        before = await everything(client)

        message = await refused(client, tool, **arguments)

        assert expected in message
        assert "\n" not in message
        assert len(message) < 600
        assert await everything(client) == before


async def everything(client: Client) -> list[Any]:
    """All that hosts can see of memory."""
    listed = await client.call_tool("agent_list", {})
    shown = await client.call_tool("agent_get", SAM)
    return [listed.structured_content, shown.structured_content]


async def test_an_unknown_tool_is_named_with_those_that_exist(tmp_path: Path) -> None:
    async with host(tmp_path) as client:
        with pytest.raises(MCPError, match=r"unknown tool 'core_memory_apend'.*memory_context"):
            await client.call_tool("core_memory_apend", {})


async def test_an_unknown_argument_is_answered_with_the_likely_one(tmp_path: Path) -> None:
    async with host(tmp_path) as client:
        message = await refused(client, "archival_memory_search", **SAM, query="x", topk=3)
    assert "top_k" in message


async def test_a_corrupt_database_is_reported_by_every_call_and_left_as_it_is(
    tmp_path: Path,
) -> None:
    file = tmp_path / "mnemon.duckdb"
    file.write_bytes(b"this is no database" * 1000)
    async with host(tmp_path) as client:
        for _ in range(2):
            message = await refused(client, "agent_list")
            assert "mnemon.duckdb" in message
            assert "restore a backup" in message
    assert file.read_bytes() == b"this is no database" * 1000


async def test_a_database_of_a_newer_mnemon_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    async with host(tmp_path) as client:
        await create_sam(client)
    file = tmp_path / "mnemon.duckdb"
    with duckdb.connect(str(file)) as connection:
        connection.execute("UPDATE meta SET value = '999' WHERE name = 'schema_version'")
    before = file.read_bytes()
    async with host(tmp_path) as client:
        assert "schema version 999" in await refused(client, "agent_list")
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    ("content", "expected"),
    [(None, "nothing.gguf"), (b"", "gguf"), (b"no model at all", "GGUF"), (b"GGUF", "GGUF")],
    ids=["missing", "empty", "not GGUF", "truncated"],
)
async def test_a_model_that_is_none_is_explained_and_nothing_is_stored(
    tmp_path: Path, content: bytes | None, expected: str
) -> None:
    model = tmp_path / "nothing.gguf"
    if content is not None:
        model.write_bytes(content)
    async with host(tmp_path, model=model) as client:
        await create_sam(client)
        message = await refused(client, "agent_message", **SAM, message="Hello")
        assert expected in message
        shown = await client.call_tool("agent_get", SAM)
        assert shown.structured_content is not None
        assert shown.structured_content["messages"] == 0


async def test_an_unknown_block_resource_is_refused(tmp_path: Path) -> None:
    async with host(tmp_path) as client:
        await create_sam(client)
        for uri in ("memory://agents/Sam/blocks/nothing", "memory://nowhere", "file:///etc/passwd"):
            with pytest.raises(MCPError, match="unknown resource"):
                await client.read_resource(uri)


async def test_a_cursor_of_resources_that_is_none_is_refused(tmp_path: Path) -> None:
    async with host(tmp_path) as client:
        for cursor in ("x", "9" * 40, "-1"):
            with pytest.raises(MCPError, match="cursor"):
                await client.list_resources(cursor=cursor)


async def test_long_passages_are_paged_and_none_is_lost(tmp_path: Path) -> None:
    async with host(tmp_path) as client:
        await create_sam(client)
        for number in range(6):
            content = f"Voyage {number}: " + "the sea was calm " * 500
            await client.call_tool("archival_memory_insert", {**SAM, "content": content})
        seen, cursor = [], None
        while True:
            query = {**SAM, "query": "voyage sea", "top_k": 5, "cursor": cursor}
            page = (await client.call_tool("archival_memory_search", query)).structured_content
            assert page is not None
            assert sum(len(hit["content"]) for hit in page["results"]) <= 20_000
            seen += [hit["content"][:8] for hit in page["results"]]
            cursor = page["next_cursor"]
            if cursor is None:
                break
    assert sorted(seen) == [f"Voyage {number}" for number in range(6)]


@pytest.mark.parametrize("model", ["~nosuchuser/x.gguf", "relative.gguf"])
async def test_a_model_path_that_means_nothing_is_refused(tmp_path: Path, model: str) -> None:
    async with host(tmp_path) as client:
        await create_sam(client)
        assert "absolute path" in await refused(client, "agent_update", **SAM, model=model)
