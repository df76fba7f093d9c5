"""A request that comes again changes memory once and gets the first answer."""

from pathlib import Path
from typing import Any

import pytest
from mcp import Client

from server.app import open_server
from server.config import Settings
from tests.server.processes import front_process, kill_owner


@pytest.fixture
def settings() -> Settings:
    return Settings(data=":memory:", embedder="none")


async def call(client: Client, tool: str, **arguments: Any) -> Any:
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    return result.structured_content


async def test_a_repeat_with_the_same_key_returns_the_first_result(settings: Settings) -> None:
    async with open_server(settings) as server, Client(server) as client:
        first = await call(client, "agent_create", name="Sam", idempotency_key="a")
        assert await call(client, "agent_create", name="Sam", idempotency_key="a") == first
        fact = {"agent_id": "Sam", "content": "Ada sails.", "idempotency_key": "b"}
        stored = await call(client, "archival_memory_insert", **fact)
        assert await call(client, "archival_memory_insert", **fact) == stored
        edit = {"agent_id": "Sam", "label": "human", "content": "Ada", "idempotency_key": "c"}
        edited = await call(client, "core_memory_append", **edit)
        assert await call(client, "core_memory_append", **edit) == edited
        context = await call(client, "memory_context", agent_id="Sam")
        assert context["passages"] == 1
        delete = {"agent_id": "Sam", "idempotency_key": "e"}
        asked = await call(client, "agent_delete", **delete)
        yes = {"approval_id": asked["approval_id"], "approve": True, "idempotency_key": "d"}
        gone = await call(client, "approval_decide", **yes)
        assert await call(client, "approval_decide", **yes) == gone
        await call(client, "agent_create", name="Sam")
        assert (await call(client, "agent_delete", **delete))["status"] == "done"
        assert await call(client, "memory_context", agent_id="Sam")


async def test_a_key_that_was_given_to_another_request_is_refused(settings: Settings) -> None:
    async with open_server(settings) as server, Client(server) as client:
        await call(client, "agent_create", name="Sam", idempotency_key="a")
        for tool, arguments in (
            ("agent_create", {"name": "Tom"}),
            ("agent_delete", {"agent_id": "Sam"}),
        ):
            result = await client.call_tool(tool, {**arguments, "idempotency_key": "a"})
            assert result.is_error
            assert "belongs to an earlier call of agent_create" in result.content[0].text  # type: ignore[union-attr]
        assert len((await call(client, "agent_list"))["agents"]) == 1


async def test_a_call_that_failed_may_be_tried_again_with_its_key(settings: Settings) -> None:
    async with open_server(settings) as server, Client(server) as client:
        fact = {"agent_id": "Sam", "content": "Ada sails.", "idempotency_key": "a"}
        assert (await client.call_tool("archival_memory_insert", fact)).is_error
        await call(client, "agent_create", name="Sam")
        await call(client, "archival_memory_insert", **fact)


def test_a_write_whose_answer_died_with_the_owner_is_not_done_twice(
    mnemon: str, tmp_path: Path
) -> None:
    with front_process(mnemon, tmp_path) as front:
        front.shake_hands()
        front.call(1, "agent_create", {"name": "Sam"})
        created = front.receive_answer(1)["result"]["structuredContent"]
        # The host asks again with the same id, as the front does when an answer was lost.
        kill_owner(tmp_path)
        front.call(1, "agent_create", {"name": "Sam"})
        assert front.receive_answer(1)["result"]["structuredContent"] == created
