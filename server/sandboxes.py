"""The sandbox of this process: made when it is first needed, ended with the process.

It keeps processes in the background, so it lives in a task of the process's own task group, and not
in that of whichever call came first.
"""

import importlib
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast

import anyio
import anyio.abc
import anyio.to_thread

from sandbox.errors import SandboxUnavailable
from sandbox.policy import Policy
from sandbox.protocol import Availability, Outcome, RefusingSandbox, Sandbox, ToolRun
from sandbox.refusals import WINDOWS
from sandbox.workspace import Workspace
from sandbox.workspace_records import limits_of

if TYPE_CHECKING:  # it is POSIX from its imports on
    from sandbox.launcher import Ground
    from sandbox.namespaces import NamespaceSandbox
    from sandbox.places import SandboxPlaces

logger = logging.getLogger(__name__)


class ProcessSandbox:
    """The sandbox of this machine, or one that refuses and says why.

    directory: of the database, beside which workspaces and packages are kept; None: they are gone
    with the process.
    """

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory
        self._tasks: anyio.abc.TaskGroup | None = None
        self._opening = anyio.Lock()
        self._sandbox: Sandbox | None = None
        self._places: SandboxPlaces | None = None
        self._closing, self._closed = anyio.Event(), anyio.Event()

    def begin(self, tasks: anyio.abc.TaskGroup) -> None:
        """Say where it lives; comes before the first run."""
        self._tasks = tasks

    async def run(self, run: ToolRun) -> Outcome:
        """Run it to its end; cancelling this ends it.

        Raises:
            SandboxError: it cannot be isolated as it must be, or is not well-formed.
        """
        return await (await self._opened()).run(run)

    async def availability(self) -> Availability:
        """What isolates runs here, by trying to break out."""
        return await (await self._opened()).availability()

    async def workspace(self, agent_id: str) -> Path | None:
        """The folder of an agent, made where there is none; None: nothing is run here.

        Raises:
            SandboxError: there is no user that it could belong to, or no such folder.
        """
        sandbox = await self._opened()
        if self._places is None or isinstance(sandbox, RefusingSandbox):
            return None
        child = await cast("NamespaceSandbox", sandbox).child()
        try:
            return await anyio.to_thread.run_sync(self._places.make_workspace, agent_id, child)
        except OSError as error:
            raise SandboxUnavailable(
                f"the agent's workspace {error.filename} cannot be made: {error.strerror}",
                "Make the folder above it one that the server may write",
            ) from None

    async def ground(self) -> "Ground":
        """What programs that are no tools are started from.

        Raises:
            SandboxUnavailable: nothing is isolated here.
        """
        sandbox = await self._opened()
        if isinstance(sandbox, RefusingSandbox):
            found = await sandbox.availability()
            raise SandboxUnavailable(found.cause, found.cure)
        return await cast("NamespaceSandbox", sandbox).ground()

    async def packages(self) -> tuple[Path, Path]:
        """Where installed packages lie, made where it is not, and the Python that they are for.

        Raises:
            SandboxUnavailable: nothing is isolated here, so nothing is installed either.
        """
        python = (await self.ground()).interpreter.path
        places = cast("SandboxPlaces", self._places)
        return await anyio.to_thread.run_sync(places.make_packages), python

    def packages_root(self) -> Path | None:
        """Where installed packages would lie; None: nowhere that is kept, or nowhere yet."""
        places = self._known_places()
        return None if places is None else places.packages

    def forget(self, agent_id: str) -> None:
        """Delete the workspace of an agent that is gone."""
        places = self._known_places()
        if places is not None:
            importlib.import_module("sandbox.places").remove_tree(places.workspace(agent_id))

    def _known_places(self) -> "SandboxPlaces | None":
        places = self._places
        if places is None and self._directory is not None and sys.platform != "win32":
            with _places(self._directory) as places:
                pass
        return places

    async def files(self, agent_id: str) -> Workspace:
        """The files of an agent's workspace, which is made where there is none.

        Raises:
            SandboxError: there can be none here.
        """
        folder = await self.workspace(agent_id)
        if folder is None:
            found = await self.availability()
            raise SandboxUnavailable(found.cause, found.cure)
        child = await cast("NamespaceSandbox", await self._opened()).child()
        owner = (child.uid, child.gid) if child.changes else None
        return Workspace(folder, limits_of(Policy()), owner)

    async def aclose(self) -> None:
        """End every process."""
        if self._sandbox is not None:
            self._closing.set()
            await self._closed.wait()

    async def _opened(self) -> Sandbox:
        async with self._opening:
            if self._sandbox is None:
                if self._tasks is None:  # a command on a file that nobody has open
                    raise SandboxUnavailable(
                        "tools are run by the process that hosts use, and this is another one",
                        "Start it with `mnemon serve`, then try again",
                    )
                self._closed = anyio.Event()
                self._sandbox = await self._tasks.start(self._hold)
            return self._sandbox

    async def _hold(self, *, task_status: anyio.abc.TaskStatus[Sandbox]) -> None:
        """Keep it open until it is closed, or the process ends."""
        is_open = False
        try:
            if sys.platform == "win32":
                task_status.started(RefusingSandbox(WINDOWS.cause, WINDOWS.cure))
                await self._closing.wait()
                return
            namespaces = importlib.import_module("sandbox.namespaces")
            with _places(self._directory) as self._places:
                settings = importlib.import_module("sandbox.settings").SandboxSettings()
                async with namespaces.NamespaceSandbox(self._places, settings).open() as sandbox:
                    task_status.started(sandbox)
                    is_open = True
                    await self._closing.wait()
        except Exception:
            if not is_open:  # the call that opens it is told
                raise
            # A bug in the background ends no server; the next call opens another one.
            logger.exception("the sandbox broke off")
            self._sandbox = None
        finally:
            self._closed.set()


@contextmanager
def _places(directory: Path | None) -> "Iterator[SandboxPlaces]":
    places = importlib.import_module("sandbox.places")
    if directory is None:
        with places.temporary_places() as temporary:
            yield temporary
    else:
        yield places.places_beside(directory, is_root=os.geteuid() == 0)
