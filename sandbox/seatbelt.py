"""The sandbox of macOS: each call in a process of its own behind sandbox-exec. A beta.

It is made from what is published about sandbox-exec and was tried with stand-ins for it, never on a
Mac. So it is used only where a person asks for it (seatbelt_beta), and there only where every
attempt of self_attack.py to get out was held. It has no process or mount namespaces: tools can see
which files exist, and may neither start programs nor use the network. macOS keeps no limit on a
process's memory: that is watched from outside.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import anyio.to_thread

from sandbox.bubblewrap import ENVIRONMENT, Descriptors
from sandbox.errors import SandboxUnavailable
from sandbox.frames import encode
from sandbox.interpreter import Interpreter, find_interpreter
from sandbox.launcher import make_ready, program_for
from sandbox.places import scratch_folders
from sandbox.protocol import Availability, Outcome, ToolRun
from sandbox.readiness import FoundOnce, judged
from sandbox.refusals import in_a_line
from sandbox.seatbelt_profile import profile
from sandbox.self_attack import attack
from sandbox.settings import SandboxSettings
from sandbox.shape import Shape, configuration, shape_of
from sandbox.spawn import Surroundings, spawn
from sandbox.unprivileged import Child, find_child
from sandbox.worker import Worker

PROGRAM: Final = Path("/usr/bin/sandbox-exec")
LOST: Final = "a beta that was never tried on a Mac by us; tools can see which files exist"
_ELSEWHERE: Final = "Run the server in a Linux machine for tools that need this"
# Of all limits only these are kept there: a process that limits its memory does not start.
_KEPT_LIMITS: Final = ("CORE", "FSIZE", "NOFILE")


@dataclass(frozen=True, slots=True)
class _Found:
    """What this machine has, found once. boot: what a process runs first."""

    child: Child
    interpreter: Interpreter
    boot: bytes


class SeatbeltSandbox:
    """Runs each call in a process of its own behind sandbox-exec; or refuses.

    program: what stands for sandbox-exec.
    """

    def __init__(self, settings: SandboxSettings, program: Path = PROGRAM) -> None:
        self._settings, self._program = settings, program
        self._machine: _Found | None = None
        self._found = FoundOnce(self._find_out)

    async def run(self, run: ToolRun) -> Outcome:
        """Run it to its end; cancelling this ends it.

        Raises:
            SandboxUnavailable: it does not hold here, or cannot hold what the run may do.
            InvalidRun: it is not well-formed.
        """
        await self._found.ready_for(run)
        return await self._started(run)

    async def availability(self) -> Availability:
        """Whether it holds here, by trying to break out."""
        return await self._found.availability()

    async def aclose(self) -> None:
        """Each call ends its own process."""

    async def _find_out(self) -> Availability:
        if not os.access(self._program, os.X_OK):
            raise SandboxUnavailable(f"there is no {self._program}", _ELSEWHERE)
        self._machine = await anyio.to_thread.run_sync(_look_around, self._settings)
        tried = await attack(self._started, self._machine.child, weaker=True)
        return judged("seatbelt", tried, LOST)

    async def _started(self, run: ToolRun) -> Outcome:
        if run.policy.subprocesses or run.policy.network:
            raise SandboxUnavailable(
                "on macOS a tool may not start programs or use the network", _ELSEWHERE
            )
        assert self._machine is not None  # noqa: S101 - the first thing that finding out does
        async with scratch_folders(self._machine.child) as scratch:
            run = replace(run, workspace=run.workspace or scratch / "work")
            shape = shape_of(run, writable=True)
            rules = await anyio.to_thread.run_sync(
                rules_for, self._machine.interpreter, shape, scratch
            )
            worker = await self._start(self._machine, shape, scratch, rules)
            return await worker.call(run, self._settings)

    async def _start(self, machine: _Found, shape: Shape, scratch: Path, rules: str) -> Worker:
        tmp, boot = scratch / "tmp", scratch / "boot.pyc"
        boot.write_bytes(machine.boot)
        workspace = os.fspath(shape.workspace or tmp)
        environment = {**ENVIRONMENT, "HOME": workspace, "TMPDIR": os.fspath(tmp)}

        def command(given: Descriptors) -> Sequence[str]:
            python = os.fspath(machine.interpreter.path)
            run = [python, "-I", "-S", "-B", os.fspath(boot), str(given.channel)]
            return [os.fspath(self._program), "-p", rules, *run]

        around = Surroundings(workspace, environment, portable=True)
        try:
            process = spawn(command, (b"", b""), machine.child, around)
        except OSError as problem:
            raise SandboxUnavailable(f"a process cannot start ({problem})", "Try again") from None
        try:
            message = configuration(shape, None, None, own_count=False)
            message["rlimits"] = {name: message["rlimits"][name] for name in _KEPT_LIMITS}
            await make_ready(process, encode(message), listens=False, explain=_not_started)
        except BaseException:
            await process.end()
            raise
        return Worker(process, shape, "seatbelt", tmp=tmp)


def rules_for(interpreter: Interpreter, shape: Shape, scratch: Path) -> str:
    """The profile of one call. scratch: with its temporary files, and the program that it runs.

    Raises:
        InvalidRun: a folder cannot be named in a profile.
    """
    prefix = interpreter.prefix.resolve()
    # A framework's python3 is a stub that becomes this program.
    application = prefix / "Resources" / "Python.app" / "Contents" / "MacOS" / "Python"
    read, write = [prefix, scratch / "boot.pyc"], [scratch / "tmp"]
    if shape.packages is not None:
        read.append(shape.packages.resolve())
    if shape.workspace is not None:
        (write if shape.writable else read).append(shape.workspace.resolve())
    return profile(read, write, [interpreter.path, application])


def _look_around(settings: SandboxSettings) -> _Found:
    child = find_child()
    interpreter = find_interpreter(child, settings.python)
    return _Found(child, interpreter, program_for(interpreter, child))


def _not_started(printed: str) -> SandboxUnavailable:
    return SandboxUnavailable(
        f"sandbox-exec starts no Python here ({in_a_line(printed)})", _ELSEWHERE
    )
