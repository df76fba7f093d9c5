"""JSON-RPC as lines of UTF-8: what any transport of lines needs; stdio.py is one.

split_lines, decode_line and encode_message are pure; serve_lines runs a server over a source of
lines and a function that writes. Where bytes come from and when to stop is the caller's (stdio.py).

A line that is no message is answered, not dropped: a client waiting for a reply to it would wait
for ever. Broken JSON gets a parse error, a batch or another shape an invalid request, with the id
whenever one can be read out of the line.
"""

import json
import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import anyio
from mcp.server.lowlevel import Server
from mcp.shared.message import SessionMessage
from mcp_types import (
    CONNECTION_CLOSED,
    INTERNAL_ERROR,
    INVALID_REQUEST,
    PARSE_ERROR,
    ErrorData,
    JSONRPCError,
    JSONRPCMessage,
    JSONRPCRequest,
    JSONRPCResponse,
    jsonrpc_message_adapter,
)
from pydantic import ValidationError
from pydantic_core import PydanticSerializationError

from server.line_buffer import MAX_LINE_BYTES, LineBuffer

logger = logging.getLogger(__name__)

_LAST_ANSWERS_S: Final = 0.5  # once the input has ended; enough for all that does not compute


@dataclass(frozen=True, slots=True)
class Refused:
    """A line that is no message. `answer` is None where the line was an answer itself."""

    answer: JSONRPCError | None


def split_lines(chunks: Iterable[bytes], limit_bytes: int = MAX_LINE_BYTES) -> Iterator[bytes]:
    """Yield lines without their newline; of a longer line, its first limit_bytes + 1 bytes.

    The last line counts also without a newline at its end.
    """
    buffer = LineBuffer(limit_bytes)
    for chunk in chunks:
        yield from buffer.feed(chunk)
    rest = buffer.take_rest()
    if rest:
        yield rest


def decode_line(line: bytes, limit_bytes: int = MAX_LINE_BYTES) -> JSONRPCMessage | Refused:
    """Return the message in a line, or how to answer what is none."""
    if len(line) > limit_bytes:
        return _refused(None, INVALID_REQUEST, f"a message has at most {limit_bytes} bytes")
    try:
        return jsonrpc_message_adapter.validate_json(line, by_name=False)
    except ValidationError as error:
        detail = error.errors(include_url=False, include_input=False, include_context=False)[0]
        return _explain(line, detail["msg"] if detail["type"] == "json_invalid" else None)


def _explain(line: bytes, broken: str | None) -> Refused:
    """Say what is wrong with a line; `broken` is the parser's reason when it is not JSON.

    Read a second time, leniently, for the id: broken text inside a request leaves it readable.
    """
    try:
        value = json.loads(line.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        value = None
    if broken is not None:
        return _refused(_id(value), PARSE_ERROR, broken)
    if isinstance(value, list):
        return _refused(None, INVALID_REQUEST, "no batches: send one JSON-RPC message a line")
    if isinstance(value, dict) and "method" not in value and {"result", "error"} & value.keys():
        return Refused(None)
    return _refused(_id(value), INVALID_REQUEST, "not a JSON-RPC 2.0 request or notification")


def _id(value: object) -> str | int | None:
    found = value.get("id") if isinstance(value, dict) else None
    if isinstance(found, int) and not isinstance(found, bool):
        return found
    return found if isinstance(found, str) and found.isprintable() else None


def _refused(message_id: str | int | None, code: int, message: str) -> Refused:
    error = ErrorData(code=code, message=message)
    return Refused(JSONRPCError(jsonrpc="2.0", id=message_id, error=error))


def encode_message(message: JSONRPCMessage) -> bytes:
    """Return one line of UTF-8 with its newline. What cannot be encoded becomes an error answer."""
    try:
        return message.model_dump_json(by_alias=True, exclude_unset=True).encode() + b"\n"
    except (PydanticSerializationError, UnicodeEncodeError):
        # One answer with an unpaired surrogate must not end the connection for all others.
        logger.exception("a message of ours cannot be encoded as UTF-8")
        answered = message.id if isinstance(message, JSONRPCResponse) else None
        error = ErrorData(code=INTERNAL_ERROR, message="the answer is not valid Unicode")
        fallback = JSONRPCError(jsonrpc="2.0", id=answered, error=error)
        return fallback.model_dump_json(by_alias=True, exclude_unset=True).encode() + b"\n"


def _decode(line: bytes) -> JSONRPCMessage | Refused:
    """Decode a line and log what is refused; an empty line is nothing at all."""
    if not line.strip():
        return Refused(None)
    found = decode_line(line)
    if isinstance(found, Refused):
        logger.warning("refused a line of %d bytes that is no message", len(line))
    return found


async def serve_lines(
    server: Server[Any],
    lines: AsyncIterator[bytes],
    write: Callable[[bytes], Awaitable[None]],
    asks_again: Callable[[], bool] = bool,
) -> None:
    """Serve one connection until the lines end; calls still in flight are then cancelled.

    Whoever pipes requests in and closes gets the quick answers: the end waits half a second.

    Args:
        server: from protocol.build_server.
        lines: what the client sends, as split_lines yields it.
        write: sends bytes; called by one task at a time.
        asks_again: whether the client takes elsewhere what it has no answer to; then calls that
            are cancelled at the end get none. By default it does not.

    Raises:
        OSError: what write raises (in an exception group).
    """
    to_server, from_client = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    to_client, from_server = anyio.create_memory_object_stream[SessionMessage](0)
    open_requests, asked = _OpenRequests(), _Asked()
    written = anyio.Event()

    async def read_all() -> None:
        async with to_server, to_client.clone() as refusals:
            async for line in lines:
                match _decode(line):
                    case Refused(answer):
                        if answer is not None:
                            await refusals.send(SessionMessage(answer))
                    case message:
                        open_requests.note(message)
                        known = asked.received(message)
                        if known is not None:
                            await to_server.send(SessionMessage(known))
            await open_requests.wait_until_answered()

    async def write_all() -> None:
        async with from_server:
            async for message in from_server:
                await write(_line(asked.sent(message.message), asks_again))
                open_requests.note(message.message)
        written.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read_all)
        tasks.start_soon(write_all)
        await server.run(from_client, to_client, server.create_initialization_options())
        with anyio.move_on_after(_LAST_ANSWERS_S):  # a client may have stopped reading
            await written.wait()
        tasks.cancel_scope.cancel()


def _line(message: JSONRPCMessage, asks_again: Callable[[], bool]) -> bytes:
    """A message as a line; nothing for the SDK's answer to a call that an end has cancelled."""
    gives_up = isinstance(message, JSONRPCError) and message.error.code == CONNECTION_CLOSED
    return b"" if gives_up and asks_again() else encode_message(message)


class _Asked:
    """Our own requests to the client, under ids that no other connection has.

    A client may answer a question of an owner that has died; its answer must not pass for one to
    the question that the next owner asked as its first, too.
    """

    def __init__(self) -> None:
        self._connection = secrets.token_hex(8)
        self._ids: dict[str | int | None, str | int] = {}

    def sent(self, message: JSONRPCMessage) -> JSONRPCMessage:
        """The message with the id that the client is to answer."""
        if not isinstance(message, JSONRPCRequest):
            return message
        id_ = f"{self._connection}-{message.id}"
        self._ids[id_] = message.id
        return message.model_copy(update={"id": id_})

    def received(self, message: JSONRPCMessage) -> JSONRPCMessage | None:
        """The message with the id that we asked with; None: it answers nothing of ours."""
        if not isinstance(message, JSONRPCResponse | JSONRPCError):
            return message
        asked = self._ids.pop(message.id, None)
        if asked is None:
            logger.info("an answer to a question that nobody here asked was dropped")
            return None
        return message.model_copy(update={"id": asked})


class _OpenRequests:
    """The requests of a connection that have no answer yet."""

    def __init__(self) -> None:
        self._ids: set[str | int | None] = set()
        self._all_answered = anyio.Event()

    def note(self, message: JSONRPCMessage) -> None:
        """Take account of a message in either direction."""
        if isinstance(message, JSONRPCRequest):
            self._ids.add(message.id)
        elif isinstance(message, JSONRPCResponse | JSONRPCError):
            self._ids.discard(message.id)
            if not self._ids:
                self._all_answered.set()

    async def wait_until_answered(self) -> None:
        """Return when nothing is open, at the latest after _LAST_ANSWERS_S."""
        self._all_answered = anyio.Event()
        if self._ids:
            with anyio.move_on_after(_LAST_ANSWERS_S):
                await self._all_answered.wait()
