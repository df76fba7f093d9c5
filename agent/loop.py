"""A turn: from a message to the agent's answer.

think (thinking.py) → run its tool calls and store the step (step.py); again until it replies. Each
step is one transaction: a step that fails leaves nothing behind, and what earlier steps of the turn
stored stays.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import assert_never
from uuid import uuid4

import anyio.to_thread

from agent.errors import TurnLimitReached
from agent.model import ChatModel, Reply, ToolCalls
from agent.step import Step
from agent.thinking import Thinker, Thought
from agent.turn_locks import TurnLocks
from memory import recall
from memory.errors import KeyReused
from memory.limits import check_filled
from memory.records import Agent, Message, NewMessage
from memory.store import MemoryStore

MAX_STEPS = 50


@dataclass(frozen=True, slots=True)
class Turn:
    """What a turn came to. Tokens are summed over every time the model was asked here.

    message_id: of the reply, as recall memory has it.
    """

    turn_id: str
    message_id: str
    reply: str
    steps: int
    tools_used: tuple[str, ...]
    prompt_tokens: int
    completion_tokens: int


Announce = Callable[[int, str], Awaitable[None]]
"""Called with the number of the step just stored and what happened in it."""


class TurnRunner:
    """Runs turns of all agents on one model; one turn at a time for each agent.

    Args:
        locks: shared with the runners of other models, when agents may change theirs.
    """

    def __init__(
        self,
        store: MemoryStore,
        model: ChatModel,
        max_steps: int = MAX_STEPS,
        locks: TurnLocks | None = None,
    ) -> None:
        self._store, self._max_steps = store, max_steps
        self._thinker = Thinker(model)
        self._locks = locks or TurnLocks()

    async def run(
        self, agent: str, text: str, announce: Announce, turn_id: str | None = None
    ) -> Turn:
        """Give the agent a message and return its answer.

        Args:
            turn_id: of a message that may come again. A turn that has ended returns its reply, one
                that was broken off goes on after its last stored step.

        Raises:
            MemoryStoreError: the agent does not exist, or the text cannot be stored.
            AgentError: the model failed, or the turn did not end; see its message for what is kept.
        """
        check_filled(text, "message")
        state = await anyio.to_thread.run_sync(self._store.agent_state, agent)
        async with self._locks.of(state.agent.id):
            stored = await anyio.to_thread.run_sync(self._stored, state.agent, turn_id, text)
            begun = _Begun(turn_id or f"turn-{uuid4()}", tuple(stored))
            if stored and stored[-1].role == "assistant" and not stored[-1].tool_calls:
                return begun.turn(stored[-1].id, stored[-1].content, [], [])
            return await self._run(state.agent.id, text, begun, announce)

    def _stored(self, agent: Agent, turn_id: str | None, text: str) -> list[Message]:
        """What an earlier attempt at this turn has stored."""
        if turn_id is None:
            return []
        with self._store.read() as reader:
            stored = recall.turn_messages(reader, agent, turn_id)
        if stored and stored[0].content != text:
            raise KeyReused("agent_message", "agent_message")
        return stored

    async def _run(self, agent_id: str, text: str, begun: "_Begun", announce: Announce) -> Turn:
        turn_id, first_doc = begun.turn_id, begun.first_doc
        new: tuple[NewMessage, ...] = () if begun.stored else (NewMessage("user", text),)
        used, thoughts = list[str](), list[Thought]()
        for number in range(begun.steps + 1, self._max_steps + 1):
            state = await anyio.to_thread.run_sync(self._store.agent_state, agent_id)
            thought = await self._thinker.think(state, new)
            thoughts.append(thought)
            step = Step(self._store, state, thought.window, turn_id, first_doc, new)
            match thought.answer:
                case Reply(reply):
                    message_id = await anyio.to_thread.run_sync(step.store_reply, reply)
                    return begun.turn(message_id, reply, used, thoughts)
                case ToolCalls() as calls:
                    first_doc = await anyio.to_thread.run_sync(
                        step.store_calls, calls, thought.max_result_chars
                    )
                    names = [call.name for call in calls.calls]
                    used, new = used + names, ()
                    await announce(number, ", ".join(names))
                case _ as never:
                    assert_never(never)
        raise TurnLimitReached(self._max_steps)


@dataclass(frozen=True, slots=True)
class _Begun:
    """A turn as it begins here: new, or with the messages that an earlier attempt stored."""

    turn_id: str
    stored: tuple[Message, ...]

    @property
    def first_doc(self) -> int | None:
        return self.stored[0].doc if self.stored else None

    @property
    def steps(self) -> int:
        return sum(message.role == "assistant" for message in self.stored)

    def turn(self, message_id: str, reply: str, used: list[str], thoughts: list[Thought]) -> Turn:
        earlier = [call.name for message in self.stored for call in message.tool_calls]
        return Turn(
            self.turn_id,
            message_id,
            reply,
            self.steps + len(thoughts),
            (*earlier, *used),
            sum(thought.prompt_tokens for thought in thoughts),
            sum(thought.completion_tokens for thought in thoughts),
        )
