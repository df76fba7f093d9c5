"""A turn: from a message to the agent's answer.

compile the context → ask the model → run its tool calls → store the step; again until it replies.
Each step is one transaction: a step that fails leaves nothing behind, and what earlier steps of the
turn stored stays.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from uuid import uuid4

import anyio
import anyio.to_thread

from agent.context import Window, fit_window, system_prompt
from agent.errors import InvalidReply, PromptTooLong, TurnLimitReached
from agent.model import (
    ChatMessage,
    ChatModel,
    Completion,
    Malformed,
    Prompt,
    Reply,
    ToolCalls,
)
from agent.prompts import render
from agent.step import Step
from agent.token_counts import Counted, TokenCounts
from agent.tools import MEMORY_TOOLS, tool_specs
from memory.limits import check_filled
from memory.records import AgentState, NewMessage
from memory.store import MemoryStore

MAX_STEPS = 50
HINT_TOKENS = 100
"""Room for the note that the last output could not be used; it is never stored."""

_SPECS = tool_specs(tuple(MEMORY_TOOLS.values()))


@dataclass(frozen=True, slots=True)
class Turn:
    """What a turn came to. Tokens are summed over its steps."""

    turn_id: str
    reply: str
    steps: int
    tools_used: tuple[str, ...]
    prompt_tokens: int
    completion_tokens: int


Announce = Callable[[int, str], Awaitable[None]]
"""Called with the number of the step just stored and what happened in it."""


class TurnRunner:
    """Runs turns of all agents on one model; one turn at a time for each agent."""

    def __init__(self, store: MemoryStore, model: ChatModel, max_steps: int = MAX_STEPS) -> None:
        self._store, self._model, self._max_steps = store, model, max_steps
        self._busy: dict[str, anyio.Lock] = {}
        self._counts = TokenCounts(model, _SPECS)

    async def run(self, agent: str, text: str, announce: Announce) -> Turn:
        """Give the agent a message and return its answer.

        Raises:
            MemoryStoreError: the agent does not exist, or the text cannot be stored.
            AgentError: the model failed, or the turn did not end; see its message for what is kept.
        """
        check_filled(text, "message")
        state = await anyio.to_thread.run_sync(self._store.agent_state, agent)
        async with self._busy.setdefault(state.agent.id, anyio.Lock()):
            return await self._run(state.agent.id, NewMessage("user", text), announce)

    async def _run(self, agent_id: str, message: NewMessage, announce: Announce) -> Turn:
        turn_id, first_doc = f"turn-{uuid4()}", None
        new, used = [message], list[str]()
        prompt_tokens = completion_tokens = 0
        for step in range(1, self._max_steps + 1):
            state = await anyio.to_thread.run_sync(self._store.agent_state, agent_id)
            counted, window, completion = await self._think(state, new)
            prompt_tokens += completion.prompt_tokens
            completion_tokens += completion.completion_tokens
            work = Step(self._store, state, window, turn_id, first_doc, tuple(new))
            match completion.parsed:
                case Reply(text):
                    await anyio.to_thread.run_sync(work.store_reply, text)
                    return Turn(turn_id, text, step, tuple(used), prompt_tokens, completion_tokens)
                case ToolCalls() as calls:
                    first_doc = await anyio.to_thread.run_sync(
                        work.store_calls, calls, counted.max_result_chars
                    )
                    names = [call.name for call in calls.calls]
                    used, new = used + names, []
                    await announce(step, ", ".join(names))
                case Malformed(_, problem):
                    raise InvalidReply(problem)
        raise TurnLimitReached(self._max_steps)

    async def _think(
        self, state: AgentState, new: Sequence[NewMessage]
    ) -> tuple[Counted, Window, Completion]:
        """Ask the model; once more when its output was unusable or the prompt too long."""
        system = system_prompt(state.agent, state.blocks)
        counted = await self._counts.of(system, state, new)
        budget = counted.context_tokens - counted.reply_tokens
        hint: tuple[ChatMessage, ...] = ()
        for last_try in (False, True):
            window = fit_window(state, new, counted.head_tokens, budget, counted.count)
            messages = (ChatMessage("system", system), *window.messages, *hint)
            try:
                completion = await self._model.complete(
                    Prompt(messages, _SPECS), counted.reply_tokens
                )
            except PromptTooLong as error:
                # The template added more than was measured; leave that much more room, once.
                if last_try:
                    raise
                budget -= error.prompt_tokens - error.limit_tokens
                continue
            if last_try or not isinstance(completion.parsed, Malformed):
                break
            hint = (ChatMessage("user", render("retry", problem=completion.parsed.problem)),)
            budget -= HINT_TOKENS
        return counted, window, completion
