"""A sandbox that answers from a script, as ScriptedModel is a model that does. It isolates nothing.

A scripted answer is an Outcome, an error to raise, or a function that plays the tool: it gets the
run, may call its methods, and returns the outcome.
"""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from sandbox.protocol import Availability, Outcome, ToolRun

Play = Callable[[ToolRun], Awaitable[Outcome]]
Answer = Outcome | Exception | Play


class ScriptedSandbox:
    """Implements sandbox.protocol.Sandbox. runs: what it was asked for, in order."""

    def __init__(self, script: Iterable[Answer]) -> None:
        self._script = iter(script)
        self.runs = list[ToolRun]()
        self.is_closed = False

    async def run(self, run: ToolRun) -> Outcome:
        self.runs.append(run)
        answer = next(self._script)
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, Outcome) else await answer(run)

    async def availability(self) -> Availability:
        return Availability("namespaces")

    async def aclose(self) -> None:
        self.is_closed = True


def ok(result: Any = None, **more: Any) -> Outcome:
    return Outcome("ok", "namespaces", result, **more)


def failed(error: str, **more: Any) -> Outcome:
    return Outcome("error", "namespaces", error=error, **more)
