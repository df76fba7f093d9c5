"""What a turn needs of each agent, kept in memory as it was committed.

The hot path of a turn writes the database and does not read it. A state is loaded from what is
committed, follows every commit (Changes), and is dropped when in doubt.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace as with_changes

from memory import core_memory, recall
from memory.records import Agent, AgentState, Block, Message, View
from memory.transaction import Changes, Reader

MAX_AGENTS = 256
MAX_WINDOW_MESSAGES = 500
"""More than any local window holds; the rest is found through conversation_search."""


class WorkingSet:
    """States of the agents used last. Callers hold the database's write lock."""

    def __init__(self) -> None:
        self._states: OrderedDict[int, AgentState] = OrderedDict()
        self._keys: dict[str, int] = {}

    def find(self, agent: str) -> AgentState | None:
        """Return the state of the agent with this id or name if it is here for certain."""
        key = self._keys.get(agent)
        if key is None and not agent.startswith("agent-"):
            # What begins as an id may be that of an agent that is not here, and an id wins.
            named = (key for key, state in self._states.items() if state.agent.name == agent)
            key = next(named, None)
        if key is None:
            return None
        self._states.move_to_end(key)
        return self._states[key]

    def blocks_of(self, agent_key: int) -> tuple[Block, ...] | None:
        """Return the blocks of the agent with this key, as they were committed, if it is here."""
        state = self._states.get(agent_key)
        return None if state is None else state.blocks

    def get(self, reader: Reader, agent: Agent) -> AgentState:
        """Return the agent's state, loading it when it is not here."""
        state = self._states.get(agent.key)
        if state is None:
            state = load_state(reader, agent)
            self._states[agent.key] = state
            self._keys[agent.id] = agent.key
        self._states.move_to_end(agent.key)
        while len(self._states) > MAX_AGENTS:
            self._drop(next(iter(self._states)))
        return state

    def follow(self, changes: Changes) -> None:
        """Bring the states up to a transaction that was just committed."""
        for key in changes.stale_agents:
            self._drop(key)
        for key, messages in changes.messages.items():
            if key in self._states:
                self._states[key] = _with_messages(self._states[key], messages)
        for agent in changes.agents.values():
            self._follow_agent(agent)
        for key, (window_start, view) in changes.views.items():
            self._follow_view(key, window_start, view)
        if changes.blocks:
            for key, state in self._states.items():
                self._states[key] = _with_blocks(state, changes.blocks)

    def _follow_agent(self, agent: Agent) -> None:
        state = self._states.get(agent.key)
        if state is None:
            return
        start, view = state.agent.window_start, state.agent.view
        agent = with_changes(agent, window_start=start, view=view)
        self._states[agent.key] = with_changes(state, agent=agent)

    def _follow_view(self, key: int, window_start: int, view: View) -> None:
        state = self._states.get(key)
        if state is None:
            return
        if window_start < state.agent.window_start:
            # A window that moved back holds messages that are not here: it is read again.
            self._drop(key)
            return
        agent = with_changes(state.agent, window_start=window_start, view=view)
        kept = state.messages
        if window_start > state.agent.window_start:
            kept = tuple(message for message in kept if message.doc >= window_start)
        self._states[key] = with_changes(state, agent=agent, messages=kept)

    def _drop(self, key: int) -> None:
        state = self._states.pop(key, None)
        if state is not None:
            del self._keys[state.agent.id]


def load_state(reader: Reader, agent: Agent) -> AgentState:
    """Read an agent's state from the database."""
    return AgentState(
        agent=agent,
        blocks=core_memory.list_blocks(reader, agent),
        messages=recall.window_messages(reader, agent, MAX_WINDOW_MESSAGES),
        total_messages=recall.last_sequence(reader, agent),
    )


def _with_messages(state: AgentState, messages: Sequence[Message]) -> AgentState:
    return with_changes(
        state,
        messages=(*state.messages, *messages)[-MAX_WINDOW_MESSAGES:],
        total_messages=messages[-1].sequence,
    )


def _with_blocks(state: AgentState, changed: dict[int, Block]) -> AgentState:
    if not any(block.key in changed for block in state.blocks):
        return state
    return with_changes(
        state, blocks=tuple(changed.get(block.key, block) for block in state.blocks)
    )
