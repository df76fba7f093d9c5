"""Runs and their steps: what was asked of an agent, what came of it, and what it cost.

A run is a message to an agent and the steps until it is done; a step is one time the model was
asked, with its tool calls. The messages themselves are in recall memory (recall.py) under the run's
id. A row is written in the transaction of the step that it tells of, so both are there or neither.
"""

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from memory.errors import UnknownRun
from memory.records import Agent, Origin
from memory.transaction import Change, Reader, Row, Transaction, to_json

if TYPE_CHECKING:  # hosts list the tools before DuckDB is imported
    from memory.database import Database

RunStatus = Literal["queued", "running", "waiting", "completed", "failed", "cancelled"]
"""waiting: for a person's approval of a call."""

StopReason = Literal[
    "end_turn",
    "tool_rule",
    "max_steps",
    "max_tokens_exceeded",
    "requires_approval",
    "cancelled",
    "no_tool_call",
    "invalid_tool_call",
    "invalid_llm_response",
    "llm_api_error",
    "context_window_overflow_in_system_prompt",
    "insufficient_credits",
    "error",
]
"""Why a run stopped, under Letta's names."""

ENDED: tuple[RunStatus, ...] = ("completed", "failed", "cancelled")
PROMPTS_KEPT = timedelta(days=7)
"""Prompts are large and repeat each other; they serve to find out what went wrong lately."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens. cached_tokens: of the prompts, those that were not computed again."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.cached_tokens + other.cached_tokens,
        )


@dataclass(frozen=True, slots=True)
class Run:
    """One run.

    actor: who asked. reply_id: of the message that ended it. pending: the step that waits for
    approval, as agent/approval.py wrote it. resumes: how often a later process began the next step
    again.
    """

    id: str
    status: RunStatus
    message: str
    actor: str
    background: bool
    created_at: datetime
    stop_reason: StopReason | None = None
    reply_id: str | None = None
    error: str | None = None
    steps: int = 0
    usage: Usage = field(default_factory=Usage)
    pending: Mapping[str, Any] | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    resumes: int = 0


@dataclass(frozen=True, slots=True)
class StepTaken:
    """One step of a run.

    outcome: "reply", the tools that were called, "failed" or "cancelled". prompt: exactly what was
    sent, as JSON; None once it is forgotten.
    """

    number: int
    outcome: str
    model: str
    usage: Usage
    started_at: datetime
    ended_at: datetime
    error: str | None = None
    prompt: str | None = None


def save_run(transaction: Transaction, agent: Agent, run: Run, known: bool) -> None:
    """Write a run; known: it has a row already."""
    columns = {
        "id": run.id,
        "status": run.status,
        "background": run.background,
        "stop_reason": run.stop_reason,
        "reply_id": run.reply_id,
        "error": run.error,
        "steps": run.steps,
        "prompt_tokens": run.usage.prompt_tokens,
        "completion_tokens": run.usage.completion_tokens,
        "cached_tokens": run.usage.cached_tokens,
        "pending": None if run.pending is None else to_json(dict(run.pending)),
        "started_at": _naive(run.started_at),
        "ended_at": _naive(run.ended_at),
        "resumes": run.resumes,
    }
    if run.status == "waiting":
        transaction.changes.all.append(Change("run.wait", agent.id, run.id))
    if known:
        transaction.run("update_run", **columns)
        return
    transaction.run(
        "insert_run",
        agent_key=agent.key,
        actor=run.actor,
        message=run.message,
        created_at=_naive(run.created_at),
        **columns,
    )


def find_run(reader: Reader, run_id: str) -> tuple[str, Run]:
    """Return the id of the run's agent, and the run.

    Raises:
        UnknownRun: there is none, or not of an agent that the reader may see.
    """
    row = reader.row("find_run", id=run_id)
    if row is None or not (reader.visible is None or row[0] in reader.visible):
        raise UnknownRun(run_id)
    return row[0], _run(row[1:])


def list_runs(reader: Reader, agent: Agent, before: datetime | None, limit: int) -> list[Run]:
    """Return an agent's runs, newest first; before: those created earlier."""
    rows = reader.rows("list_runs", agent_key=agent.key, before=_naive(before), limit=limit)
    return [_run(row) for row in rows]


def open_runs(reader: Reader) -> list[tuple[str, Run]]:
    """Return the runs that have not ended, with the ids of their agents, oldest first."""
    return [
        (row[0], _run(row[1:]))
        for row in reader.rows("open_runs")
        if reader.visible is None or row[0] in reader.visible
    ]


def waiting_run(reader: Reader, agent: Agent) -> Run | None:
    """Return the agent's run that waits for approval, if there is one."""
    row = reader.row("waiting_run", agent_key=agent.key)
    return None if row is None else _run(row)


def add_step(transaction: Transaction, agent: Agent, run_id: str, step: StepTaken) -> None:
    """Write a step of a run."""
    packed = (
        None
        if step.prompt is None
        else zlib.compress(step.prompt.encode("utf-8", "backslashreplace"), level=1)
    )
    transaction.run(
        "insert_step",
        run_id=run_id,
        agent_key=agent.key,
        number=step.number,
        outcome=step.outcome,
        model=step.model,
        prompt_tokens=step.usage.prompt_tokens,
        completion_tokens=step.usage.completion_tokens,
        cached_tokens=step.usage.cached_tokens,
        error=step.error,
        prompt=packed,
        started_at=_naive(step.started_at),
        ended_at=_naive(step.ended_at),
    )


def list_steps(reader: Reader, run_id: str) -> list[StepTaken]:
    """Return a run's steps in order, without their prompts."""
    return [_step(row) for row in reader.rows("list_steps", run_id=run_id)]


def step_prompt(reader: Reader, run_id: str, number: int) -> str | None:
    """Return exactly what was sent in a step, as JSON; None: it is not known, or forgotten."""
    packed = reader.value("step_prompt", run_id=run_id, number=number)
    return None if packed is None else zlib.decompress(packed).decode()


def forget_prompts(database: "Database") -> None:
    """Forget prompts that were sent too long ago."""
    before = (datetime.now(UTC) - PROMPTS_KEPT).replace(tzinfo=None)
    with database.read() as reader:
        if not reader.value("count_prompts_before", before=before):
            return
    with database.write(Origin("person:mnemon", "forget old prompts")) as transaction:
        transaction.run("forget_prompts_before", before=before)


def _naive(time: datetime | None) -> datetime | None:
    """A time as the database stores it."""
    return None if time is None else time.astimezone(UTC).replace(tzinfo=None)


def _aware(time: datetime | None) -> datetime | None:
    return None if time is None else time.replace(tzinfo=UTC)


def _run(row: Row) -> Run:
    (id_, status, stop_reason, background, actor, message, reply_id, error, steps) = row[:9]
    (prompt, completion, cached, pending, created, started, ended, resumes) = row[9:]
    return Run(
        id=id_,
        status=status,
        message=message,
        actor=actor,
        background=background,
        created_at=created.replace(tzinfo=UTC),
        stop_reason=stop_reason,
        reply_id=reply_id,
        error=error,
        steps=steps,
        usage=Usage(prompt, completion, cached),
        pending=None if pending is None else json.loads(pending),
        started_at=_aware(started),
        ended_at=_aware(ended),
        resumes=resumes,
    )


def _step(row: Row) -> StepTaken:
    number, outcome, model, prompt, completion, cached, error, started, ended = row
    return StepTaken(
        number=number,
        outcome=outcome,
        model=model,
        usage=Usage(prompt, completion, cached),
        started_at=started.replace(tzinfo=UTC),
        ended_at=ended.replace(tzinfo=UTC),
        error=error,
    )
