"""Servers that are programs, started inside the sandbox, where it can be had."""

import importlib
import logging
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from memory.errors import InvalidValue
from memory.tool_server_records import Launch
from sandbox.reach import Reach
from server.external.stdio import Command, Started, running, unsandboxed

if TYPE_CHECKING:  # it is POSIX from its imports on
    from sandbox.launcher import Ground
    from sandbox.watch import Bounds

logger = logging.getLogger(__name__)


class SandboxedCommands:
    """Starts programs: in the sandbox, or without where the person said so of that server.

    Args:
        ground: what programs are started from; refuses where nothing is isolated.
        data: the directory of the database, which none may read.
        reach: what granted names may lead to; None: public addresses only.
        bounds: what one program may use, with all that it starts; None: as documented.
    """

    def __init__(
        self,
        ground: Callable[[], Awaitable["Ground"]],
        data: Path | None,
        reach: Reach | None = None,
        bounds: "Bounds | None" = None,
    ) -> None:
        self._ground, self._reach, self._bounds = ground, reach or Reach(), bounds
        self._kept_away = [Path("/var/lib/mnemon"), *([] if data is None else [data])]

    def __call__(self, command: Command) -> AbstractAsyncContextManager[Started]:
        """Start it; leaving the context ends it.

        Raises:
            SandboxError: it cannot be isolated with these grants, so it was not started.
            OSError: there is no such program.
        """
        return unsandboxed(command) if command.grants.unsandboxed else self._isolated(command)

    async def startable(self, launch: Launch) -> Launch:
        """How a program is to be started: with its own files among what it may read.

        Raises:
            SandboxError: it cannot be isolated, or not with these grants, or is not there.
            InvalidValue: it is to run without a sandbox, and is not there.
        """
        if launch.grants.unsandboxed:
            program = launch.command[0]
            is_relative = "/" in program and not Path(program).is_absolute()
            if is_relative or shutil.which(program) is None:
                raise InvalidValue(
                    f"there is no program {program[:80]!a} that mnemon can start; give its absolute"
                    " path"
                )
            return launch
        ground = await self._ground()
        files = importlib.import_module("sandbox.program_files")
        command, granted = launch.command, launch.grants.paths
        reads = await anyio.to_thread.run_sync(
            files.reads_to_start, command, granted, self._kept_away, ground.child
        )
        return replace(launch, grants=replace(launch.grants, paths=tuple(map(str, reads))))

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
            bounds = self._bounds or programs.BOUNDS

            async def overstepping() -> str:
                passed: str = await programs.overstepping(process.pid, bounds)
                # Nobody may be calling it now, to be told.
                logger.warning("MCP server %s is killed: %s", command.argv[0], passed)
                return passed

            async with running(process, "namespaces", overstepping) as started:
                yield started
