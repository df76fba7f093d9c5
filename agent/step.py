"""Writing one step of a turn: its messages and its memory edits, in one transaction."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

from agent.memory_tools import Scope
from agent.model import ToolCalls
from agent.tools import MEMORY_TOOLS, run_call
from agent.window import Window
from memory import agents, recall
from memory.records import AgentState, Message, NewMessage, Origin, ToolCall
from memory.store import MemoryStore
from memory.transaction import Transaction

MAX_CALLS = 8
"""In one step. With 50 steps a turn stays below what a state holds (MAX_WINDOW_MESSAGES)."""


@dataclass(frozen=True, slots=True)
class Step:
    """A step that was thought and is to be stored.

    first_doc: doc of the turn's first stored message, or None in its first step. new: messages of
    the turn that are not stored yet.
    """

    store: MemoryStore
    state: AgentState
    window: Window
    turn_id: str
    first_doc: int | None
    new: tuple[NewMessage, ...]

    def store_reply(self, text: str) -> str:
        """Store the end of the turn; returns the id of its message."""
        with self.store.write(self._origin("reply")) as transaction:
            reply = NewMessage("assistant", text)
            return self._append(transaction, self._now(), [reply])[-1].id

    def store_calls(self, answer: ToolCalls, max_chars: int) -> int:
        """Run the calls and store them with their results; returns the turn's first doc.

        Searches before the first edit run outside the transaction: nobody waits for them, and
        texts just written may get their vectors meanwhile.
        """
        calls = answer.calls[:MAX_CALLS]
        searches = list(takewhile(_only_reads, calls))
        results = self._search(searches, max_chars) if searches else []
        with self.store.write(self._origin(_reason(calls))) as transaction:
            now = self._now()
            scope = Scope(self.store, transaction, now.agent, self.first_doc, max_chars)
            results += [run_call(scope, call) for call in calls[len(searches) :]]
            if len(calls) < len(answer.calls):
                results[-1] += _NOT_RUN.format(count=len(answer.calls) - len(calls))
            said = NewMessage("assistant", answer.text, tuple(map(_as_stored, calls)))
            done = [
                NewMessage("tool", result, tool_call_id=_unicode(call.id))
                for call, result in zip(calls, results, strict=True)
            ]
            stored = self._append(transaction, now, [said, *done])
            return self.first_doc or stored[0].doc

    def _search(self, calls: Sequence[ToolCall], max_chars: int) -> list[str]:
        with self.store.read() as reader:
            scope = Scope(self.store, reader, self.state.agent, self.first_doc, max_chars)
            return [run_call(scope, call) for call in calls]

    def _now(self) -> AgentState:
        """The agent as it is now: a host may have changed it while the model was thinking.

        Asked while the transaction holds the write lock, so it stays true until the commit.
        """
        return self.store.agent_state(self.state.agent.id)

    def _append(
        self, transaction: Transaction, now: AgentState, messages: Sequence[NewMessage]
    ) -> list[Message]:
        """Store the step's messages and move the window."""
        stored = recall.append_messages(
            transaction, now.agent, self.turn_id, now.total_messages, [*self.new, *messages]
        )
        if self.window.window_start != now.agent.window_start:
            agents.set_view(transaction, now.agent, self.window.window_start, now.agent.view)
        return stored

    def _origin(self, reason: str) -> Origin:
        return Origin(f"agent:{self.state.agent.name}", reason, self.turn_id)


_NOT_RUN = f"\n[{{count}} more calls of this step were not run; make at most {MAX_CALLS} at once]"


def _only_reads(call: ToolCall) -> bool:
    tool = MEMORY_TOOLS.get(call.name)
    return tool is not None and not tool.writes


def _reason(calls: Sequence[ToolCall]) -> str:
    """The tools that are called; names that a model made up are no reason."""
    return ", ".join(dict.fromkeys(call.name for call in calls if call.name in MEMORY_TOOLS))


def _as_stored(call: ToolCall) -> ToolCall:
    """A call as it can be stored; what is no Unicode in it was refused already."""
    arguments = json.loads(_unicode(json.dumps(dict(call.arguments), ensure_ascii=False)))
    return ToolCall(_unicode(call.id), _unicode(call.name), arguments)


def _unicode(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "\ufffd")
