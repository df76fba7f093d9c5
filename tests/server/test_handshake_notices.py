"""What clients of the handshake era are told, on a connection that the SDK hands out nowhere."""

import anyio
import pytest
from mcp.client.client import Client
from mcp.client.session import IncomingMessage
from mcp_types import ResourceListChangedNotification, ResourceUpdatedNotification

from server.notices import Listed, Notices, Updated
from server.protocol import build_server
from tests.server.toy_server import toy_registry

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning"),
]

NOTE = "toy://notes/1"


async def test_a_subscriber_hears_of_its_resource_and_everybody_of_changed_lists() -> None:
    notices = Notices()
    send, heard = anyio.create_memory_object_stream[IncomingMessage](10)
    server = build_server(toy_registry(), notices)

    async def hear(message: IncomingMessage) -> None:
        await send.send(message)

    with anyio.fail_after(20), send, heard:
        async with Client(server, mode="legacy", message_handler=hear) as client:
            await client.subscribe_resource(NOTE)
            notices.publish(Updated("toy://notes/2"), Updated(NOTE), Listed())
            first, second = await heard.receive(), await heard.receive()
            await client.unsubscribe_resource(NOTE)
            notices.publish(Updated(NOTE), Listed())
            third = await heard.receive()
    assert isinstance(first, ResourceUpdatedNotification)
    assert first.params.uri == NOTE
    assert isinstance(second, ResourceListChangedNotification)
    assert isinstance(third, ResourceListChangedNotification)


async def test_a_connection_that_has_ended_is_forgotten() -> None:
    notices = Notices()
    with anyio.fail_after(20):
        async with Client(build_server(toy_registry(), notices), mode="legacy") as client:
            await client.subscribe_resource(NOTE)
            assert notices.heard
            assert notices.subscribed
    assert not notices.heard
    assert not notices.subscribed
