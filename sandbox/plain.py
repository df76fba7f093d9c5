"""Weaker sandboxes, for who asks for them by name: a process without namespaces.

"landlock": Landlock and a filter that lets it start nothing and touch no other process; it can
still see which files exist and how large they are. "none": nothing holds it. Both are the same
process as behind bubblewrap otherwise: unprivileged, limited, watched, used once.
"""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Literal

import anyio
import anyio.to_thread

from sandbox.bubblewrap import ENVIRONMENT, Descriptors
from sandbox.errors import SandboxUnavailable
from sandbox.frames import encode
from sandbox.launcher import Ground, make_ready, survey
from sandbox.places import scratch_folders
from sandbox.protocol import Availability, Outcome, ToolRun
from sandbox.readiness import FoundOnce, judged
from sandbox.refusals import in_a_line
from sandbox.seccomp import late_filter
from sandbox.self_attack import attack
from sandbox.settings import SandboxSettings
from sandbox.shape import Shape, configuration, shape_of
from sandbox.spawn import Spawned, Surroundings, spawn
from sandbox.worker import Worker

LEAST_ABI: Final = 4
_DEVICES: Final = ("/dev/null", "/dev/zero", "/dev/urandom", "/dev/random")
_ENFORCED: Final = "Use a machine where bubblewrap works for tools that need this"


class PlainSandbox:
    """Runs each call in a process of its own that shares what this machine has."""

    def __init__(self, tier: Literal["landlock", "none"], settings: SandboxSettings) -> None:
        self._tier, self._settings = tier, settings
        self._ground: Ground | None = None
        self._found = FoundOnce(self._find_out)

    async def run(self, run: ToolRun) -> Outcome:
        """Run it to its end; cancelling this ends it.

        Raises:
            SandboxUnavailable: this tier does not hold here, or cannot hold what the run may do.
            InvalidRun: it is not well-formed.
        """
        await self._found.ready_for(run)
        return await self._started(run)

    async def availability(self) -> Availability:
        """Whether this tier holds here; "none" always does what it promises."""
        return await self._found.availability()

    async def aclose(self) -> None:
        """Each call ends its own process."""

    async def _find_out(self) -> Availability:
        ground = await self._survey()
        if self._tier == "none":
            cause = "MNEMON_ALLOW_UNSANDBOXED_TOOLS is set, so nothing isolates a tool"
            return Availability("none", cause, "Unset it, and such runs are refused")
        tried = await attack(self._started, ground.child, weaker=True)
        return judged("landlock", tried, "tools can see which files exist")

    async def _survey(self) -> Ground:
        if self._ground is None:
            self._ground = await anyio.to_thread.run_sync(survey, self._settings)
        return self._ground

    async def _started(self, run: ToolRun) -> Outcome:
        if self._tier == "landlock" and (run.policy.subprocesses or run.policy.network):
            raise SandboxUnavailable(
                "without namespaces a tool may not start programs or use the network", _ENFORCED
            )
        ground = await self._survey()
        async with scratch_folders(ground.child) as scratch:
            run = replace(run, workspace=run.workspace or scratch / "work")
            worker = await self._start(ground, shape_of(run, writable=True), scratch / "tmp")
            return await worker.call(run, self._settings)

    async def _start(self, ground: Ground, shape: Shape, tmp: Path) -> Worker:
        workspace = os.fspath(shape.workspace or tmp)
        environment = {**ENVIRONMENT, "HOME": workspace, "TMPDIR": os.fspath(tmp)}

        def command(given: Descriptors) -> Sequence[str]:
            program = f"/dev/fd/{given.boot}"
            python = os.fspath(ground.interpreter.path)
            return [python, "-I", "-S", "-B", program, str(given.channel)]

        around = Surroundings(workspace, environment)
        try:
            process = spawn(command, (ground.boot, b""), ground.child, around)
        except OSError as problem:
            raise SandboxUnavailable(f"a process cannot start ({problem})", "Try again") from None
        try:
            ready = await make_ready(
                process, encode(self._configuration(ground, shape, tmp, process)),
                listens=shape.network, explain=_not_started,
            )  # fmt: skip
            if self._tier == "landlock" and ready.landlock_abi < LEAST_ABI:
                raise SandboxUnavailable(
                    f"this kernel's Landlock is of version {ready.landlock_abi}",
                    "It takes version 4 (Linux 6.7), and landlock in the list of security modules",
                )
        except BaseException:
            await process.end()
            raise
        return Worker(process, shape, self._tier, ready.listener, tmp)

    def _configuration(
        self, ground: Ground, shape: Shape, tmp: Path, process: Spawned
    ) -> dict[str, Any]:
        if self._tier == "none":
            return configuration(shape, None, None, own_count=False)
        system = ground.system
        read = [*system.folders, *(name for name, _ in system.links), *_DEVICES]
        read += map(str, ground.interpreter.mounts)
        write = [os.fspath(tmp), "/dev/null"]
        if shape.packages is not None:
            read.append(os.fspath(shape.packages))
        if shape.workspace is not None:
            (write if shape.writable else read).append(os.fspath(shape.workspace))
        rules = {"read": read, "write": write, "tcp": False}
        late = late_filter(ground.machine, alone_as=process.pid)
        return configuration(shape, rules, late, own_count=False)


def _not_started(printed: str) -> SandboxUnavailable:
    return SandboxUnavailable(
        f"Python does not start as the user of tools ({in_a_line(printed)})", "Try again"
    )
