"""A run while it is in work: where it stands, for whoever watches it or wants to stop it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import anyio

from memory.runs import Run, RunStatus, StopReason, Usage
from memory.transaction import Visible

_COMPLETED: tuple[StopReason, ...] = ("end_turn", "tool_rule", "max_steps")
"""As Letta counts."""


@dataclass(frozen=True, slots=True)
class Said:
    """A message to an agent.

    agent: its id or name. actor: who says it, as in an Origin. run_id: of a message that may come
    again; None: it cannot. visible: the agents that exist for whoever says it.
    """

    agent: str
    text: str
    actor: str
    run_id: str | None = None
    visible: Visible = None


@dataclass(slots=True)
class LiveRun:
    """One run in work.

    run: as it is to be stored. known: it has a row. left: by an earlier process. place: how many
    runs of the agent come before it. text: of the reply, as far as it is written. doing: what
    happened in the newest step, or which outside tools it is calling.
    reply, tools_used: of a run that has ended; failure: what it raised. next: takes the place of
    one that waited for a person, once that is decided. orphaned: its agent was deleted.
    """

    agent_id: str
    run: Run
    known: bool = False
    left: bool = False
    place: int = 0
    text: str = ""
    doing: str = ""
    reply: str = ""
    tools_used: tuple[str, ...] = ()
    failure: Exception | None = None
    next: "LiveRun | None" = None
    orphaned: bool = False
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    _changed: anyio.Event = field(default_factory=anyio.Event)
    _finished: anyio.Event = field(default_factory=anyio.Event)

    @classmethod
    def new(
        cls, agent_id: str, run_id: str, message: str, actor: str, background: bool = False
    ) -> "LiveRun":
        """A run that waits for its turn."""
        now = datetime.now(UTC)
        return cls(agent_id, Run(run_id, "queued", message, actor, background, now))

    @classmethod
    def again(cls, agent_id: str, run: Run, background: bool) -> "LiveRun":
        """A run that an earlier attempt left unfinished, or that waits: to be gone on with."""
        return cls(agent_id, replace(run, background=background), known=True)

    def queue(self) -> None:
        """It waits for its turn, whatever came of an earlier attempt."""
        self.run = replace(self.run, status="queued", stop_reason=None, error=None, ended_at=None)

    def begin(self) -> None:
        """It is its turn."""
        self.queue()
        started = self.run.started_at or datetime.now(UTC)
        self.run = replace(self.run, status="running", started_at=started)
        self.notify()

    def taken(self, usage: Usage) -> Run:
        """The run with one more step."""
        steps, usage = self.run.steps + 1, self.run.usage + usage
        return replace(self.run, steps=steps, usage=usage, resumes=0)

    def wait(self, run: Run, pending: Mapping[str, Any]) -> Run:
        """The run as it waits for a person."""
        return replace(run, status="waiting", stop_reason="requires_approval", pending=pending)

    def end(
        self,
        run: Run,
        stop_reason: StopReason,
        reply_id: str | None = None,
        error: str | None = None,
    ) -> Run:
        """The run as it has ended."""
        status: RunStatus = "completed" if stop_reason in _COMPLETED else "failed"
        if stop_reason == "cancelled":
            status = "cancelled"
        return replace(
            run,
            status=status,
            stop_reason=stop_reason,
            reply_id=reply_id,
            error=error,
            pending=None,
            ended_at=datetime.now(UTC),
        )

    def stored(self, run: Run) -> None:
        """Follow what was committed."""
        self.run, self.known = run, True
        self.notify()

    def notify(self) -> None:
        """Wake those who watch."""
        changed, self._changed = self._changed, anyio.Event()
        changed.set()

    async def change(self) -> None:
        """Wait until something is other than now."""
        await self._changed.wait()

    def finish(self) -> None:
        """Nobody works on it any more: it has ended, or waits for a person."""
        self._finished.set()
        self.notify()

    @property
    def is_finished(self) -> bool:
        """Whether nobody works on it any more."""
        return self._finished.is_set()

    async def finished(self) -> None:
        """Wait until nobody works on it any more."""
        await self._finished.wait()
