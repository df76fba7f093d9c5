"""Arguments and results of the tools that talk to agents and manage their runs."""

from typing import Annotated, Literal

from pydantic import Field, WithJsonSchema

from agent.memory_tools import Arguments, Result
from memory.runs import RunStatus, StopReason
from server.memory_tools import ChangesAgent, ForAgent
from server.once import Once

MAX_WAIT_S = 600.0

WRITING = "writing: "
"""What a notice of progress begins with that tells of the reply as far as it is written."""

WaitS = Annotated[float, Field(ge=0, le=MAX_WAIT_S), WithJsonSchema({"type": "number"})]


class SendMessage(ChangesAgent):
    """Arguments of agent_message."""

    message: str = Field(description="What to say to the agent.")
    background: bool = Field(False, description="Return at once; run_get tells what came of it.")


class GetRun(Arguments):
    """Arguments of run_get."""

    run_id: str
    wait_s: WaitS = Field(0.0, description="How long to wait for its end.")
    prompt_of_step: int | None = Field(
        None, ge=1, description="Also return exactly what the model was sent in this step."
    )
    call_id: str | None = Field(None, description="Also return all arguments of this waiting call.")
    cursor: str | None = None


class ListRuns(Arguments):
    """Arguments of run_list."""

    agent_id: str | None = None
    open: bool = Field(False, description="Only those that have not ended, of all agents.")
    limit: Annotated[int, Field(ge=1, le=100), WithJsonSchema({"type": "integer"})] = 20
    cursor: str | None = None


class CancelRun(Once):
    """Arguments of run_cancel."""

    run_id: str


class ApproveRun(Once):
    """Arguments of run_approve."""

    run_id: str
    approve: bool = Field(description="What the person decided.")
    reason: str = Field("", max_length=500, description="Told to the agent when denied.")
    call_id: str | None = Field(None, description="Only this call; the others are denied.")
    step: int | None = Field(None, ge=1, description="The run's steps when the person was asked.")


class GetContext(ForAgent):
    """Arguments of agent_context."""

    section: str | None = Field(None, description="Return the text of this section.")
    cursor: str | None = None


class DecidedStep(Result):
    """What a call of run_approve was about, so that the same call again decides nothing else."""

    run_id: str
    number: int


class PendingCall(Result):
    """A call that waits for a person's approval. arguments: JSON; cut: all are in run_get."""

    call_id: str
    tool: str
    arguments: str
    cut: bool = False


class RunShown(Result):
    """A run as it is now. place: how many runs of the agent come before it.

    text: of the reply, while it is being written. cut: the reply is not whole; memory_read is.
    """

    run_id: str
    agent_id: str
    status: RunStatus
    stop_reason: StopReason | None
    reply: str
    cut: bool = False
    message_id: str | None
    steps: int
    tools_used: list[str]
    place: int
    text: str
    pending: list[PendingCall]
    pending_until: str | None
    error: str | None
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    created_at: str
    ended_at: str | None


class StepShown(Result):
    """A step of a run."""

    number: int
    outcome: str
    model: str
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    started_at: str
    ended_at: str
    error: str | None


class RunDetails(Result):
    """A run with its newest steps.

    prompt: a piece of what a step sent, JSON. arguments: a piece of those of a call that waits,
    JSON. next_cursor: of the piece after it.
    """

    run: RunShown
    steps: list[StepShown]
    prompt: str | None = None
    arguments: str | None = None
    next_cursor: str | None = None


class RunLine(Result):
    """A run in a list. pending: the tools whose calls wait for a person."""

    run_id: str
    agent_id: str
    status: RunStatus
    stop_reason: StopReason | None
    message: str
    steps: int
    created_at: str
    pending: list[str]
    pending_until: str | None


class RunPage(Result):
    """Runs, newest first."""

    runs: list[RunLine]
    next_cursor: str | None = None


class SectionShown(Result):
    """A part of the context window. messages is one; the tools' schemas are another."""

    name: str
    tokens: int
    chars: int


class ContextShown(Result):
    """What the agent's model would be sent now, in tokens.

    counted: "model" by the model's own tokenizer, "estimate" when there is none.
    """

    agent_id: str
    counted: Literal["model", "estimate"]
    window_tokens: int
    reply_tokens: int
    used_tokens: int
    sections: list[SectionShown]
    messages: int
    messages_outside: int
    text: str | None = None
    next_cursor: str | None = None
