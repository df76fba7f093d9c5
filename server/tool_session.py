"""Calling tools from a command: those of the owner, or the same on a file that nobody has open.

So a command does what a host can do, in one way, and both are recorded alike.
"""

from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, assert_never, cast

import anyio

from agent.loop import AgentLoop
from agent.runs import Runs
from memory.errors import DatabaseLocked
from memory.records import Agent
from memory.store import MemoryStore
from server.agent_finding import finding_tools
from server.approvals import Approvals
from server.arguments import InvalidArguments, parse_arguments
from server.config import Settings, installer_variables
from server.further_tools import further_tools
from server.memory_access import MemoryAccess
from server.memory_tools import memory_tools
from server.outside_tools import OutsideTools
from server.owner_session import CallFailed, OwnerSession
from server.registry import Call, Caller
from server.turns import in_turn

if TYPE_CHECKING:
    from server.runtime import Runtime

_ME = Caller(host="mnemon command line")


class ToolSession(Protocol):
    """Something that tools can be called on."""

    def call(self, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Call a tool and return its result."""


@contextmanager
def open_tools(settings: Settings, creates: bool = False) -> Iterator[ToolSession]:
    """The tools on the memory of these settings, through the process that has it open if one has.

    Args:
        creates: whether a memory may come to be here; looking for one makes none.
    """
    with in_turn(lambda: _open(settings, creates), DatabaseLocked) as opened:
        match opened:
            case OwnerSession():
                yield opened
            case MemoryStore():
                yield StoredTools(opened, settings)
            case _ as never:
                assert_never(never)


def _open(settings: Settings, creates: bool) -> OwnerSession | MemoryStore:
    session = OwnerSession.open(settings.data) if settings.directory else None
    if session is not None:
        return session
    directory, path = settings.directory, settings.database
    usable = directory is None or directory.is_dir() or not directory.exists()
    if usable and path is not None and not path.exists() and not creates:
        path = None
    return MemoryStore(path, None)


class StoredTools:
    """The tools of agents and memory on a file that this process has open; no agent thinks here."""

    def __init__(self, store: MemoryStore, settings: Settings) -> None:
        self.store, self.runs = store, Runs(store, _no_thinking)
        self.outside = OutsideTools(store, settings.directory, installer=installer_variables())
        self.run_tool = self.outside.run_tool

        async def runtime() -> "Runtime":
            # The tools called here need no more of a runtime.
            return cast("Runtime", self)

        access = MemoryAccess(runtime)
        known = (
            *memory_tools(access),
            *finding_tools(access, settings.templates),
            *further_tools(access, Approvals()),
        )
        self._tools = {tool.name: tool for tool in known}

    def call(self, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Call a tool and return its result.

        Raises:
            CallFailed: the arguments do not fit.
            MemoryStoreError: as the tool's.
        """
        found = self._tools[tool]
        try:
            checked = parse_arguments(tool, found.arguments, arguments)
        except InvalidArguments as error:
            raise CallFailed(str(error)) from error
        result = anyio.run(partial(found.run, Call(_ME, "1", _no_progress), checked))
        return result.model_dump(mode="json")


def _no_thinking(agent: Agent) -> AbstractAsyncContextManager[AgentLoop]:
    raise CallFailed(f"agent {agent.name!r} thinks in the process that hosts use: start that one")


async def _no_progress(done: float, total: float | None, message: str | None) -> None:
    """Nobody waits long for what is done here."""
