"""The rows that tell of a run and its steps, written in the transactions of the steps themselves.

A run has its row from its first stored step on; one in the background has it before it begins.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

import anyio.to_thread

from agent.approval import Pending
from agent.errors import (
    AgentError,
    ContextTooSmall,
    EndpointFailed,
    InvalidReply,
    ModelError,
    TurnLimitReached,
)
from agent.live_run import LiveRun
from agent.model import Prompt, ToolCalls
from agent.models.wire import prompt_to_json
from agent.step import Rows
from agent.thinking import Costs, Thought
from agent.tools import storable
from memory.errors import MemoryStoreError
from memory.records import Agent, AgentState, Origin
from memory.runs import Run, StepTaken, StopReason, add_step, save_run
from memory.store import MemoryStore
from memory.transaction import Transaction


class RunRows:
    """Writes what is kept of one run, and keeps its LiveRun up to what was committed."""

    def __init__(self, store: MemoryStore, live: LiveRun) -> None:
        self._store = store
        self.live = live
        self._model = ""
        self._began = datetime.now(UTC)
        self._costs: Costs | None = None
        self._written: Run | None = None

    def begin_step(self, model: str, costs: Costs) -> None:
        """A model is about to be asked; until the step is stored, it has failed."""
        self._model, self._costs, self._began = model, costs, datetime.now(UTC)

    async def on_text(self, text: str) -> None:
        """The reply is being written."""
        self.live.text = text
        self.live.notify()

    def calling(self, names: Sequence[str]) -> None:
        """Tools outside of memory are being called."""
        self.live.doing = f"calling {', '.join(dict.fromkeys(names))}"
        self.live.notify()

    def reply(self, thought: Thought) -> Rows:
        """Rows of a step that ends the run with a reply."""
        taken = self.live.taken(thought.usage)

        def write(transaction: Transaction, agent: Agent, message_id: str) -> None:
            self._add_step(transaction, agent, taken.steps, "reply", thought)
            self._save(transaction, agent, self.live.end(taken, "end_turn", message_id))

        return write

    def calls(self, calls: ToolCalls, thought: Thought | None, ends: Callable[[], bool]) -> Rows:
        """Rows of a step with calls; thought: None when it was kept waiting and has its row."""
        run = self.live.run if thought is None else self.live.taken(thought.usage)
        outcome = storable(", ".join(call.name for call in calls.calls))

        def write(transaction: Transaction, agent: Agent, message_id: str) -> None:
            if thought is not None:
                self._add_step(transaction, agent, run.steps, outcome, thought)
            if ends():
                self._save(transaction, agent, self.live.end(run, "tool_rule", message_id))
                return
            going = replace(run, status="running", stop_reason=None, pending=None)
            self._save(transaction, agent, going)
            self.live.doing = outcome

        return write

    async def wait(self, state: AgentState, pending: Pending, thought: Thought) -> None:
        """Store that the run waits for a person, and the step that waits."""
        taken = self.live.taken(thought.usage)
        run = self.live.wait(taken, pending.to_json())
        names = storable(", ".join(call.name for call in pending.answer.calls))

        def store() -> None:
            with self._store.write(self._origin(state.agent, "wait for approval")) as transaction:
                # As it is now: it may have been deleted while its model was thinking.
                agent = self._store.agent_state(state.agent.id).agent
                self._add_step(transaction, agent, run.steps, names, thought)
                self._save(transaction, agent, run)

        await anyio.to_thread.run_sync(store)
        self.committed()

    async def save(self) -> None:
        """Store the run as it is, before its next step."""

        def store() -> None:
            origin = Origin(self.live.run.actor, "agent_message", self.live.run.id)
            with self._store.write(origin) as transaction:
                agent = self._store.agent_state(self.live.agent_id).agent
                self._save(transaction, agent, self.live.run)

        await anyio.to_thread.run_sync(store)
        self.committed()

    async def stop(self, reason: StopReason, error: str | None) -> None:
        """Store that the run has ended without a reply; a file that fails, too, changes nothing."""
        costs, run = self._costs, self.live.run
        if costs is not None:
            run = replace(run, usage=run.usage + costs.usage)
        run = self.live.end(run, reason, error=error and storable(error))

        def store() -> None:
            agent = self._store.agent_state(self.live.agent_id).agent
            with self._store.write(self._origin(agent, "end a run")) as transaction:
                agent = self._store.agent_state(self.live.agent_id).agent
                if costs is not None:
                    self._add_failed(transaction, agent, run, costs)
                self._save(transaction, agent, run)

        with suppress(MemoryStoreError):
            await anyio.to_thread.run_sync(store)
        self._written = run
        self.committed()

    def committed(self) -> None:
        """What was written is stored."""
        self._costs = None
        if self._written is not None:
            run, self._written = self._written, None
            self.live.text = ""
            self.live.stored(run)

    def _save(self, transaction: Transaction, agent: Agent, run: Run) -> None:
        save_run(transaction, agent, run, self.live.known)
        self._written = run

    def _add_step(
        self, transaction: Transaction, agent: Agent, number: int, outcome: str, thought: Thought
    ) -> None:
        now, sent = datetime.now(UTC), _sent(thought.prompt)
        step = StepTaken(number, outcome, self._model, thought.usage, self._began, now, None, sent)
        add_step(transaction, agent, self.live.run.id, step)

    def _add_failed(self, transaction: Transaction, agent: Agent, run: Run, costs: Costs) -> None:
        now, sent = datetime.now(UTC), None if costs.prompt is None else _sent(costs.prompt)
        number, outcome = run.steps + 1, "cancelled" if run.status == "cancelled" else "failed"
        step = StepTaken(
            number, outcome, self._model, costs.usage, self._began, now, run.error, sent
        )
        add_step(transaction, agent, run.id, step)

    def _origin(self, agent: Agent, reason: str) -> Origin:
        return Origin(f"agent:{agent.name}", reason, self.live.run.id)


def _sent(prompt: Prompt) -> str:
    """A prompt exactly as it was sent, as JSON."""
    return json.dumps(prompt_to_json(prompt), ensure_ascii=False, separators=(",", ":"))


INTERNAL_ERROR = "internal error; see mnemon's log"
"""What is told of a bug."""

_PAYMENT_REQUIRED = 402
_REASONS: Mapping[str, StopReason] = {
    "cut": "max_tokens_exceeded",
    "no_call": "no_tool_call",
    "call": "invalid_tool_call",
}


def stop_reason_of(error: AgentError | MemoryStoreError) -> StopReason:
    """Why a run stopped that ended in this error."""
    match error:
        case TurnLimitReached():
            return "max_steps"
        case InvalidReply():
            return _REASONS.get(error.kind, "invalid_llm_response")
        case ContextTooSmall() if error.is_system_prompt:
            return "context_window_overflow_in_system_prompt"
        case EndpointFailed() if error.status == _PAYMENT_REQUIRED:
            return "insufficient_credits"
        case ModelError():
            return "llm_api_error"
        case _:
            return "error"
