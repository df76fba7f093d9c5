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
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

import anyio
import anyio.abc
import anyio.to_thread

from sandbox.errors import SandboxUnavailable
from sandbox.policy import Policy
from sandbox.protocol import Availability, Outcome, RefusingSandbox, Sandbox, ToolRun
from sandbox.refusals import WINDOWS
from sandbox.settings import SandboxSettings
from sandbox.workspace import Workspace
from sandbox.workspace_records import limits_of
from server.config import Settings
from server.deleted_workspaces import DeletedWorkspaces

if TYPE_CHECKING:  # it is POSIX from its imports on
    from sandbox.choose import StrongestSandbox
    from sandbox.equipment import Equipment
    from sandbox.interpreter import ToolPython
    from sandbox.launcher import Ground
    from sandbox.places import SandboxPlaces
    from sandbox.unprivileged import Child

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SandboxState:
    """What isolates runs here, with what, and how it stands.

    equipment: None where there is no sandbox of ours at all. waiting: processes that are ready for
    a call. folder: of workspaces and packages; None: a temporary one.
    """

    availability: Availability
    equipment: "Equipment | None"
    waiting: int
    folder: Path | None


def chosen(settings: Settings) -> SandboxSettings:
    """What the person decided about the sandbox."""
    return SandboxSettings(
        python=Path(settings.sandbox_python) if settings.sandbox_python else None,
        minimum=settings.sandbox_minimum,
        allow_unsandboxed=settings.allow_unsandboxed_tools,
        seatbelt_beta=settings.seatbelt_beta,
    )


class ProcessSandbox:
    """The sandbox of this machine, or one that refuses and says why.

    directory: of the database, beside which workspaces and packages are kept; None: they are gone
    with the process.
    """

    def __init__(self, directory: Path | None, settings: SandboxSettings | None = None) -> None:
        self._directory, self._settings = directory, settings or SandboxSettings()
        self._tasks: anyio.abc.TaskGroup | None = None
        self._opening = anyio.Lock()
        self._sandbox: Sandbox | None = None
        self._places: SandboxPlaces | None = None
        self._child: Child | None = None
        self._python: ToolPython | None = None
        self._deleted = DeletedWorkspaces()
        self._closing, self._closed = anyio.Event(), anyio.Event()

    def begin(self, tasks: anyio.abc.TaskGroup) -> None:
        """Say where it lives; comes before the first run."""
        self._tasks = tasks

    async def run(self, run: ToolRun) -> Outcome:
        """Run it to its end; cancelling this ends it.

        Raises:
            SandboxError: it cannot be isolated as it must be, or is not well-formed.
        """
        with self._deleted.in_use(run.workspace):
            try:
                return await (await self._opened()).run(run)
            finally:
                if (
                    run.workspace and run.workspace in self._deleted
                ):  # it went on writing while that was deleted
                    with anyio.CancelScope(shield=True):
                        await anyio.to_thread.run_sync(_delete, run.workspace)

    async def availability(self) -> Availability:
        """What isolates runs here, by trying to break out."""
        return await (await self._opened()).availability()

    def found(self) -> Availability | None:
        """What isolates runs, if that was found out already; asking starts nothing."""
        return None if self._strongest is None else self._strongest.found()

    async def state(self) -> SandboxState:
        """How the sandbox stands; tries to break out where nobody needed it before."""
        found = await self.availability()
        if sys.platform != "linux":
            return SandboxState(found, None, 0, None)
        equipment = await anyio.to_thread.run_sync(
            importlib.import_module("sandbox.equipment").read_equipment, self._settings
        )
        waiting = 0 if self._strongest is None else self._strongest.waiting()
        lasts = self._directory is not None and self._places is not None
        folder = self._places.root if lasts and self._places else None
        return SandboxState(found, equipment, waiting, folder)

    async def workspace(self, agent_id: str) -> Path | None:
        """The folder of an agent, made where there is none; None: nothing is run here.

        Raises:
            SandboxError: there is no user that it could belong to, or no such folder.
        """
        sandbox = await self._opened()
        if self._places is None or isinstance(sandbox, RefusingSandbox):
            return None
        child = await self._user()
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
        if self._strongest is None:
            found = await sandbox.availability()
            raise SandboxUnavailable(found.cause, found.cure)
        return await self._strongest.ground()

    async def packages(self) -> "tuple[Path, ToolPython]":
        """Where installed packages lie, made where it is not, and the Python that they are for.

        Raises:
            SandboxUnavailable: nothing is isolated here, so nothing is installed either.
        """
        found = await self.availability()
        if found.tier is None:
            raise SandboxUnavailable(found.cause, found.cure)
        if self._python is None:
            interpreter = importlib.import_module("sandbox.interpreter")
            child, wanted = await self._user(), self._settings.python
            find = partial(interpreter.find_interpreter, child, wanted)
            path = (await anyio.to_thread.run_sync(find)).path
            self._python = interpreter.ToolPython(path, child)
        places = cast("SandboxPlaces", self._places)
        return await anyio.to_thread.run_sync(places.make_packages), cast(
            "ToolPython", self._python
        )

    def packages_root(self) -> Path | None:
        """Where installed packages would lie; None: nowhere that is kept, or nowhere yet."""
        places = self._known_places()
        return None if places is None else places.packages

    def forget(self, agent_id: str) -> None:
        """Delete the workspace of an agent that is gone."""
        places = self._known_places()
        if places is not None:
            folder = places.workspace(agent_id)
            self._deleted.add(folder)
            _delete(folder)

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
        child = await self._user()
        owner = (child.uid, child.gid) if child.changes else None
        return Workspace(folder, limits_of(Policy()), owner)

    async def aclose(self) -> None:
        """End every process."""
        if self._sandbox is not None:
            self._closing.set()
            await self._closed.wait()

    @property
    def _strongest(self) -> "StrongestSandbox | None":
        sandbox = self._sandbox
        if sandbox is None or isinstance(sandbox, RefusingSandbox):
            return None
        return cast("StrongestSandbox", sandbox)

    async def _user(self) -> "Child":
        """Whose workspaces are.

        Raises:
            SandboxUnavailable: there is no user for them.
        """
        if self._child is None:
            unprivileged = importlib.import_module("sandbox.unprivileged")
            self._child = await anyio.to_thread.run_sync(unprivileged.find_child)
        return cast("Child", self._child)

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
            choose = importlib.import_module("sandbox.choose")
            with _places(self._directory) as self._places:
                async with choose.open_sandbox(self._places, self._settings) as sandbox:
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


def _delete(workspace: Path) -> None:
    importlib.import_module("sandbox.places").remove_tree(workspace)
    if workspace.exists():
        logger.warning("the files of a deleted agent are still in %s; delete them", workspace)


@contextmanager
def _places(directory: Path | None) -> "Iterator[SandboxPlaces]":
    places = importlib.import_module("sandbox.places")
    if directory is None:
        with places.temporary_places() as temporary:
            yield temporary
    else:
        yield places.places_beside(directory, is_root=os.geteuid() == 0)
