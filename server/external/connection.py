"""One connection to a server of others, in a task of its own.

It is opened, used by any number of calls at once, and closed when nobody has called for a while.
Whatever the other side does, every wait here has an end, and its end never takes us with it.
"""

import logging
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

import anyio
import anyio.abc
from mcp import Client
from mcp.client._transport import TransportStreams
from mcp.client.session import ClientSession
from mcp.shared.exceptions import MCPError
from mcp_types import (
    CONNECTION_CLOSED,
    HEADER_MISMATCH,
    CallToolRequest,
    CallToolRequestParams,
    Implementation,
    ListToolsRequest,
    PaginatedRequestParams,
    Request,
)
from pydantic import BaseModel, ConfigDict, ValidationError

from server.external.bounded import Ending, bounded
from server.external.errors import (
    CallRefused,
    CallTimedOut,
    ConnectionLost,
    ServerUnreachable,
)
from server.external.listing import MAX_TOOLS
from server.external.words import clean, shortened

logger = logging.getLogger(__name__)

IDLE_S: Final = 300.0
_MAX_PAGES: Final = 20
_SAID_CHARS: Final = 500
_US: Final = Implementation(name="mnemon", version="1")


class _Raw(BaseModel):
    """A result as it came: results.py looks at it, not the schema that the server gave for it."""

    model_config = ConfigDict(extra="allow")


class Connection:
    """A connection; open() first, in a task group that outlives it.

    server: its name, for errors. ending: shared with the transport, which says there why it ended.
    """

    def __init__(
        self,
        server: str,
        transport: AbstractAsyncContextManager[TransportStreams],
        ending: Ending,
        idle_s: float = IDLE_S,
    ) -> None:
        self._server, self._transport, self._ending = server, transport, ending
        self._idle_s, self._in_use = idle_s, 0
        self._session: ClientSession | None = None
        self._settled, self._used, self._closed = anyio.Event(), anyio.Event(), anyio.Event()
        self._scope = anyio.CancelScope()

    @property
    def is_open(self) -> bool:
        """Whether calls can be sent."""
        return self._session is not None and not self._ending.over.is_set()

    async def open(self, tasks: anyio.abc.TaskGroup, timeout_s: float) -> None:
        """Connect.

        Raises:
            ServerUnreachable: saying why.
        """
        tasks.start_soon(self._serve, name=f"mcp-server-{self._server}")
        try:
            with anyio.move_on_after(timeout_s):
                await self._settled.wait()
        finally:
            if self._session is None:
                self._scope.cancel()
        if self._session is None:
            why = self._ending.why or f"said no hello within {timeout_s:g} s"
            raise ServerUnreachable(self._server, why)

    async def aclose(self) -> None:
        """Close it, and wait until it is."""
        self._scope.cancel()
        await self._closed.wait()

    async def list_tools(self, timeout_s: float) -> list[dict[str, Any]]:
        """All tools, as the protocol has them.

        Raises:
            ExternalServerError: there is no whole list in time.
        """
        tools: list[dict[str, Any]] = []
        cursor: str | None = None
        try:
            with anyio.fail_after(timeout_s):
                for _ in range(_MAX_PAGES):
                    params = None if cursor is None else PaginatedRequestParams(cursor=cursor)
                    page = await self._ask(ListToolsRequest(params=params), timeout_s)
                    tools += page.get("tools", [])
                    cursor = page.get("nextCursor")
                    if not cursor or len(tools) >= MAX_TOOLS:
                        break
        except TimeoutError:
            raise CallTimedOut(self._server, f"did not list its tools in {timeout_s:g} s") from None
        return tools

    async def call(
        self, tool: str, arguments: Mapping[str, Any], timeout_s: float
    ) -> dict[str, Any]:
        """Call a tool and return its result, as the protocol has it; cancelling tells the server.

        Raises:
            ExternalServerError: there is none.
        """
        request = CallToolRequest(
            params=CallToolRequestParams(name=tool, arguments=dict(arguments))
        )
        try:
            with anyio.fail_after(timeout_s):
                return await self._ask(request, timeout_s)
        except TimeoutError:
            raise CallTimedOut(
                self._server, f"did not answer within {timeout_s:g} s, and was told to stop"
            ) from None

    async def _ask(self, request: Request[Any, Any], timeout_s: float) -> dict[str, Any]:
        if self._session is None:
            raise ConnectionLost(self._server, "is not connected")
        self._in_use += 1
        try:
            try:
                raw = await self._session.send_request(request, _Raw, timeout_s)
            except MCPError as error:
                if error.code != HEADER_MISMATCH or not isinstance(request, CallToolRequest):
                    raise
                # Some arguments travel as headers too; its list of tools says which.
                await self._session.list_tools()
                raw = await self._session.send_request(request, _Raw, timeout_s)
            return dict(raw.model_extra or {})
        except MCPError as error:
            raise self._told(error) from None
        except (ValidationError, ValueError, RuntimeError):
            raise CallRefused(self._server, "gave an answer that is none") from None
        except (anyio.ClosedResourceError, anyio.BrokenResourceError):
            raise self._lost() from None
        finally:
            self._in_use -= 1
            self._used.set()

    def _told(self, error: MCPError) -> Exception:
        # A server may send this code, too, while it goes on.
        if error.code == CONNECTION_CLOSED and self._ending.over.is_set():
            return self._lost()
        said = shortened(clean(error.error.message), _SAID_CHARS)
        return CallRefused(self._server, f"refused: {said}")

    def _lost(self) -> ConnectionLost:
        why = self._ending.why or "closed the connection"
        return ConnectionLost(self._server, f"{why}; whether it did what it was asked is not known")

    async def _serve(self) -> None:
        try:
            with self._scope:
                async with Client(
                    _Entered(bounded(self._transport, self._ending)), client_info=_US, cache=None
                ) as client:
                    self._session = client.session
                    self._settled.set()
                    await self._until_idle()
        except Exception as error:  # whatever a server does, it is the server that failed
            cause = _first_cause(error)
            # Not its words: they may hold the secrets that it was given.
            name = type(cause).__name__
            logger.info("MCP server %r: connection ended by %s", self._server, name)
            self._ending.why = self._ending.why or _why(cause)
        finally:
            self._session = None
            self._ending.end("")
            self._settled.set()
            self._closed.set()

    async def _until_idle(self) -> None:
        """Wait until it is over, or nobody has called for a while."""
        async with anyio.create_task_group() as tasks:

            async def watch() -> None:
                await self._ending.over.wait()
                tasks.cancel_scope.cancel()

            tasks.start_soon(watch)
            while True:
                self._used = anyio.Event()
                with anyio.move_on_after(self._idle_s):
                    await self._used.wait()
                    continue
                if not self._in_use:
                    tasks.cancel_scope.cancel()
                    return


class _Entered:
    """A context manager of streams, which the SDK takes as a transport."""

    def __init__(self, inner: AbstractAsyncContextManager[TransportStreams]) -> None:
        self._inner = inner

    async def __aenter__(self) -> TransportStreams:
        return await self._inner.__aenter__()

    async def __aexit__(self, *failure: Any) -> bool | None:
        return await self._inner.__aexit__(*failure)


def _first_cause(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _why(error: BaseException) -> str:
    """A cause in a line."""
    said = error.error.message if isinstance(error, MCPError) else str(error)
    line = shortened(clean(said).replace("\n", " ").strip(), _SAID_CHARS)
    return f"cannot be used: {line or type(error).__name__}"
