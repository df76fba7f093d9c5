"""An agent's life as a host manages it: settings, copies, what is forgotten and what is left."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp_types import TextContent

from memory import agents
from memory.records import NewMessage
from server.app import App, open_app
from server.config import Settings
from tests.memory.given import MemoryOf

MEMORY = Settings(data=":memory:", embedder="none", toolset="full")


class Host:
    """A client, and the app behind it."""

    def __init__(self, client: Client, app: App) -> None:
        self.client, self.app = client, app

    async def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        result = await self.client.call_tool(tool, arguments)
        assert not result.is_error, result.content
        found: dict[str, Any] | None = result.structured_content
        assert found is not None
        return found

    async def refused(self, tool: str, **arguments: Any) -> str:
        result = await self.client.call_tool(tool, arguments)
        assert result.is_error
        (content,) = result.content
        assert isinstance(content, TextContent)
        return content.text

    async def agreed(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """What waited for a yes, once it was given."""
        waiting = await self.call(tool, **arguments)
        assert waiting["status"] == "waiting"
        decided = {"approval_id": waiting["approval_id"], "approve": True}
        assert (await self.call("approval_decide", **decided))["approved"]
        return waiting

    async def names(self, **arguments: Any) -> list[str]:
        found = await self.call("agent_list", **arguments)
        return [agent["name"] for agent in found["agents"]]

    async def memory_of(self, agent_id: str) -> MemoryOf:
        store = (await self.app.runtime()).store
        return MemoryOf(store, store.agent_state(agent_id).agent)


@asynccontextmanager
async def hosted(settings: Settings = MEMORY) -> AsyncIterator[Host]:
    async with open_app(settings) as app, Client(app.server()) as client:
        yield Host(client, app)


@pytest.fixture
async def host() -> AsyncIterator[Host]:
    async with hosted() as found:
        yield found


async def test_settings_and_metadata_are_merged_and_null_takes_one_away(host: Host) -> None:
    settings = {"max_steps": 5, "compaction": {"mode": "all"}}
    await host.call("agent_create", name="Sam", settings=settings, metadata={"team": {"id": 7}})
    changed = await host.call(
        "agent_update",
        agent_id="Sam",
        settings={"max_steps": None, "compaction": {"keep_share": 0.5}, "autoclear": True},
        metadata={"team": {"name": "red"}, "since": 2026},
    )
    assert changed["settings"] == {
        "autoclear": True,
        "compaction": {"mode": "all", "keep_share": 0.5},
    }
    assert changed["metadata"] == {"team": {"id": 7, "name": "red"}, "since": 2026}
    shown = await host.call("agent_get", agent_id="Sam")
    assert (shown["settings"], shown["metadata"]) == (changed["settings"], changed["metadata"])


@pytest.mark.parametrize("tool", ["agent_create", "agent_update"])
async def test_a_setting_that_does_not_exist_is_refused_by_name(host: Host, tool: str) -> None:
    await host.call("agent_create", name="Sam")
    named = {"name": "Eva"} if tool == "agent_create" else {"agent_id": "Sam"}
    said = await host.refused(tool, **named, settings={"max_step": 3})
    assert "there is no setting 'max_step'; known: tools, tool_rules" in said
    assert await host.names() == ["Sam"]


async def test_a_setting_that_cannot_be_read_any_more_is_told_and_hinders_nobody(
    host: Host,
) -> None:
    sam = (await host.call("agent_create", name="Sam"))["id"]
    memory = await host.memory_of(sam)
    with memory.write() as transaction:
        from_a_later_version = {"max_steps": "many", "mood": "good"}
        agents.update_agent(transaction, memory.agent, {"settings": from_a_later_version})
    shown = await host.call("agent_get", agent_id="Sam")
    assert len(shown["problems"]) == 2
    assert "agent 'Sam': setting 'max_steps' cannot be 'many'" in shown["problems"][0]
    changed = await host.call("agent_update", agent_id="Sam", settings={"temperature": 0.5})
    assert changed["settings"] == {**from_a_later_version, "temperature": 0.5}
    mended = {"max_steps": 3, "mood": None}
    assert not (await host.call("agent_update", agent_id="Sam", settings=mended))["problems"]


async def test_an_embedder_of_its_own_is_refused_with_what_to_do(host: Host) -> None:
    await host.call("agent_create", name="Sam")
    said = await host.refused("agent_update", agent_id="Sam", embedder="another")
    assert "all agents of a memory have one embedder" in said
    assert "mnemon reindex --embedder" in said


async def test_agents_are_found_by_name_text_and_tags_page_by_page(host: Host) -> None:
    for number in range(7):
        tags = ["even" if number % 2 == 0 else "odd", "all"]
        about = "counts" if number < 5 else "rests"
        await host.call("agent_create", name=f"Agent {number}", description=about, tags=tags)
    assert await host.names(name="GENT 3") == ["Agent 3"]
    assert await host.names(query="rest", tags=["even"]) == ["Agent 6"]
    assert await host.names(tags=["even", "all"], tag_match_mode="all", query="rests") == [
        "Agent 6"
    ]
    found, cursor = list[str](), None
    while True:
        arguments = {"query": "counts", "limit": 2} | ({"cursor": cursor} if cursor else {})
        page = await host.call("agent_list", **arguments)
        found += [agent["name"] for agent in page["agents"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert found == [f"Agent {number}" for number in range(5)]


async def test_a_clone_is_made_once_with_what_is_asked_for(host: Host) -> None:
    await host.call("agent_create", name="Sam", settings={"max_steps": 5}, tags=["a"])
    await host.call("core_memory_append", agent_id="Sam", label="human", content="Ada.")
    await host.call("archival_memory_insert", agent_id="Sam", content="Ada sails.")
    key = {"agent_id": "Sam", "name": "Copy", "idempotency_key": "k"}
    first = await host.call("agent_clone", **key)
    assert await host.call("agent_clone", **key) == first
    copy = await host.call("agent_get", agent_id="Copy")
    assert (copy["passages"], copy["settings"], copy["tags"]) == (1, {"max_steps": 5}, ["a"])
    assert [block["value"] for block in copy["blocks"]] == ["", "Ada."]
    shared = {"include": ["blocks"], "share_blocks": True}
    await host.call("agent_clone", agent_id="Sam", name="Twin", **shared)
    await host.call("core_memory_append", agent_id="Twin", label="human", content="Shared.")
    twin = await host.call("agent_get", agent_id="Sam")
    assert twin["blocks"][1]["value"] == "Ada.\nShared."
    said = await host.refused(
        "agent_clone", agent_id="Sam", name="X", include=[], share_blocks=True
    )
    assert "share_blocks needs 'blocks' in include" in said


async def test_messages_are_forgotten_once_a_person_agrees(host: Host) -> None:
    sam = (await host.call("agent_create", name="Sam"))["id"]
    memory = await host.memory_of(sam)
    memory.say("Hello.", NewMessage("assistant", "Hi."))
    waiting = await host.agreed("agent_reset_messages", agent_id="Sam")
    assert waiting["messages"] == 2
    assert memory.state().messages == ()
    assert (await host.call("conversation_search", agent_id="Sam"))["results"] == []


async def test_what_a_deleted_agent_leaves_is_listed_and_another_can_take_it(host: Host) -> None:
    await host.call("agent_create", name="Sam")
    await host.call("core_memory_append", agent_id="Sam", label="human", content="Ada.")
    await host.call("archival_memory_insert", agent_id="Sam", content="Ada sails.")
    gone = await host.agreed("agent_delete", agent_id="Sam", delete_orphans=False)
    left = (await host.call("orphan_list"))["orphans"]
    assert [orphan["id"] for orphan in left if orphan["kind"] == "block"] == gone["orphans"][:2]
    assert {orphan["id"] for orphan in left} == set(gone["orphans"])

    await host.call("agent_create", name="Eva", blocks=[])
    human = next(orphan["id"] for orphan in left if orphan["name"] == "human")
    archive = next(orphan["id"] for orphan in left if orphan["kind"] == "archive")
    taken = await host.call(
        "agent_update", agent_id="Eva", attach_blocks=[human], archive_id=archive
    )
    assert [block["value"] for block in taken["blocks"]] == ["Ada."]
    assert (taken["passages"], taken["archive_id"]) == (1, archive)
    found = await host.call("archival_memory_search", agent_id="Eva", query="sails")
    assert [hit["content"] for hit in found["results"]] == ["Ada sails."]

    (rest,) = (await host.call("orphan_list"))["orphans"]
    await host.agreed("orphan_delete", ids=[rest["id"]])
    assert (await host.call("orphan_list"))["orphans"] == []
    assert "no orphan" in await host.refused("orphan_delete", ids=[human])


async def test_a_person_is_told_what_goes_and_what_stays(host: Host) -> None:
    await host.call("agent_create", name="Sam")
    await host.call("agent_clone", agent_id="Sam", name="Twin", share_blocks=True)
    await host.call("core_memory_append", agent_id="Sam", label="human", content="x")
    await host.call("archival_memory_insert", agent_id="Sam", content="Ada sails.")
    result = await host.client.call_tool("agent_delete", {"agent_id": "Sam"})
    (content,) = result.content
    assert isinstance(content, TextContent)
    assert "with 0 messages, 1 passage?" in content.text
    assert "Other agents keep the shared blocks persona, human." in content.text


async def test_blocks_are_detached_by_label_and_attached_by_id(host: Host) -> None:
    sam = await host.call("agent_create", name="Sam")
    shown = await host.call("agent_get", agent_id=sam["id"])
    persona, human = shown["blocks"]
    moved = {"detach_blocks": ["persona"], "attach_blocks": [persona["id"]]}
    shown = await host.call("agent_update", agent_id="Sam", **moved)
    assert [block["id"] for block in shown["blocks"]] == [human["id"], persona["id"]]
    said = await host.refused("agent_update", agent_id="Sam", attach_blocks=[human["id"]])
    assert "has a block 'human' already" in said
    said = await host.refused("agent_update", agent_id="Sam", attach_blocks=["block-1"])
    assert "no block 'block-1'" in said


async def test_a_caller_names_a_template_of_the_data_directory_and_no_other_file(
    tmp_path: Path,
) -> None:
    (tmp_path / "templates").mkdir()
    template = 'description = "Sails."\n[settings]\nmax_steps = 3\nautoclear = true\n'
    (tmp_path / "templates" / "sailor.toml").write_text(template)
    (tmp_path / "secret.toml").write_text('description = "Secret."')
    async with hosted(Settings(data=str(tmp_path), embedder="none")) as host:
        given = {"name": "Sam", "settings": {"max_steps": 5}}
        await host.call("agent_create", **given, template="sailor")
        shown = await host.call("agent_get", agent_id="Sam")
        assert shown["description"] == "Sails."
        assert shown["settings"] == {"max_steps": 5, "autoclear": True}
        assert [block["label"] for block in shown["blocks"]] == ["persona", "human"]
        for name in ("../secret", "nobody", "/etc/passwd", ".."):
            said = await host.refused("agent_create", name="Eva", template=name)
            assert f"there is no template {name!r}" in said
            assert "there are: sailor" in said
        (tmp_path / "templates" / "broken.toml").write_text("description = ")
        said = await host.refused("agent_create", name="Eva", template="broken")
        assert "broken.toml is no template" in said


@pytest.mark.parametrize("size", [900, 15_000])
async def test_however_much_is_set_an_agent_is_shown_within_a_reply(host: Host, size: int) -> None:
    metadata = {"notes": "日" * (size // 3)}
    await host.call("agent_create", name="Sam", metadata=metadata, settings={"max_steps": 5})
    shown = await host.call("agent_get", agent_id="Sam")
    if size > 1_000:
        (where,) = shown["metadata"].values()
        uri = where.rpartition(" ")[2]
        piece = await host.call("memory_read", uri=uri)
        assert "日日日" in piece["text"]
    else:
        assert shown["metadata"] == metadata
