"""The sandbox seam: running code nobody trusts, and getting strict JSON back.

namespaces.py is the sandbox of Linux, seatbelt.py a beta of one for macOS; a machine without one
has RefusingSandbox.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from sandbox.errors import SandboxUnavailable
from sandbox.policy import Policy

Tier = Literal["namespaces", "landlock", "seatbelt", "none"]
"""How much isolates a run, the strongest first; "none" isolates nothing."""

Status = Literal["ok", "error", "timeout", "limit", "killed"]
"""ok: it answered. error: it raised, or its answer is none. timeout: wall time. limit: another
limit. killed: its process ended without an answer."""

Method = Callable[[Mapping[str, Any]], Awaitable[Any]]
"""Something a tool may ask of us while it runs: JSON arguments in, JSON out.

What it raises as MethodRefused the tool may catch; anything else ends the run.
"""


class MethodRefused(Exception):
    """A method does not do what the tool asked; the message is for the tool."""


@dataclass(frozen=True, slots=True)
class ToolRun:
    """A call of untrusted code.

    source: Python. function: the one that is called with the arguments, which are JSON; None: the
    source is run as a script, and its answer is the value of its last line where that is an
    expression. environment: what it finds there and nothing else, secrets included.
    workspace: its current directory, which stays; None: an empty one that is thrown away.
    packages: a folder of installed packages, which it can import and not change (requirements.py).
    methods: by name, e.g. "memory.search"; only these exist.
    """

    source: str
    function: str | None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    policy: Policy = field(default_factory=Policy)
    environment: Mapping[str, str] = field(default_factory=dict)
    workspace: Path | None = None
    packages: Path | None = None
    methods: Mapping[str, Method] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a run.

    result: its answer, decoded from JSON, where the status is "ok". error: why there is none, at
    most 4 kB, for whoever called. stdout, stderr: as much as is kept, without control characters.
    """

    status: Status
    tier: Tier
    result: Any = None
    error: str | None = None
    stdout: str = ""
    stderr: str = ""
    duration_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Availability:
    """What holds on this machine, by trying to break out.

    tier: of every run; None: nothing is run. cause, cure: why, and what to do. tried: each attempt
    to break out, and whether it was held.
    """

    tier: Tier | None
    cause: str = ""
    cure: str = ""
    tried: Mapping[str, bool] = field(default_factory=dict)


class Sandbox(Protocol):
    """Runs untrusted code. An implementation refuses rather than isolate less than it promises."""

    async def run(self, run: ToolRun) -> Outcome:
        """Run it to its end; cancelling this ends it, with everything it started.

        Raises:
            SandboxUnavailable: it cannot be isolated as it must be, so it was not run.
            InvalidRun: it is not well-formed.
        """

    async def availability(self) -> Availability:
        """Whether runs are isolated here; found out once."""

    async def aclose(self) -> None:
        """End every process."""


class RefusingSandbox:
    """The sandbox of a machine without one."""

    def __init__(self, cause: str, cure: str) -> None:
        self._cause, self._cure = cause, cure

    async def run(self, run: ToolRun) -> Outcome:
        """Refuse.

        Raises:
            SandboxUnavailable: always.
        """
        raise SandboxUnavailable(self._cause, self._cure)

    async def availability(self) -> Availability:
        """Nothing is available."""
        return Availability(None, self._cause, self._cure)

    async def aclose(self) -> None:
        """Nothing to end."""
