"""What needs a person's yes: asked at the host in either era, or passed on through a tool."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal

import pytest
from mcp import Client
from mcp.client.session import ClientRequestContext
from mcp_types import CallToolResult, ElicitRequestParams, ElicitResult, TextContent

from memory.errors import NotFound
from server.app import open_server
from server.approvals import WAIT_S, Approvals, UnknownApproval
from server.config import Settings
from server.registry import Caller

SETTINGS = Settings(data=":memory:", embedder="none", toolset="full")
Action = Literal["accept", "decline", "cancel"]


class Person:
    """Somebody at a host that can ask."""

    def __init__(self, action: Action) -> None:
        self.action = action
        self.asked: list[str] = []

    async def __call__(
        self, context: ClientRequestContext, params: ElicitRequestParams
    ) -> ElicitResult:
        self.asked.append(params.message)
        return ElicitResult(action=self.action, content={} if self.action == "accept" else None)


@asynccontextmanager
async def host(era: Any = "auto", person: Person | None = None) -> AsyncIterator[Client]:
    async with (
        open_server(SETTINGS) as server,
        Client(server, mode=era, elicitation_callback=person) as client,
    ):
        await client.call_tool("agent_create", {"name": "Sam"})
        fact = {"agent_id": "Sam", "content": "Ada sails."}
        await client.call_tool("archival_memory_insert", fact)
        yield client


def text_of(result: CallToolResult) -> str:
    (content,) = result.content
    assert isinstance(content, TextContent)
    return content.text


async def names(client: Client) -> list[str]:
    found = (await client.call_tool("agent_list", {})).structured_content
    assert found is not None
    return [agent["name"] for agent in found["agents"]]


@pytest.mark.parametrize("era", ["legacy", "auto"])
async def test_a_person_who_agrees_is_asked_once_and_told_what_goes(era: str) -> None:
    person = Person("accept")
    async with host(era, person) as client:
        result = await client.call_tool("agent_delete", {"agent_id": "Sam"})
        assert not result.is_error
        assert await names(client) == []
    (question,) = person.asked
    assert "with 0 messages, 1 passage and the blocks persona, human" in question
    assert text_of(result).startswith("Deleted agent Sam")


@pytest.mark.parametrize("era", ["legacy", "auto"])
@pytest.mark.parametrize("action", ["decline", "cancel"])
async def test_a_person_who_does_not_agree_loses_nothing(era: str, action: Action) -> None:
    async with host(era, Person(action)) as client:
        result = await client.call_tool("agent_delete", {"agent_id": "Sam"})
        assert result.is_error
        assert text_of(result) == "declined by the person; nothing was changed"
        assert await names(client) == ["Sam"]


@pytest.mark.parametrize("era", ["legacy", "auto"])
async def test_where_nobody_can_be_asked_the_decision_is_passed_on_by_a_tool(era: str) -> None:
    async with host(era) as client:
        asked = await client.call_tool("agent_delete", {"agent_id": "Sam"})
        assert text_of(asked).startswith("Nothing is changed yet: Delete agent Sam")
        assert asked.structured_content is not None
        assert asked.structured_content["status"] == "waiting"
        assert await names(client) == ["Sam"]
        decided = {"approval_id": asked.structured_content["approval_id"], "approve": True}
        done = await client.call_tool("approval_decide", decided)
        assert text_of(done).startswith("Deleted agent Sam")
        assert await names(client) == []
        again = await client.call_tool("approval_decide", decided)
        assert "nothing waits for approval" in text_of(again)


async def test_a_decision_against_it_is_final() -> None:
    async with host() as client:
        asked = (await client.call_tool("agent_delete", {"agent_id": "Sam"})).structured_content
        assert asked is not None
        no = {"approval_id": asked["approval_id"], "approve": False}
        assert text_of(await client.call_tool("approval_decide", no)) == (
            "Declined; nothing was changed."
        )
        yes = await client.call_tool("approval_decide", {**no, "approve": True})
        assert yes.is_error
        assert await names(client) == ["Sam"]


def test_what_nobody_decides_is_forgotten() -> None:
    now = [0.0]
    approvals = Approvals(lambda: now[0])
    caller = Caller()

    def never(transaction: object) -> Any:
        raise AssertionError("nobody agreed")

    old = approvals.keep(caller, never)
    now[0] = WAIT_S
    assert approvals.keep(caller, never) != old
    now[0] = WAIT_S + 1
    with pytest.raises(UnknownApproval):
        approvals.take(caller, old)
    with pytest.raises(NotFound):
        approvals.take(Caller(principal="another"), approvals.keep(caller, never))
