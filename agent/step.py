"""Writing one step of a run: its messages and its memory edits, in one transaction."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from agent.context import stamps, with_seen
from agent.memory_tools import MemoryTool, Scope
from agent.model import ToolCalls
from agent.tools import run_call
from memory import agents, core_memory, recall
from memory.records import Agent, AgentState, Message, NewMessage, Origin, ToolCall, View
from memory.store import MemoryStore
from memory.transaction import Reader, Transaction

MAX_CALLS = 8
"""In one step. With 50 steps a turn stays below what a state holds (MAX_WINDOW_MESSAGES)."""

Rows = Callable[[Transaction, Agent, str], None]
"""Writes what is kept of the run itself; gets the id of what the agent said in the step."""


class Judge(Protocol):
    """Says of each call of a step whether and how it is run, and learns what came of it."""

    def prepare(self, call: ToolCall) -> ToolCall | str:
        """The call as it is to be run, or what stands in place of its result."""

    def done(self, call: ToolCall, result: str) -> None:
        """A call has its result."""


@dataclass(frozen=True, slots=True)
class Step:
    """A step that was thought and is to be stored.

    state: what the prompt was made of. tools: those of the agent, by name. first_doc: doc of the
    run's first stored message, or None in its first step. new: messages of the run that are not
    stored yet.
    """

    store: MemoryStore
    state: AgentState
    tools: Mapping[str, MemoryTool]
    run_id: str
    first_doc: int | None
    new: tuple[NewMessage, ...]

    def store_reply(self, text: str, rows: Rows) -> None:
        """Store the end of the run."""
        with self.store.write(self._origin("reply")) as transaction:
            now = self._now()
            stored = self._append(transaction, now, [NewMessage("assistant", text)])
            self._keep_view(transaction, now, self.state.agent.view)
            rows(transaction, now.agent, stored[-1].id)

    def store_calls(self, answer: ToolCalls, max_chars: int, rows: Rows, judge: Judge) -> int:
        """Run the calls and store them with their results; returns the run's first doc.

        Searches before the first edit run outside the transaction: nobody waits for them, and
        texts just written may get their vectors meanwhile.
        """
        given = answer.calls[:MAX_CALLS]
        running = _Running(self.tools, judge)
        with self.store.read() as reader:
            scope = self._scope(reader, self.state.agent, max_chars)
            while len(running.results) < len(given) and running.run_search(
                scope, given[len(running.results)]
            ):
                pass
        with self.store.write(self._origin(self._reason(given))) as transaction:
            now = self._now()
            scope = self._scope(transaction, now.agent, max_chars)
            for call in given[len(running.results) :]:
                running.run(scope, call)
            calls, results = running.calls, running.results
            if len(given) < len(answer.calls):
                results[-1] += _NOT_RUN.format(count=len(answer.calls) - len(given))
            said = NewMessage("assistant", answer.text, tuple(map(_as_stored, calls)))
            done = [
                NewMessage("tool", result, tool_call_id=storable(call.id))
                for call, result in zip(calls, results, strict=True)
            ]
            stored = self._append(transaction, now, [said, *done])
            self._keep_view(transaction, now, self._with_edits_seen(transaction, now))
            rows(transaction, now.agent, stored[len(self.new)].id)
            return self.first_doc or stored[0].doc

    def _scope(self, reader: Reader, agent: Agent, max_chars: int) -> Scope:
        return Scope(self.store, reader, agent, self.first_doc, max_chars)

    def _now(self) -> AgentState:
        """The agent as it is now: a host may have changed it while the model was thinking.

        Asked while the transaction holds the write lock, so it stays true until the commit.
        """
        return self.store.agent_state(self.state.agent.id)

    def _append(
        self, transaction: Transaction, now: AgentState, messages: Sequence[NewMessage]
    ) -> list[Message]:
        return recall.append_messages(
            transaction, now.agent, self.run_id, now.total_messages, [*self.new, *messages]
        )

    def _with_edits_seen(self, transaction: Transaction, now: AgentState) -> View:
        """The view after this step: the model sees its own edits in their results."""
        view = self.state.agent.view
        blocks = core_memory.list_blocks(transaction, now.agent)
        if blocks == now.blocks:
            return view
        before, after = stamps(now.blocks), stamps(blocks)
        edited = [label for label in {**before, **after} if before.get(label) != after.get(label)]
        return with_seen(view, blocks, edited)

    def _keep_view(self, transaction: Transaction, now: AgentState, view: View) -> None:
        start = self.state.agent.window_start
        if (start, view) != (now.agent.window_start, now.agent.view):
            agents.set_view(transaction, now.agent, start, view)

    def _origin(self, reason: str) -> Origin:
        return Origin(f"agent:{self.state.agent.name}", reason, self.run_id)

    def _reason(self, calls: Sequence[ToolCall]) -> str:
        """The tools that are called; names that a model made up are no reason."""
        return ", ".join(dict.fromkeys(call.name for call in calls if call.name in self.tools))


@dataclass(slots=True)
class _Running:
    """The calls of a step that have run so far, as they were run, and their results."""

    tools: Mapping[str, MemoryTool]
    judge: Judge
    calls: list[ToolCall] = field(default_factory=list)
    results: list[str] = field(default_factory=list)

    def run(self, scope: Scope, call: ToolCall) -> None:
        """Run one call."""
        prepared = self.judge.prepare(call)
        if isinstance(prepared, str):
            self._done(call, prepared)
        else:
            self._done(prepared, run_call(scope, self.tools, prepared))

    def run_search(self, scope: Scope, call: ToolCall) -> bool:
        """Run one call if it only reads; say whether it does."""
        tool = self.tools.get(call.name)
        if tool is None or tool.writes:
            return False
        self.run(scope, call)
        return True

    def _done(self, call: ToolCall, result: str) -> None:
        self.calls.append(call)
        self.results.append(result)
        self.judge.done(call, result)


_NOT_RUN = f"\n[{{count}} more calls of this step were not run; make at most {MAX_CALLS} at once]"


def _as_stored(call: ToolCall) -> ToolCall:
    """A call as it can be stored; what is no Unicode in it was refused already."""
    arguments = json.loads(storable(json.dumps(dict(call.arguments), ensure_ascii=False)))
    return ToolCall(storable(call.id), storable(call.name), arguments)


def storable(text: str) -> str:
    """Any text a model made as one that can be stored."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "\ufffd")
