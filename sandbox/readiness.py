"""What every sandbox asks before a run: is the run well-formed, and does anything isolate here?"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import anyio

from sandbox.errors import InvalidRun, SandboxUnavailable
from sandbox.protocol import Availability, Tier, ToolRun
from sandbox.self_attack import got_through
from sandbox.worker import call_message

_REPORT: Final = "Please report this with the output of `mnemon doctor`"


class FoundOnce:
    """What holds here, found out by whoever asks first; the others wait for that.

    find_out: tries; what it refuses to start with is an answer as well.
    """

    def __init__(self, find_out: Callable[[], Awaitable[Availability]]) -> None:
        self._find_out, self._finding = find_out, anyio.Lock()
        self._found: Availability | None = None

    async def availability(self) -> Availability:
        """What was found."""
        if self._found is not None:
            return self._found
        async with self._finding:
            if self._found is None:
                try:
                    self._found = await self._find_out()
                except SandboxUnavailable as refused:
                    self._found = Availability(None, refused.cause, refused.cure)
            return self._found

    async def ready_for(self, run: ToolRun) -> None:
        """Refuse a run that is not well-formed, or that nothing isolates.

        Raises:
            InvalidRun: a folder is none, or the arguments are not JSON.
            SandboxUnavailable: nothing isolates here.
        """
        call_message(run)
        for folder in (run.workspace, run.packages):
            if folder is not None and not (folder.is_absolute() and folder.is_dir()):
                raise InvalidRun(f"{folder} is no folder")
        found = await self.availability()
        if found.tier is None:
            raise SandboxUnavailable(found.cause, found.cure)


def judged(tier: Tier, tried: Mapping[str, bool], lost: str = "") -> Availability:
    """What a self-attack says: this tier, or none if anything got through. lost: by this tier."""
    through = got_through(tried)
    if through:
        return Availability(None, f"trying it out, a tool could {through}", _REPORT, tried)
    return Availability(tier, lost, "", tried)
