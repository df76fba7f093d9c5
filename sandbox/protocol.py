"""The sandbox seam: running a tool's code, which nobody trusts, and getting JSON back.

Only the protocol and a refusal: no tool code runs anywhere until an implementation exists.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol


class SandboxError(Exception):
    """The sandbox refused or failed; the message says why."""


class SandboxUnavailable(SandboxError):
    """There is no sandbox on this machine, so no tool code is run."""

    def __init__(self) -> None:
        super().__init__(
            "this version of mnemon has no sandbox, so it runs no tool code; use the memory tools"
        )


@dataclass(frozen=True, slots=True)
class ToolRun:
    """What a tool's code is given. arguments are JSON; timeout_s bounds the whole run."""

    source: str
    function: str
    arguments: Mapping[str, Any]
    timeout_s: float


class Sandbox(Protocol):
    """Runs untrusted code. An implementation refuses rather than isolate less than it promises."""

    async def run(self, run: ToolRun) -> Any:
        """Run one tool and return its answer, decoded from JSON.

        Raises:
            SandboxError: the run was refused, failed, or broke a limit.
        """


class RefusingSandbox:
    """The sandbox of a machine without one."""

    async def run(self, run: ToolRun) -> Any:
        """Refuse.

        Raises:
            SandboxUnavailable: always.
        """
        raise SandboxUnavailable
