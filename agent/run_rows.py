"""The rows that tell of a run and its steps, written in the transactions of the steps themselves.

A run that nobody watches from outside gets its row with its last step: one statement instead of
three.
"""

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

import anyio.to_thread

from agent.approval import Pending
from agent.errors import (
    AgentError,
    ContextTooSmall,
    InvalidReply,
    ModelError,
    TurnLimitReached,
)
from agent.live_run import LiveRun
from agent.model import ToolCalls
from agent.models.wire import prompt_to_json
from agent.step import Rows, storable
from agent.thinking import Thought
from memory.errors import MemoryStoreError
from memory.records import Agent, AgentState, Message, Origin
from memory.runs import Run, StepTaken, StopReason, Usage, add_step, save_run
from memory.store import MemoryStore
from memory.transaction import Transaction


class RunRows:
    """Writes what is kept of one run, and keeps its LiveRun up to what was committed."""

    def __init__(self, store: MemoryStore, live: LiveRun) -> None:
        self._store = store
        self.live = live
        self._model = ""
        self._began = datetime.now(UTC)
        self._failed = Usage()
        self._written: Run | None = None
        self._saved = False

    def begin_step(self, model: str) -> None:
        """A model is about to be asked."""
        self._model, self._began, self._failed = model, datetime.now(UTC), Usage()

    async def on_text(self, text: str) -> None:
        """The reply is being written."""
        self.live.text = text
        self.live.notify()

    def reply(self, thought: Thought) -> Rows:
        """Rows of a step that ends the run with a reply."""
        taken = self.live.taken(thought.usage)

        def write(transaction: Transaction, agent: Agent, message_id: str) -> None:
            run = self.live.end(taken, "end_turn", message_id)
            self._add_step(transaction, agent, taken.steps, "reply", thought)
            self._save(transaction, agent, run)

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
            if self.live.run.pending is not None:
                self._save(transaction, agent, going)
            self._written = going
            self.live.doing = outcome

        return write

    async def wait(self, state: AgentState, pending: Pending, thought: Thought) -> None:
        """Store that the run waits for a person, and the step that waits."""
        taken = self.live.taken(thought.usage)
        run = self.live.wait(taken, pending.to_json())
        names = storable(", ".join(call.name for call in pending.answer.calls))

        def store() -> None:
            with self._store.write(self._origin(state.agent, "wait for approval")) as transaction:
                self._add_step(transaction, state.agent, run.steps, names, thought)
                self._save(transaction, state.agent, run)

        await anyio.to_thread.run_sync(store)
        self.committed()

    def failed_step(self, usage: Usage) -> None:
        """The model was asked and nothing came of it."""
        self._failed = usage

    async def stop(self, reason: StopReason, error: str | None) -> None:
        """Store that the run has ended without a reply; a file that fails, too, changes nothing."""
        spent = replace(self.live.run, usage=self.live.run.usage + self._failed)
        run = self.live.end(spent, reason, error=error and storable(error))

        def store() -> None:
            agent = self._store.agent_state(self.live.agent_id).agent
            with self._store.write(self._origin(agent, "end a run")) as transaction:
                if self._model:
                    self._add_failed(transaction, agent, run)
                self._save(transaction, agent, run)

        with suppress(MemoryStoreError):
            await anyio.to_thread.run_sync(store)
        self._written = run
        self.committed()

    def recovered(self, last: Message) -> None:
        """An earlier attempt has ended the run already."""
        reason: StopReason = "tool_rule" if last.tool_calls else "end_turn"
        self.live.stored(self.live.end(self.live.run, reason, last.id))

    def committed(self) -> None:
        """What was written is stored."""
        if self._written is not None:
            run, self._written = self._written, None
            known = self.live.known
            self.live.stored(run)
            self.live.known = known or self._saved
            self.live.text = ""

    def _save(self, transaction: Transaction, agent: Agent, run: Run) -> None:
        save_run(transaction, agent, run, self.live.known)
        self._written, self._saved = run, True

    def _add_step(
        self, transaction: Transaction, agent: Agent, number: int, outcome: str, thought: Thought
    ) -> None:
        sent = json.dumps(prompt_to_json(thought.prompt), ensure_ascii=False, separators=(",", ":"))
        step = StepTaken(
            number, outcome, self._model, thought.usage, self._began, datetime.now(UTC), None, sent
        )
        add_step(transaction, agent, self.live.run.id, step)
        self._model = ""

    def _add_failed(self, transaction: Transaction, agent: Agent, run: Run) -> None:
        number, now = run.steps + 1, datetime.now(UTC)
        step = StepTaken(number, "failed", self._model, self._failed, self._began, now, run.error)
        add_step(transaction, agent, run.id, step)

    def _origin(self, agent: Agent, reason: str) -> Origin:
        return Origin(f"agent:{agent.name}", reason, self.live.run.id)


def stop_reason_of(error: AgentError | MemoryStoreError) -> StopReason:
    """Why a run stopped that ended in this error."""
    match error:
        case TurnLimitReached():
            return "max_steps"
        case InvalidReply() if "cut off by the token limit" in error.problem:
            return "max_tokens_exceeded"
        case InvalidReply():
            return "invalid_llm_response"
        case ContextTooSmall() if error.is_system_prompt:
            return "context_window_overflow_in_system_prompt"
        case ModelError():
            return "llm_api_error"
        case _:
            return "error"
