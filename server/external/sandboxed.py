"""Servers that are programs, started inside the sandbox, where it can be had."""

import importlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from sandbox.reach import Reach
from server.external.stdio import Command, Started, running, unsandboxed

if TYPE_CHECKING:  # it is POSIX from its imports on
    from sandbox.launcher import Ground


class SandboxedCommands:
    """Starts programs: in the sandbox, or without where the person said so of that server.

    Args:
        ground: what programs are started from; refuses where nothing is isolated.
        data: the directory of the database, which none may read.
        reach: what granted names may lead to; None: public addresses only.
    """

    def __init__(
        self,
        ground: Callable[[], Awaitable["Ground"]],
        data: Path | None,
        reach: Reach | None = None,
    ) -> None:
        self._ground, self._reach = ground, reach or Reach()
        self._kept_away = [Path("/var/lib/mnemon"), *([] if data is None else [data])]

    def __call__(self, command: Command) -> AbstractAsyncContextManager[Started]:
        """Start it; leaving the context ends it.

        Raises:
            SandboxError: it cannot be isolated with these grants, so it was not started.
            OSError: there is no such program.
        """
        return unsandboxed(command) if command.grants.unsandboxed else self._isolated(command)

    @asynccontextmanager
    async def _isolated(self, command: Command) -> AsyncIterator[Started]:
        ground = await self._ground()
        programs = importlib.import_module("sandbox.programs")
        found = importlib.import_module("sandbox.bubblewrap")
        reads = programs.checked_reads(command.grants.paths, self._kept_away)
        program = programs.Program(command.argv, command.environment, reads)
        bubblewrap = await anyio.to_thread.run_sync(found.find_bubblewrap)
        async with programs.way_out(command.grants.network, self._reach) as link:
            with programs.prepared(ground, bubblewrap, program, link) as start:
                process = await anyio.open_process(
                    start.argv,
                    env={},
                    cwd="/",
                    start_new_session=True,
                    pass_fds=start.descriptors,
                    **start.options,
                )
            async with running(process, "namespaces") as started:
                yield started
