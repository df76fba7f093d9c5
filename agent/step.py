"""Writing one step of a run: its messages and its memory edits, in one transaction.

Running its calls is running_calls.py's.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import anyio.to_thread

from agent.context import stamps, with_seen
from agent.memory_tools import Scope
from agent.model import ToolCalls
from agent.running_calls import Calling, Judge, RunningCalls
from agent.tool_table import ToolTable
from agent.tools import storable
from memory import agents, core_memory, recall
from memory.records import Agent, AgentState, Message, NewMessage, Origin, ToolCall, View
from memory.store import MemoryStore
from memory.transaction import Reader, Transaction

MAX_CALLS = 8
"""In one step. With 50 steps a turn stays below what a state holds (MAX_WINDOW_MESSAGES)."""

Rows = Callable[[Transaction, Agent, str], None]
"""Writes what is kept of the run itself; gets the id of what the agent said in the step."""


@dataclass(frozen=True, slots=True)
class Step:
    """A step that was thought and is to be stored.

    state: what the prompt was made of. tools: those of the agent. first_doc: doc of the
    run's first stored message, or None in its first step. new: messages of the run that are not
    stored yet.
    """

    store: MemoryStore
    state: AgentState
    tools: ToolTable
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

    async def store_calls(
        self, answer: ToolCalls, max_chars: int, rows: Rows, judge: Judge, calling: Calling
    ) -> int:
        """Run the calls and store them with their results; returns the run's first doc.

        Searches before the first edit and calls of outside tools run outside the transaction:
        nobody waits for them, texts just written may get their vectors meanwhile, and whoever stops
        the run stops them.
        """
        running = RunningCalls(answer.calls[:MAX_CALLS], self.tools, judge, calling)

        @contextmanager
        def read() -> Iterator[Scope]:
            with self.store.read() as reader:
                yield self._scope(reader, self.state.agent, max_chars)

        await running.before(read, self.state.agent, self.run_id)
        store = partial(self._store, answer, max_chars, rows, running)
        return await anyio.to_thread.run_sync(store)

    def _store(self, answer: ToolCalls, max_chars: int, rows: Rows, running: RunningCalls) -> int:
        with self.store.write(self._origin(self._reason(running.given))) as transaction:
            now = self._now()
            running.inside(self._scope(transaction, now.agent, max_chars))
            calls, results = running.calls, running.results
            if len(calls) < len(answer.calls):
                results[-1] += _NOT_RUN.format(count=len(answer.calls) - len(calls))
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
        return ", ".join(
            dict.fromkeys(call.name for call in calls if call.name in self.tools.names)
        )


_NOT_RUN = f"\n[{{count}} more calls of this step were not run; make at most {MAX_CALLS} at once]"


def _as_stored(call: ToolCall) -> ToolCall:
    """A call as it can be stored; what is no Unicode in it was refused already."""
    arguments = json.loads(storable(json.dumps(dict(call.arguments), ensure_ascii=False)))
    return ToolCall(storable(call.id), storable(call.name), arguments)
