"""Who subscribes hears of every change, whoever makes it, in both protocol eras."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal

import anyio
import pytest
from mcp import Client
from mcp.client.subscriptions import Subscription
from mcp.shared.subscriptions import ResourcesListChanged, ResourceUpdated, ServerEvent
from mcp_types import ResourceListChangedNotification, ResourceUpdatedNotification

from memory import agents, blocks, core_memory
from memory.records import Block, Origin
from server.app import App, open_app
from server.config import Settings

SETTINGS = Settings(data=":memory:", embedder="none", toolset="full")
HUMAN = "memory://agents/Sam/blocks/human"

Era = Literal["legacy", "modern"]

# The way of the handshake era, which most hosts still go.
pytestmark = pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning")


class Listener:
    """A client that has subscribed, in either era; `next` waits for the next notice."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self._wake = anyio.Event()

    def hear(self, event: ServerEvent) -> None:
        self.heard.append(event.uri if isinstance(event, ResourceUpdated) else "list")
        self._wake.set()

    async def next(self) -> str:
        with anyio.fail_after(10):
            while not self.heard:
                self._wake = anyio.Event()
                await self._wake.wait()
        return self.heard.pop(0)

    async def on_message(self, message: Any) -> None:
        match message:
            case ResourceUpdatedNotification():
                self.hear(ResourceUpdated(str(message.params.uri)))
            case ResourceListChangedNotification():
                self.hear(ResourcesListChanged())

    async def follow(self, subscription: Subscription) -> None:
        async for event in subscription:
            self.hear(event)


@asynccontextmanager
async def listening(app: App, era: Era, *uris: str) -> AsyncIterator[Listener]:
    listener = Listener()
    server = app.server()
    if era == "legacy":
        async with Client(server, mode="legacy", message_handler=listener.on_message) as client:
            for uri in uris:
                await client.subscribe_resource(uri)
            yield listener
        return
    async with (
        Client(server, mode="auto") as client,
        client.listen(resource_subscriptions=list(uris), resources_list_changed=True) as events,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(listener.follow, events)
        yield listener
        tasks.cancel_scope.cancel()


@pytest.fixture
async def app() -> AsyncIterator[App]:
    async with open_app(SETTINGS) as opened:
        await call(opened, "agent_create", name="Sam")
        yield opened


async def call(app: App, tool: str, **arguments: Any) -> Any:
    async with Client(app.server()) as client:
        result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    return result.structured_content


@pytest.fixture(params=["legacy", "modern"])
def era(request: pytest.FixtureRequest) -> Era:
    return request.param  # type: ignore[no-any-return]


async def test_a_block_that_another_host_edits_is_told(app: App, era: Era) -> None:
    async with listening(app, era, HUMAN) as listener:
        await call(app, "core_memory_append", agent_id="Sam", label="persona", content="Kind.")
        await call(app, "core_memory_append", agent_id="Sam", label="human", content="Ada.")
        assert await listener.next() == HUMAN


async def test_a_block_is_known_by_its_agents_id_too(app: App, era: Era) -> None:
    agent_id = (await call(app, "agent_get", agent_id="Sam"))["id"]
    uri = f"memory://agents/{agent_id}/blocks/human"
    async with listening(app, era, uri) as listener:
        await call(app, "core_memory_append", agent_id="Sam", label="human", content="Ada.")
        assert await listener.next() == uri


async def test_a_shared_block_is_told_to_subscribers_of_every_agent_that_has_it(
    app: App, era: Era
) -> None:
    await call(app, "agent_create", name="Eva", blocks=[])
    store = (await app.runtime()).store
    with store.write(Origin("person:test", "share")) as transaction:
        sam, eva = (agents.find_agent(transaction, name) for name in ("Sam", "Eva"))
        shared = core_memory.get_block(transaction, sam, "human")
        core_memory.attach_block(transaction, eva, shared)
    async with listening(app, era, "memory://agents/Eva/blocks/human") as listener:
        await call(app, "core_memory_append", agent_id="Sam", label="human", content="Ada.")
        assert await listener.next() == "memory://agents/Eva/blocks/human"


@pytest.mark.parametrize("of", ["alone", "shared"])
@pytest.mark.parametrize("labels", [{}, {"human": "user"}])
async def test_a_block_that_goes_or_gets_another_label_is_told_and_changes_the_list(
    app: App, of: str, labels: dict[str, str]
) -> None:
    await call(app, "agent_create", name="Eva", blocks=[])
    store = (await app.runtime()).store

    def edit(held: tuple[Block, ...]) -> list[Block]:
        kept = [block for block in held if labels or block.label != "human"]
        return [blocks.rename(block, labels.get(block.label, block.label)) for block in kept]

    async with listening(app, "modern", HUMAN) as listener:
        with store.write(Origin("person:test", "edit")) as transaction:
            sam, eva = (agents.find_agent(transaction, name) for name in ("Sam", "Eva"))
            if of == "shared":
                shared = core_memory.get_block(transaction, sam, "human")
                core_memory.attach_block(transaction, eva, shared)
            core_memory.edit_blocks(transaction, sam, edit)
        heard = set[str]()
        while not {HUMAN, "list"} <= heard:
            heard.add(await listener.next())


async def test_an_agent_is_told_whatever_of_it_changes(app: App, era: Era) -> None:
    uri = "memory://agents/Sam"
    async with listening(app, era, uri) as listener:
        await call(app, "archival_memory_insert", agent_id="Sam", content="Ada sails.")
        assert await listener.next() == uri


async def test_names_have_no_case_and_an_agent_is_known_by_its_old_name_too(
    app: App, era: Era
) -> None:
    async with listening(app, era, "memory://agents/sAM/blocks/human") as listener:
        await call(app, "core_memory_append", agent_id="Sam", label="human", content="Ada.")
        assert await listener.next() == "memory://agents/sAM/blocks/human"
    async with listening(app, era, "memory://agents/Sam") as listener:
        await call(app, "agent_update", agent_id="Sam", name="Samuel")
        assert {await listener.next(), await listener.next()} == {"memory://agents/Sam", "list"}


async def test_a_block_that_goes_with_its_agent_is_told_by_name(app: App, era: Era) -> None:
    async with listening(app, era, HUMAN) as listener:
        asked = await call(app, "agent_delete", agent_id="Sam")
        await call(app, "approval_decide", approval_id=asked["approval_id"], approve=True)
        assert HUMAN in {await listener.next(), await listener.next()}


async def test_agents_that_come_and_go_change_the_list(app: App, era: Era) -> None:
    async with listening(app, era) as listener:
        await call(app, "agent_create", name="Eva")
        assert await listener.next() == "list"


async def test_who_has_unsubscribed_hears_no_more(app: App) -> None:
    listener = Listener()
    async with Client(app.server(), mode="legacy", message_handler=listener.on_message) as client:
        await client.subscribe_resource(HUMAN)
        await client.unsubscribe_resource(HUMAN)
        await client.subscribe_resource("memory://agents/Sam/blocks/persona")
        await call(app, "core_memory_append", agent_id="Sam", label="human", content="Ada.")
        await call(app, "core_memory_append", agent_id="Sam", label="persona", content="Kind.")
        assert await listener.next() == "memory://agents/Sam/blocks/persona"


async def test_a_client_that_leaves_is_forgotten(app: App, era: Era) -> None:
    async with listening(app, era, HUMAN):
        assert app.notices.heard
        assert app.notices.subscribed
    assert not app.notices.heard
    assert not app.notices.subscribed


async def test_a_change_that_fails_is_told_to_nobody(app: App, era: Era) -> None:
    async with listening(app, era, HUMAN) as listener:
        async with Client(app.server()) as client:
            long = {"agent_id": "Sam", "label": "human", "content": "x" * 100_000}
            assert (await client.call_tool("core_memory_append", long)).is_error
        await call(app, "core_memory_append", agent_id="Sam", label="human", content="Ada.")
        assert await listener.next() == HUMAN
    assert listener.heard == []
