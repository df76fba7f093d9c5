"""Writing one step of a turn: its messages and its memory edits, in one transaction."""

from dataclasses import dataclass

from agent.context import Window
from agent.memory_tools import Scope
from agent.model import ToolCalls
from agent.tools import run_call
from memory import agents, recall
from memory.records import AgentState, NewMessage, Origin, ToolUse
from memory.store import MemoryStore
from memory.transaction import Transaction


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

    def store_reply(self, text: str) -> None:
        """Store the end of the turn."""
        with self.store.write(self._origin("reply")) as transaction:
            recall.append_messages(
                transaction,
                self.state.agent,
                self.turn_id,
                self.state.total_messages,
                [*self.new, NewMessage("assistant", text)],
            )
            self._move_window(transaction)

    def store_calls(self, calls: ToolCalls, max_chars: int) -> int:
        """Run the calls and store them with their results; returns the turn's first doc."""
        names = ", ".join(call.name for call in calls.calls)
        with self.store.write(self._origin(names)) as transaction:
            scope = Scope(self.store, transaction, self.state.agent, self.first_doc, max_chars)
            results = [
                NewMessage("tool", run_call(scope, call), tool_call_id=call.id)
                for call in calls.calls
            ]
            uses = tuple(ToolUse(call.id, call.name, call.arguments) for call in calls.calls)
            stored = recall.append_messages(
                transaction,
                self.state.agent,
                self.turn_id,
                self.state.total_messages,
                [*self.new, NewMessage("assistant", calls.text, uses), *results],
            )
            self._move_window(transaction)
        return self.first_doc or stored[0].doc

    def _origin(self, reason: str) -> Origin:
        return Origin(f"agent:{self.state.agent.name}", reason, self.turn_id)

    def _move_window(self, transaction: Transaction) -> None:
        if self.window.window_start != self.state.agent.window_start:
            agents.move_window(transaction, self.state.agent, self.window.window_start)
