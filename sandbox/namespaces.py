"""The sandbox of Linux: bubblewrap, seccomp, Landlock, limits and a watch, for each call anew.

Nothing is started before the first run or question. Then every probe of self_attack.py is tried;
only where all are held is anything run. The parts are in their own files: launcher.py starts
processes, worker.py talks to them, pool.py keeps spare ones.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import anyio
import anyio.to_thread

from sandbox.bubblewrap import find_bubblewrap
from sandbox.errors import SandboxUnavailable
from sandbox.launcher import Ground, start, survey
from sandbox.places import SandboxPlaces
from sandbox.pool import Pool
from sandbox.protocol import Availability, Outcome, ToolRun
from sandbox.readiness import FoundOnce, judged
from sandbox.self_attack import attack
from sandbox.settings import SandboxSettings
from sandbox.shape import Shape, shape_of
from sandbox.unprivileged import Child
from sandbox.watch import WORKSPACE, Bounds, too_large
from sandbox.worker import Worker

READ_ONLY_NOTE = (
    "[{why}: it is read-only until files are deleted (file_delete, workspace_delete, or"
    " `mnemon workspace delete AGENT PATH`)]\n"
)


class NamespaceSandbox:
    """Runs each call in a process of its own, behind all that Linux has; or refuses.

    While open, it keeps spare processes, and a call is answered when its process was killed, a
    little before that is gone; else every call starts its own and waits for its end.
    """

    def __init__(self, places: SandboxPlaces, settings: SandboxSettings) -> None:
        self.places, self._settings = places, settings
        self._ground: Ground | None = None
        self._program: Path | None = None
        self._found = FoundOnce(self._find_out)
        self._pool: Pool | None = None

    @asynccontextmanager
    async def open(self) -> AsyncIterator["NamespaceSandbox"]:
        """Keep spare processes while inside; at the end none is left."""
        async with anyio.create_task_group() as tasks:
            most, idle_s = self._settings.warm_workers, self._settings.idle_s
            self._pool = Pool(self._start, tasks, most, idle_s)
            try:
                yield self
            finally:
                self._pool.close()
                self._pool = None
                tasks.cancel_scope.cancel()

    async def run(self, run: ToolRun) -> Outcome:
        """Run it to its end; cancelling this ends it, with everything it started.

        Raises:
            SandboxUnavailable: it cannot be isolated as it must be, so it was not run.
            InvalidRun: it is not well-formed.
        """
        await self._found.ready_for(run)
        return await self._isolated(run)

    async def availability(self) -> Availability:
        """Whether runs are isolated here; found out once, by trying to break out."""
        return await self._found.availability()

    async def aclose(self) -> None:
        """End the spare processes; each call ends its own."""
        if self._pool is not None:
            await self._pool.clear()

    async def child(self) -> Child:
        """The user that workspaces must belong to.

        Raises:
            SandboxUnavailable: there is none.
        """
        return (await self._survey()).child

    async def ground(self) -> Ground:
        """What programs that are no tools are started from (programs.py).

        Raises:
            SandboxUnavailable: nothing is isolated here.
        """
        found = await self.availability()
        if found.tier != "namespaces":
            raise SandboxUnavailable(found.cause, found.cure)
        return await self._survey()

    def waiting(self) -> int:
        """How many processes wait for a call."""
        return self._pool.waiting() if self._pool is not None else 0

    def idle_pids(self) -> frozenset[int]:
        """Of all processes that wait for a call."""
        return self._pool.pids() if self._pool is not None else frozenset()

    async def _find_out(self) -> Availability:
        ground = await self._survey()
        return judged("namespaces", await attack(self._by_itself, ground.child))

    async def _survey(self) -> Ground:
        if self._ground is None:
            self._ground = await anyio.to_thread.run_sync(survey, self._settings)
        return self._ground

    async def _start(self, shape: Shape) -> Worker:
        ground = await self._survey()
        if self._program is None:
            self._program = await anyio.to_thread.run_sync(find_bubblewrap)
        return await start(ground, self._program, shape)

    async def _by_itself(self, run: ToolRun) -> Outcome:
        """A run of a probe: as every other, but no process waits for the next."""
        worker = await self._start(shape_of(run, writable=True))
        return await worker.call(run, self._settings)

    async def _isolated(self, run: ToolRun) -> Outcome:
        full = await anyio.to_thread.run_sync(why_read_only, run) if run.workspace else ""
        shape = shape_of(run, writable=not full)
        pool = self._pool
        worker = await (self._start(shape) if pool is None else pool.take(shape))
        outcome = await worker.call(run, self._settings, None if pool is None else pool.later)
        if pool is not None and not full:
            pool.refill(shape)
        if full:
            note = READ_ONLY_NOTE.format(why=full)
            outcome = replace(outcome, stderr=note + outcome.stderr)
        return outcome


def why_read_only(run: ToolRun) -> str:
    """Why a workspace may only be read: it is larger than allowed already. Empty: it is not."""
    workspace: Path | None = run.workspace
    if workspace is None or not run.policy.workspace_writable:
        return ""
    policy = run.policy
    folders = {WORKSPACE: workspace}
    return too_large(Bounds(folders, policy.workspace_bytes, policy.workspace_entries, 0))
