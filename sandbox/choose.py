"""Which sandbox a server has: the strongest that holds here, and none that was not allowed."""

import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import anyio

from sandbox.errors import SandboxUnavailable
from sandbox.launcher import Ground
from sandbox.namespaces import NamespaceSandbox
from sandbox.places import SandboxPlaces
from sandbox.plain import PlainSandbox
from sandbox.protocol import Availability, Outcome, RefusingSandbox, Sandbox, ToolRun
from sandbox.refusals import MACOS, NO_PROGRAMS, WINDOWS
from sandbox.seatbelt import SeatbeltSandbox
from sandbox.settings import SandboxSettings


class StrongestSandbox:
    """The first of some sandboxes that holds; tried when it is first used, in their order."""

    def __init__(self, sandboxes: Sequence[Sandbox]) -> None:
        self._sandboxes = tuple(sandboxes)
        self._choosing = anyio.Lock()
        self._chosen: Sandbox | None = None
        self._found: Availability | None = None
        self._strongest: Availability | None = None

    async def run(self, run: ToolRun) -> Outcome:
        """Run it in the one that holds.

        Raises:
            SandboxUnavailable: none does, or not with what the run asks for.
            InvalidRun: it is not well-formed.
        """
        found = await self.availability()
        if self._chosen is None:
            raise SandboxUnavailable(found.cause, found.cure)
        return await self._chosen.run(run)

    async def availability(self) -> Availability:
        """What holds; where none does, why the strongest does not."""
        if self._found is not None:
            return self._found
        async with self._choosing:
            if self._found is None:
                self._found = await self._choose()
            return self._found

    async def ground(self) -> Ground:
        """What programs that are no tools are started from (programs.py): namespaces, or none.

        Raises:
            SandboxUnavailable: there are none here.
        """
        found = await self.availability()
        if isinstance(self._chosen, NamespaceSandbox):
            return await self._chosen.ground()
        if isinstance(self._chosen, SeatbeltSandbox):
            raise NO_PROGRAMS
        strongest = self._strongest or found
        raise SandboxUnavailable(strongest.cause, strongest.cure)

    def found(self) -> Availability | None:
        """What holds, if it was found out already."""
        return self._found

    def waiting(self) -> int:
        """How many processes wait for a call."""
        return self._chosen.waiting() if isinstance(self._chosen, NamespaceSandbox) else 0

    async def aclose(self) -> None:
        """End every process."""
        for sandbox in self._sandboxes:
            await sandbox.aclose()

    async def _choose(self) -> Availability:
        for sandbox in self._sandboxes:
            found = await sandbox.availability()
            self._strongest = self._strongest or found
            if found.tier is not None:
                self._chosen = sandbox
                return found
        nothing = Availability(None, "no sandbox was allowed", "See sandbox_minimum")
        return self._strongest or nothing


@asynccontextmanager
async def open_sandbox(
    places: SandboxPlaces, settings: SandboxSettings | None = None, system: str = sys.platform
) -> AsyncIterator[Sandbox]:
    """The sandbox of this machine, or one that refuses and says why; started when first used.

    system: which one this is, as in sys.platform.
    """
    settings = settings or SandboxSettings()
    if system == "darwin" and settings.seatbelt_beta:
        yield StrongestSandbox([SeatbeltSandbox(settings)])
        return
    if system != "linux":
        refused = WINDOWS if system == "win32" else MACOS
        yield RefusingSandbox(refused.cause, refused.cure)
        return
    async with NamespaceSandbox(places, settings).open() as strongest:
        allowed: list[Sandbox] = [strongest]
        if settings.minimum == "landlock":
            allowed.append(PlainSandbox("landlock", settings))
        if settings.allow_unsandboxed:
            allowed.append(PlainSandbox("none", settings))
        yield StrongestSandbox(allowed)
