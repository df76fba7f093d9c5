"""What a host's model is told of the tools: short, always the same, and no orders."""

import hashlib
import json
import re
from typing import Any

import pytest
from mcp import Client
from mcp_types import Tool

from server.app import open_server
from server.config import Settings
from server.registry import Toolset

PINNED = "401e2821848f6ccd20256e1fe8cde7dff39ab2045fe5eb1bb1733580654dc0b1"
"""Of tools/list with the default toolset: hosts keep it, so that it changes is worth a look."""


async def listed(toolset: Toolset) -> list[Tool]:
    settings = Settings(data=":memory:", embedder="none", toolset=toolset)
    async with open_server(settings) as server, Client(server, mode="legacy") as client:
        return (await client.list_tools()).tools


def wire(tools: list[Tool]) -> str:
    dumped = [tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in tools]
    return json.dumps({"tools": dumped}, ensure_ascii=False, separators=(",", ":"))


async def test_the_default_toolset_takes_at_most_8_kb_and_is_as_it_was() -> None:
    text = wire(await listed("memory"))
    assert len(text.encode()) <= 8_000
    assert hashlib.sha256(text.encode()).hexdigest() == PINNED


async def test_each_toolset_lists_what_its_host_needs() -> None:
    names = {t: {tool.name for tool in await listed(t)} for t in ("memory", "agents", "full")}
    assert names["memory"] | names["agents"] < names["full"]
    assert {"memory_context", "archival_memory_search", "agent_create"} <= names["memory"]
    assert {"agent_message", "agent_delete", "agent_create"} <= names["agents"]
    assert not {"agent_message", "agent_delete"} & names["memory"]
    assert len(names["memory"]) <= 12


async def test_a_tool_that_is_not_listed_can_be_called_by_its_name() -> None:
    settings = Settings(data=":memory:", embedder="none")
    async with open_server(settings) as server, Client(server) as client:
        await client.call_tool("agent_create", {"name": "Sam"})
        shown = await client.call_tool("agent_get", {"agent_id": "Sam"})
    assert not shown.is_error


async def test_every_tool_of_every_toolset_is_described_strictly_and_briefly() -> None:
    for tool in await listed("full"):
        assert re.fullmatch(r"[a-z_]{1,40}", tool.name)
        assert tool.title
        assert tool.description and len(tool.description) < 200
        assert tool.output_schema is not None
        assert tool.annotations is not None
        assert tool.annotations.open_world_hint is False
        for schema in objects(tool.input_schema):
            assert schema["additionalProperties"] is False


@pytest.mark.parametrize("word", ["must ", "always", "ignore", "important", "system prompt"])
async def test_no_description_speaks_as_an_authority(word: str) -> None:
    text = wire(await listed("full")).lower()
    assert word not in text
    assert text.isprintable()


def objects(schema: dict[str, Any]) -> list[dict[str, Any]]:
    """Every schema of an object with fields inside a schema; metadata and settings list none."""
    inside = [
        *schema.get("properties", {}).values(),
        *schema.get("anyOf", []),
        *([schema["items"]] if "items" in schema else []),
    ]
    own = [schema] if schema.get("type") == "object" and "properties" in schema else []
    return own + [found for sub in inside for found in objects(sub)]
