"""Processes that wait, ready, for the next call of their shape. Each is used once or not at all.

A call that finds none starts its own. After a call one of its shape is started in the background;
it goes when nobody came for a while, when others need its place, or when its folders are not the
same any more.
"""

import os
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

import anyio
from anyio.abc import TaskGroup

from sandbox.errors import SandboxUnavailable
from sandbox.shape import Shape
from sandbox.watch import descendants
from sandbox.worker import Worker


class HeldFolders:
    """The folders that a process has mounted, held open from before it mounts them.

    As long as they are, no other folder gets their numbers, so that one which was deleted and made
    anew under its name is told from them.
    """

    def __init__(self, shape: Shape) -> None:
        """Open them.

        Raises:
            OSError: one is not there.
        """
        self._open = dict[Path, int]()
        with ExitStack() as opened:
            for folder in (shape.workspace, shape.packages):
                if folder is not None:
                    # A place, not its content: whoever may not read it has it mounted all the same.
                    self._open[folder] = os.open(folder, os.O_PATH | os.O_DIRECTORY)
                    opened.callback(os.close, self._open[folder])
            self._closing = opened.pop_all()

    def are_current(self) -> bool:
        """Whether their names still lead to them."""
        with suppress(OSError):
            return all(
                os.path.samestat(os.fstat(number), folder.stat())
                for folder, number in self._open.items()
            )
        return False

    def close(self) -> None:
        """Let them go, once; they are not to be asked for after."""
        self._closing.close()


@dataclass(slots=True, eq=False)
class Spare:
    """A process that waits. worker: None while it is being started."""

    shape: Shape
    folders: HeldFolders
    worker: Worker | None = None
    wanted: anyio.Event = field(default_factory=anyio.Event)
    gone: anyio.Event = field(default_factory=anyio.Event)


class Pool:
    """Spare processes; lives as long as the task group that it starts them in."""

    def __init__(
        self, start: Callable[[Shape], Awaitable[Worker]], tasks: TaskGroup, most: int,
        idle_s: float,
    ) -> None:  # fmt: skip
        self._start, self._tasks, self._most, self._idle_s = start, tasks, most, idle_s
        self._spares: list[Spare] = []
        self._working, self._rested = 0, anyio.Event()
        self._closed = False

    async def take(self, shape: Shape) -> Worker:
        """A process that nobody used, which is the caller's to end.

        Raises:
            SandboxUnavailable: none waited, and none can be started.
        """
        for spare in [spare for spare in self._spares if spare.shape == shape]:
            if spare.worker is None:
                continue
            self._spares.remove(spare)
            if spare.folders.are_current() and spare.worker.alive:
                worker, spare.worker = spare.worker, None
                spare.wanted.set()
                return worker
            spare.wanted.set()
        return await self._start(shape)

    def refill(self, shape: Shape) -> None:
        """Have one of this shape wait, started in the background."""
        if self._closed or self._most < 1 or any(spare.shape == shape for spare in self._spares):
            return
        while len(self._spares) >= self._most:
            self._spares.pop(0).wanted.set()
        with suppress(OSError):
            spare = Spare(shape, HeldFolders(shape))
            self._spares.append(spare)
            self._tasks.start_soon(self._keep, spare)

    def later(self, work: Callable[[], Awaitable[None]]) -> bool:
        """Have something done in the background; False: it is closed, so it is the caller's."""
        if self._closed:
            return False
        self._working += 1
        self._tasks.start_soon(self._work, work)
        return True

    async def _work(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            with anyio.CancelScope(shield=True):
                await work()
        finally:
            self._working -= 1
            if self._working == 0:
                self._rested.set()
                self._rested = anyio.Event()

    def waiting(self) -> int:
        """How many are ready."""
        return sum(spare.worker is not None for spare in self._spares)

    def pids(self) -> frozenset[int]:
        """Of all that waits."""
        waiting = [spare.worker for spare in self._spares if spare.worker is not None]
        return frozenset(pid for worker in waiting for pid in descendants(worker.pid))

    def close(self) -> None:
        """Take nothing more; what is begun ends with the task group."""
        self._closed = True

    async def clear(self) -> None:
        """End all that wait, and return when they are gone."""
        spares, self._spares = self._spares, []
        for spare in spares:
            spare.wanted.set()
        for spare in spares:
            await spare.gone.wait()
        if self._working:
            await self._rested.wait()

    async def _keep(self, spare: Spare) -> None:
        """Start a process and hold it until it is taken; else end it."""
        try:
            # The next call of this shape says why, if it still cannot be started then.
            with suppress(SandboxUnavailable):
                spare.worker = await self._start(spare.shape)
                with anyio.move_on_after(self._idle_s):
                    await spare.wanted.wait()
        finally:
            if spare in self._spares:
                self._spares.remove(spare)
            spare.folders.close()
            if spare.worker is not None:
                await spare.worker.end()
            spare.gone.set()
