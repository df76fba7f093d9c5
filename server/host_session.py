"""A command as a host: it starts `mnemon mcp`, so it shares the owner with whoever is connected.

An answer survives the owner's death, and a model stays loaded for the next command.
"""

import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from mcp import Client, StdioServerParameters
from mcp.client.session import ElicitationFnT
from mcp_types import CallToolResult, Implementation, TextContent

from server.config import Settings
from server.errors import OperatorError
from server.front_flags import NAMES
from server.owner_questions import ask_owner, describe_owner

OnProgress = Callable[[str], Awaitable[None]]


class HostFailed(OperatorError):
    """There is no answer; the message says why."""


class HostSession:
    """Calls tools."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def call(
        self, tool: str, arguments: dict[str, Any], on_progress: OnProgress | None = None
    ) -> dict[str, Any]:
        """Call a tool and return its result.

        Raises:
            HostFailed: with the tool's message.
        """

        async def told(progress: float, total: float | None, message: str | None) -> None:
            if on_progress is not None and message is not None:
                await on_progress(message)

        result: CallToolResult = await self._client.call_tool(
            tool, arguments, progress_callback=told
        )
        if result.is_error:
            (content,) = result.content
            raise HostFailed(content.text if isinstance(content, TextContent) else "no answer")
        return result.structured_content or {}


@asynccontextmanager
async def open_session(
    settings: Settings, given: dict[str, Any], name: str, ask: ElicitationFnT | None = None
) -> AsyncIterator[HostSession]:
    """Connect to the owner of these settings; one is started when there is none.

    Args:
        given: the settings that the command was told.
        name: of the command, in events.
        ask: asks the person what the server wants to know; None: nobody can be asked.

    Raises:
        HostFailed: the owner has other settings.
    """
    _check_settings(settings, given)
    flags = {name.replace("_", "-"): str(value) for name, value in given.items()}
    flags |= {"data": settings.data, "toolset": "full"}
    arguments = [f"--{name}={value}" for name, value in flags.items() if name in NAMES]
    program = ["-P", "-m", "server.cli", "mcp"]  # -P: a folder `server` here is not ours
    server = StdioServerParameters(
        command=sys.executable, args=[*program, *arguments], env=dict(os.environ)
    )
    me = Implementation(name=name, version="1")
    async with Client(server, mode="legacy", client_info=me, elicitation_callback=ask) as client:
        yield HostSession(client)


def _check_settings(settings: Settings, given: dict[str, Any]) -> None:
    """Refuse settings that the owner does not have and will not take while it has hosts."""
    status = ask_owner(settings.data, "status") if settings.directory else None
    if status is None or (status["background"] and not status["hosts"]):
        return
    wanted = settings.model_dump(mode="json")
    for name, value in status["settings"].items():
        if name in given and wanted[name] != value:
            raise HostFailed(
                f"{settings.data} is {describe_owner(status)} with {name} {value or 'not set'}, and"
                f" all share it; leave --{name.replace('_', '-')} out, or set it in"
                f" {settings.data}/config.toml and run `mnemon stop`"
            )


def innermost(error: BaseException) -> BaseException:
    """The first error in groups of groups, as tasks inside tasks leave them."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
