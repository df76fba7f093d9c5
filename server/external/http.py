"""Servers that are reached by streamable HTTP, with as much of their answers as is read.

Redirects that leave the origin are not followed (the SDK's own rule), no proxy and no password of
the environment is used, and nothing is unpacked: a small answer could become a large one.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

import httpx2
from mcp.client._transport import TransportStreams
from mcp.client.streamable_http import streamable_http_client

from memory.tool_server_records import Launch

MAX_BODY_BYTES: Final = 4 * 1024 * 1024
MAX_EVENT_BYTES: Final = 2 * 1024 * 1024


@asynccontextmanager
async def http_transport(
    launch: Launch, headers: Mapping[str, str]
) -> AsyncIterator[TransportStreams]:
    """Messages to and from a server; headers: with their secrets."""
    timeout = httpx2.Timeout(launch.connect_timeout_s, read=launch.call_timeout_s)
    async with (
        httpx2.AsyncClient(
            headers={**headers, "accept-encoding": "identity"},
            timeout=timeout,
            transport=_Capped(httpx2.AsyncHTTPTransport(trust_env=False)),
            trust_env=False,
        ) as client,
        streamable_http_client(
            launch.url, http_client=client, max_sse_event_size=MAX_EVENT_BYTES
        ) as streams,
    ):
        yield streams


class _Capped(httpx2.AsyncBaseTransport):
    """Reads as much of a body as is allowed."""

    def __init__(self, inner: httpx2.AsyncHTTPTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response = await self._inner.handle_async_request(request)
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            await response.aclose()
            raise httpx2.RemoteProtocolError("it packs its answers, which was not asked for")
        if not isinstance(response.stream, httpx2.AsyncByteStream):
            raise TypeError("the body of a response is no asynchronous stream")
        return httpx2.Response(
            response.status_code,
            headers=response.headers,
            stream=_CappedStream(response.stream),
            extensions=response.extensions,
        )

    async def aclose(self) -> None:
        await self._inner.aclose()


class _CappedStream(httpx2.AsyncByteStream):
    def __init__(self, inner: httpx2.AsyncByteStream) -> None:
        self._inner = inner

    async def __aiter__(self) -> AsyncIterator[bytes]:
        room = MAX_BODY_BYTES
        async for chunk in self._inner:
            room -= len(chunk)
            if room < 0:
                raise httpx2.RemoteProtocolError(f"it sent over {MAX_BODY_BYTES} bytes")
            yield chunk

    async def aclose(self) -> None:
        await self._inner.aclose()
