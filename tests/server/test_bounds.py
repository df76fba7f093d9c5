"""No reply is longer than 16 kB without a cursor, whatever memory holds, and nothing is lost."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from mcp import Client

from server.app import open_server
from server.config import Settings

BOUND = 16_000
WIDE = "\u65e5\u672c\u8a9e\n"  # three bytes a character


@pytest.fixture
async def host() -> AsyncIterator[Client]:
    settings = Settings(data=":memory:", embedder="none", toolset="full")
    async with open_server(settings) as server, Client(server) as client:
        await client.list_tools()
        yield client


async def call(host: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    """Call a tool; its reply must be within the bound, or have a cursor."""
    result = await host.call_tool(tool, arguments)
    assert not result.is_error, result.content
    found: dict[str, Any] | None = result.structured_content
    assert found is not None
    dumped = result.model_dump(mode="json", by_alias=True, exclude_none=True)
    size = len(json.dumps(dumped, ensure_ascii=False).encode())
    assert size <= BOUND, f"{tool}: {size} bytes"
    return found


async def pages(host: Client, tool: str, **arguments: Any) -> list[dict[str, Any]]:
    found = [await call(host, tool, **arguments)]
    while (cursor := found[-1]["next_cursor"]) is not None:
        found.append(await call(host, tool, **arguments, cursor=cursor))
        assert len(found) < 1_000
    return found


@pytest.mark.parametrize("text", ["word " * 19_000, WIDE * 24_000, '"\\\n' * 33_000])
async def test_a_long_block_is_shown_in_part_and_read_whole(host: Client, text: str) -> None:
    block = {"label": "human", "value": text, "limit_chars": 100_000}
    await call(host, "agent_create", name="Sam", blocks=[block])
    edited = await call(host, "core_memory_append", agent_id="Sam", label="human", content="End.")
    assert "more characters: memory_read memory://agents/" in edited["value"]
    uri = edited["value"].rpartition("memory_read ")[2].rstrip("]")
    read = await pages(host, "memory_read", uri=uri)
    assert "".join(piece["text"] for piece in read) == f"{text}\nEnd."
    context = await pages(host, "memory_context", agent_id="Sam")
    assert text[:1_000] in context[0]["blocks"]
    assert "End." in "".join(page["blocks"] for page in context)
    (shown,) = [
        block for page in await pages(host, "agent_get", agent_id="Sam") for block in page["blocks"]
    ]
    assert shown["cut"]


@pytest.mark.parametrize("text", [WIDE, '"\\\n\t'], ids=["wide", "escaped"])
async def test_an_agent_with_all_that_it_may_have_comes_in_pages(host: Client, text: str) -> None:
    blocks = [
        {"label": f"b{number}" + "x" * 59, "value": text * 200, "description": text * 400}
        for number in range(50)
    ]
    tags = [f"{number}" + "\u65e5" * 90 for number in range(50)]
    wide = {"description": text * 500, "system": text * 10_000, "tags": tags}
    await call(host, "agent_create", name="Sam", blocks=blocks, **wide)
    shown = await pages(host, "agent_get", agent_id="Sam")
    labels = [block["label"] for page in shown for block in page["blocks"]]
    assert labels == [block["label"] for block in blocks]
    whole = "".join(
        piece["text"] for piece in await pages(host, "memory_read", uri="memory://agents/Sam")
    )
    for part in (wide["description"], wide["system"], *tags):
        assert str(part).strip() in whole
    await call(host, "agent_update", agent_id="Sam", description=text * 500)
    asked = await call(host, "agent_delete", agent_id="Sam")
    await call(host, "approval_decide", approval_id=asked["approval_id"], approve=True)


async def test_a_long_list_of_agents_comes_in_pages(host: Client) -> None:
    names = [f"Agent {number} " + "\u65e5" * 80 for number in range(60)]
    for name in names:
        await call(host, "agent_create", name=name, description='"\\\n' * 600, tags=[name])
    listed = await pages(host, "agent_list", limit=100)
    assert [agent["name"] for page in listed for agent in page["agents"]] == names


async def test_long_hits_are_cut_read_whole_and_none_is_left_out(host: Client) -> None:
    await call(host, "agent_create", name="Sam")
    texts = [f"indigo {number} " + WIDE * (number * 400) for number in range(12)]
    notes = {"author": "\u65e5" * 500, "source": "\u65e5" * 500, "session": "\u65e5" * 500}
    for text in texts:
        tags = [f"{number}" + "\u65e5" * 90 for number in range(50)]
        await call(host, "archival_memory_insert", agent_id="Sam", content=text, tags=tags, **notes)
    search = {"agent_id": "Sam", "query": "indigo", "top_k": 100}
    found = [
        hit
        for page in await pages(host, "archival_memory_search", **search)
        for hit in page["results"]
    ]
    explained = await pages(host, "archival_memory_search", **search, explain=True)
    assert sum(len(page["results"]) for page in explained) == len(found) == len(texts)
    read = []
    for hit in found:
        text = hit["content"]
        if "more characters: memory_read " in text:
            uri = text.rpartition("memory_read ")[2].rstrip("]")
            text = "".join(p["text"] for p in await pages(host, "memory_read", uri=uri))
        read.append(text)
    assert sorted(read) == sorted(texts)


async def test_what_a_date_is_counted_from_is_said_briefly_and_leaves_room(host: Client) -> None:
    await call(host, "agent_create", name="Sam")
    for _ in range(12):
        event = {"content": "indigo wedding " + WIDE * 2_000, "occurred_at": "2025-06-14T12:00:00Z"}
        await call(host, "archival_memory_insert", agent_id="Sam", **event)
    query = f"indigo two weeks before the wedding {WIDE * 200}".replace("\n", " ")
    search = {"agent_id": "Sam", "query": query, "top_k": 100}
    found = await pages(host, "archival_memory_search", **search)
    assert sum(len(page["results"]) for page in found) == 12
    assert {page["days_meant"].partition(" is ")[2][:24] for page in found} == {
        "2025-05-28 to 2025-06-03"
    }


async def test_the_reply_says_how_a_date_was_read_that_counts_from_an_event(host: Client) -> None:
    await call(host, "agent_create", name="Sam")
    event = {"content": "The wedding, at last.", "occurred_at": "2025-06-14T12:00:00Z"}
    await call(host, "archival_memory_insert", agent_id="Sam", **event)
    search = {"agent_id": "Sam", "query": "What was two weeks before the wedding?"}
    result = await host.call_tool("archival_memory_search", search)
    said = "“two weeks before the wedding” is 2025-05-28 to 2025-06-03, by “The wedding, at last.”"
    assert result.structured_content and result.structured_content["days_meant"] == said
    assert f"({said}; texts of then are preferred)" in result.content[0].text  # type: ignore[union-attr]


async def test_long_neighbours_are_cut_and_leave_room_for_every_hit(host: Client) -> None:
    await call(host, "agent_create", name="Sam")
    for number in range(12):
        line = {"content": f"indigo {number} " + WIDE * 2_000, "session": "chat"}
        await call(host, "archival_memory_insert", agent_id="Sam", author="\u65e5" * 500, **line)
    search = {"agent_id": "Sam", "query": "indigo", "top_k": 100, "neighbours": 5}
    found = [
        hit
        for page in await pages(host, "archival_memory_search", **search)
        for hit in page["results"]
    ]
    assert len({hit["id"] for hit in found}) == len(found) == 12
    first = next(hit for hit in found if hit["content"].startswith("indigo 0 "))
    assert [text["step"] for text in first["neighbours"]] == [1, 2, 3, 4, 5]
    assert first["neighbours"][0]["content"].endswith("\u2026")


async def test_a_long_resource_comes_in_pieces_that_name_the_next(host: Client) -> None:
    block = {"label": "human", "value": WIDE * 20_000, "limit_chars": 100_000}
    await call(host, "agent_create", name="Sam", blocks=[block])
    uri: str | None = "memory://agents/Sam/blocks/human"
    whole = ""
    while uri is not None:
        result = await host.read_resource(uri)
        text = result.contents[0].model_dump()["text"]
        assert len(result.model_dump_json(by_alias=True).encode()) <= BOUND
        piece, mark, rest = text.partition("\u2026 [")
        whole += piece
        uri = rest.rpartition(": ")[2].rstrip("]") if mark else None
    assert whole == block["value"]


async def test_a_long_list_of_resources_comes_in_pages(host: Client) -> None:
    for number in range(23):
        blocks = [{"label": f"b{n}", "description": WIDE * 100} for n in range(1 + 2 * number)]
        await call(host, "agent_create", name=f"A{number}", blocks=blocks)
    uris: list[str] = []
    cursor: str | None = None
    while True:
        page = await host.list_resources(cursor=cursor)
        assert len(page.model_dump_json(by_alias=True, exclude_none=True).encode()) <= BOUND
        uris += [str(resource.uri) for resource in page.resources]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert len(uris) == len(set(uris)) == sum(2 + 2 * number for number in range(23))


async def test_no_hit_is_left_out_when_pages_are_cut_short(host: Client) -> None:
    await call(host, "agent_create", name="Sam")
    for number in range(130):
        text = f"indigo {number} " + "word " * 120
        await call(host, "archival_memory_insert", agent_id="Sam", content=text)
    search = {"agent_id": "Sam", "query": "indigo", "top_k": 100}
    found = [
        hit["id"]
        for page in await pages(host, "archival_memory_search", **search)
        for hit in page["results"]
    ]
    assert len(found) == len(set(found)) == 130


async def test_an_error_that_quotes_what_was_sent_is_short(host: Client) -> None:
    long = "x" * 100_000
    for tool, arguments in (
        ("agent_get", {"agent_id": long}),
        ("core_memory_append", {"agent_id": "Sam", "label": long, "content": "x"}),
        ("memory_read", {"uri": f"memory://agents/{long}"}),
        ("agent_get", {long: 1}),
    ):
        result = await host.call_tool(tool, arguments)
        assert result.is_error
        assert len(result.model_dump_json().encode()) < 5_000
