"""The connections to servers of others: made when first needed, kept for a while, made anew.

A call is sent once: where the connection breaks under it, nobody knows whether it was done, so it
is not sent again. A connection that broke before is made again, once more after a pause where that
fails, and then not for a time that doubles.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import anyio
import anyio.abc
import anyio.to_thread

from memory.errors import InvalidValue
from memory.tool_server_records import Launch, SeenTool, ToolServer
from server.external.bounded import Ending
from server.external.connection import IDLE_S, Connection
from server.external.errors import ExternalServerError, ServerUnreachable
from server.external.http import http_transport
from server.external.listing import seen_tools
from server.external.references import Secrets, filled, names_in, no_secrets, without
from server.external.results import result_text
from server.external.stdio import Command, RunCommand, stdio_transport, unsandboxed

_FIRST_PAUSE_S: Final = 0.5
_MAX_PAUSE_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a call. text: cleaned, bounded, without secrets; still not to be trusted."""

    text: str
    failed: bool


@dataclass(slots=True)
class _Place:
    """What is known of one server. not_before: on anyio's clock, it is not tried again."""

    lock: anyio.Lock = field(default_factory=anyio.Lock)
    connection: Connection | None = None
    secrets: Mapping[str, str] = field(default_factory=dict)
    pause_s: float = _FIRST_PAUSE_S
    not_before: float = 0.0
    failure: str = ""


class ExternalServers:
    """Connects to servers and asks them; begin() first.

    Args:
        run_command: starts programs in the sandbox.
    """

    def __init__(
        self,
        secrets: Secrets = no_secrets,
        run_command: RunCommand = unsandboxed,
        idle_s: float = IDLE_S,
    ) -> None:
        self._secrets, self._run_command, self._idle_s = secrets, run_command, idle_s
        self._places: dict[str, _Place] = {}
        self._tasks: anyio.abc.TaskGroup | None = None

    def begin(self, tasks: anyio.abc.TaskGroup) -> None:
        """Keep connections in this task group; they end with it."""
        self._tasks = tasks

    async def check_secrets(self, launch: Launch) -> None:
        """Refuse a server that refers to secrets which are not kept.

        Raises:
            InvalidValue: naming one.
        """
        values = {**launch.environment, **launch.headers}
        await anyio.to_thread.run_sync(self._secrets, names_in(values))

    async def list_tools(self, server: str, key: str, launch: Launch) -> list[SeenTool]:
        """The tools that a server has now, over a new connection.

        key: of the connection; of a server that is stored, its id.

        Raises:
            ExternalServerError: it cannot be asked.
            InvalidValue: a secret is missing.
        """
        if self._tasks is not None:
            return await self._listed(server, key, launch)
        failure: Exception | None = None  # as itself: a task group would make a group of it
        tools: list[SeenTool] = []
        async with anyio.create_task_group() as tasks:  # a command on a file that nobody has open
            self._tasks = tasks
            try:
                tools = await self._listed(server, key, launch)
            except (ExternalServerError, InvalidValue) as error:
                failure = error
            finally:
                self._tasks = None
                tasks.cancel_scope.cancel()
        if failure is not None:
            raise failure
        return tools

    async def call(self, server: ToolServer, tool: str, arguments: Mapping[str, Any]) -> Answer:
        """Call a tool of a server by its name there.

        Raises:
            ExternalServerError: there is no answer.
            InvalidValue: a secret is missing.
        """
        place = self._places.setdefault(server.id, _Place())
        with _without_secrets(place):
            connection = await self._connected(server.name, place, server.launch)
            result = await connection.call(tool, arguments, server.launch.call_timeout_s)
        # On a thread: an answer may be large.
        return await anyio.to_thread.run_sync(_answer_of, result, place.secrets)

    async def forget(self, key: str) -> None:
        """Close the connection to a server, as when it is removed."""
        place = self._places.pop(key, None)
        if place is not None and place.connection is not None:
            await place.connection.aclose()

    async def aclose(self) -> None:
        """Close every connection."""
        for key in list(self._places):
            await self.forget(key)

    async def _listed(self, server: str, key: str, launch: Launch) -> list[SeenTool]:
        await self.forget(key)  # who lists anew does not wait for what failed before
        place = self._places.setdefault(key, _Place())
        with _without_secrets(place):
            connection = await self._connected(server, place, launch)
            listed = await connection.list_tools(launch.connect_timeout_s)
        return await anyio.to_thread.run_sync(_seen, server, listed, place.secrets)

    async def _connected(self, server: str, place: _Place, launch: Launch) -> Connection:
        async with place.lock:
            if place.connection is not None and place.connection.is_open:
                return place.connection
            wait_s = place.not_before - anyio.current_time()
            if wait_s > 0:
                raise ServerUnreachable(
                    server, f"{place.failure} (it is tried again in {wait_s:.0f} s)"
                )
            try:
                connection = await self._opened(server, place, launch)
            except ServerUnreachable as error:
                place.failure = str(error).removeprefix(f"MCP server {server!r} ")
                place.not_before = anyio.current_time() + place.pause_s
                place.pause_s = min(2 * place.pause_s, _MAX_PAUSE_S)
                raise
            place.connection, place.pause_s = connection, _FIRST_PAUSE_S
            return connection

    async def _opened(self, server: str, place: _Place, launch: Launch) -> Connection:
        values = {**launch.environment, **launch.headers}
        place.secrets = await anyio.to_thread.run_sync(self._secrets, names_in(values))
        deadline = anyio.current_time() + launch.connect_timeout_s
        try:
            return await self._tried(server, place, launch, launch.connect_timeout_s)
        except ServerUnreachable:
            rest_s = deadline - anyio.current_time() - _FIRST_PAUSE_S
            if rest_s <= 0:
                raise
        await anyio.sleep(_FIRST_PAUSE_S)
        return await self._tried(server, place, launch, rest_s)

    async def _tried(
        self, server: str, place: _Place, launch: Launch, timeout_s: float
    ) -> Connection:
        if self._tasks is None:
            raise RuntimeError("nothing keeps connections; begin() was not called")
        ending = Ending()
        if launch.transport == "http":
            transport = http_transport(launch, filled(launch.headers, place.secrets))
        else:
            environment = filled(launch.environment, place.secrets)
            command = Command(launch.command, environment, launch.grants)
            transport = stdio_transport(self._run_command(command), ending)
        connection = Connection(server, transport, ending, self._idle_s)
        await connection.open(self._tasks, timeout_s)
        return connection


def _answer_of(result: Mapping[str, Any], secrets: Mapping[str, str]) -> Answer:
    return Answer(*result_text(without(result, secrets)))


def _seen(
    server: str, listed: Sequence[Mapping[str, Any]], secrets: Mapping[str, str]
) -> list[SeenTool]:
    return seen_tools(server, without(listed, secrets))


@contextmanager
def _without_secrets(place: _Place) -> Iterator[None]:
    """Take secrets out of errors too: they hold what a server said."""
    try:
        yield
    except ExternalServerError as error:
        error.args = (without(str(error), place.secrets),)
        raise
