"""A model server over real sockets that says what a test tells it to, byte by byte if need be."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
from anyio.abc import SocketAttribute, SocketStream


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Reply = Callable[[SocketStream], Awaitable[None]]
"""Writes an answer, the status line included."""


@dataclass
class ChatServer:
    """about: what is answered at other paths than chat/completions; anything else is 404 there.

    replies: to completions, one after another; the last stays. requests: every one that came.
    """

    port: int = 0
    about: dict[str, Any] = field(default_factory=dict)
    replies: list[Reply] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    connections: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def completions(self) -> list[Request]:
        return [request for request in self.requests if request.path.endswith("/completions")]

    async def serve(self, stream: SocketStream) -> None:
        self.connections += 1
        async with stream:
            try:
                while (request := await read_request(stream)) is not None:
                    self.requests.append(request)
                    await self._reply_to(request)(stream)
            except (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream):
                return  # one of the two sides has hung up

    def _reply_to(self, request: Request) -> Reply:
        if request.path.endswith("/chat/completions"):
            return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        found = self.about.get(request.path)
        if found is None:
            return json_reply({"error": {"message": "no such path"}}, status=404)
        return found if callable(found) else json_reply(found)


@asynccontextmanager
async def chat_server(*replies: Reply, **about: Any) -> AsyncIterator[ChatServer]:
    server = ChatServer(about=about, replies=list(replies))
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
        server.port = listener.extra(SocketAttribute.local_port)  # noqa: S610 - no database here
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, server.serve)
            yield server
            tasks.cancel_scope.cancel()


async def read_request(stream: SocketStream) -> Request | None:
    buffer = b""
    while b"\r\n\r\n" not in buffer:
        try:
            buffer += await stream.receive()
        except anyio.EndOfStream:
            return None
    head, _, body = buffer.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    method, path, _ = first.split(" ")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    while len(body) < int(headers.get("content-length", 0)):
        body += await stream.receive()
    return Request(method, path, headers, body)


def head(status: int, content_type: str, *more: str) -> bytes:
    lines = (f"HTTP/1.1 {status} X", f"Content-Type: {content_type}", *more)
    return "\r\n".join([*lines, "", ""]).encode()


def json_reply(value: Any, status: int = 200, *headers: str) -> Reply:
    return body_reply(json.dumps(value).encode(), status, "application/json", *headers)


def body_reply(
    body: bytes, status: int = 200, content_type: str = "text/html", *headers: str
) -> Reply:
    async def write(stream: SocketStream) -> None:
        length = f"Content-Length: {len(body)}"
        await stream.send(head(status, content_type, length, *headers) + body)

    return write


def chunked(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


STREAM_HEAD = head(200, "text/event-stream", "Transfer-Encoding: chunked")


def sse_reply(*events: Any, end: bytes = b"0\r\n\r\n", cut_bytes: int = 0) -> Reply:
    """A stream of events; what is no text is written as JSON. cut_bytes: size of its pieces."""

    async def write(stream: SocketStream) -> None:
        data = sse(*events)
        await stream.send(STREAM_HEAD)
        for start in range(0, len(data), cut_bytes or len(data) or 1):
            await stream.send(chunked(data[start : start + (cut_bytes or len(data))]))
        await stream.send(end)
        if not end:
            await stream.aclose()

    return write


def sse(*events: Any) -> bytes:
    texts = (
        event if isinstance(event, str) else json.dumps(event, ensure_ascii=False)
        for event in events
    )
    return "".join(f"data: {text}\n\n" for text in texts).encode()


def delta(content: str | None = None, finish: str | None = None, **more: Any) -> dict[str, Any]:
    return {
        "choices": [{"index": 0, "delta": {"content": content, **more}, "finish_reason": finish}]
    }


def call_delta(index: int | None, name: str | None, arguments: str, id: str = "") -> dict[str, Any]:
    function = {"name": name, "arguments": arguments}
    return delta(tool_calls=[{"index": index, "id": id or None, "function": function}])


def usage(prompt: int, completion: int, cached: int | None = None) -> dict[str, Any]:
    details = {} if cached is None else {"prompt_tokens_details": {"cached_tokens": cached}}
    counts = {"prompt_tokens": prompt, "completion_tokens": completion, **details}
    return {"choices": [], "usage": counts}


def says(text: str, finish: str = "stop", *more: Any) -> Reply:
    return sse_reply(delta(text), delta(finish=finish), *more, "[DONE]")


def texts_of(pieces: Sequence[str], finish: str = "stop") -> Reply:
    return sse_reply(*map(delta, pieces), delta(finish=finish), "[DONE]")
