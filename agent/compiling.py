"""Making a prompt that fits: counted by the model's own tokenizer before the model is asked.

When it does not fit, the oldest messages leave for a summary (compaction.py), then the newest
results are shown shorter; only then is it an error, with the numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import anyio.to_thread

from agent.compaction import Cut, cut, is_due
from agent.context import new_view, system_prompt
from agent.errors import ContextTooSmall
from agent.model import ChatMessage, ChatModel, Completion, Prompt, ToolSpec
from agent.settings import AgentSettings
from agent.summary import Leaving, Summary, summarise
from agent.token_counts import Budget, Counted, TokenCounts
from agent.window import Clipping, Turn, Window, read_turns, shown_messages, tokens_of, window_of
from memory import agents
from memory.records import AgentState, NewMessage, Origin, View

if TYPE_CHECKING:  # hosts list the tools before DuckDB is imported
    from memory.store import MemoryStore

MIN_SHOWN_CHARS = 100
"""Of a tool result; when even that much of each does not fit, the window is too small."""
_ASKING_TOKENS = 200
"""Of the message that asks for a summary, roughly."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a step begins with.

    state: with the view that the prompt begins with. new: messages that are not stored yet.
    tools: those the agent has; rules: as told in the head.
    """

    state: AgentState
    new: tuple[NewMessage, ...]
    settings: AgentSettings
    tools: tuple[ToolSpec, ...]
    rules: str = ""


@dataclass(frozen=True, slots=True)
class Compiled:
    """A prompt's messages, which fit. state: as it is after a compaction, which is stored."""

    state: AgentState
    system: ChatMessage
    window: Window
    counted: Counted
    budget: Budget
    summaries: tuple[Completion, ...] = ()


class Compiler:
    """Compiles prompts for one model."""

    def __init__(self, store: "MemoryStore", model: ChatModel) -> None:
        self._store, self._model = store, model
        self._counts = TokenCounts(model)

    async def budget(self, settings: AgentSettings) -> Budget:
        """How the model's window is shared out for an agent."""
        return Budget.of(await self._model.describe(), settings)

    async def count(self, asked: Asked, messages: Sequence[ChatMessage]) -> Counted:
        """Count messages, and the head that the agent has now."""
        head = system_prompt(asked.state.agent.view.head)
        return await self._counts.of(head, asked.tools, messages)

    async def compile(self, asked: Asked, limit_tokens: int | None = None) -> Compiled:
        """The next prompt.

        Args:
            limit_tokens: for the whole prompt; None: what the budget gives.

        Raises:
            ContextTooSmall: head, last user message and newest step alone do not fit.
        """
        budget = await self.budget(asked.settings)
        limit = budget.prompt_tokens if limit_tokens is None else limit_tokens
        clipping = Clipping.of(budget.max_result_chars)
        counted, turns = await self._read(asked, clipping)
        summaries: tuple[Completion, ...] = ()
        if is_due(asked.state, turns, limit - counted.head_tokens):
            asked, summaries = await self._compact(asked, turns, budget, limit)
            counted, turns = await self._read(asked, clipping)
        while counted.head_tokens + tokens_of(turns) > limit:
            clipping = replace(clipping, newest=clipping.newest // 2)
            if asked.new or clipping.newest < MIN_SHOWN_CHARS:
                if not asked.state.agent.view.summary:
                    needed = counted.head_tokens + tokens_of(turns[-1:])
                    raise ContextTooSmall(needed, limit, counted.head_tokens)
                asked, clipping = self._viewed(asked, ""), Clipping.of(budget.max_result_chars)
            counted, turns = await self._read(asked, clipping)
        system = ChatMessage("system", system_prompt(asked.state.agent.view.head))
        window = window_of(turns, counted.head_tokens)
        return Compiled(asked.state, system, window, counted, budget, summaries)

    async def _read(self, asked: Asked, clipping: Clipping) -> tuple[Counted, list[Turn]]:
        counted = await self.count(asked, shown_messages(asked.state, asked.new, clipping))
        return counted, read_turns(asked.state, asked.new, counted.count, clipping)

    async def _compact(
        self, asked: Asked, turns: Sequence[Turn], budget: Budget, limit: int
    ) -> tuple[Asked, tuple[Completion, ...]]:
        """Let the oldest messages leave, if any can; and render the head anew where that helps."""
        bare = self._viewed(asked, "")
        bare_tokens = (await self.count(bare, ())).head_tokens
        room = limit - bare_tokens - budget.summary_tokens
        found = cut(asked.state, turns, room, asked.settings.compaction)
        if found is None:
            counted = await self.count(asked, ())
            if counted.head_tokens + tokens_of(turns) <= limit:
                return asked, ()
            return await self._fitting(
                asked, bare, asked.state.agent.view.summary, turns, limit
            ), ()
        summary = await self._summarise(asked, turns, found, budget)
        earlier = asked.state.agent.view.summary
        asked = await self._fitting(asked, bare, summary.text, found.kept, limit)
        asked = await self._store_cut(asked, found, earlier)
        return asked, () if summary.completion is None else (summary.completion,)

    async def _fitting(
        self, asked: Asked, bare: Asked, summary: str, turns: Sequence[Turn], limit: int
    ) -> Asked:
        """With a new head and as much of the summary as there is room for.

        Results that do not fit in any case are shown shorter later; so all of it stays then.
        """
        bare_tokens = (await self.count(bare, ())).head_tokens
        used = tokens_of(turns)
        if bare_tokens + used > limit:
            used = 0
        while summary:
            viewed = self._viewed(asked, summary)
            if (await self.count(viewed, ())).head_tokens + used <= limit:
                return viewed
            summary = summary[: len(summary) // 2]
        return bare

    def _viewed(self, asked: Asked, summary: str) -> Asked:
        state = asked.state
        view = new_view(state.agent, state.blocks, asked.rules, summary)
        return replace(asked, state=with_view(state, view))

    async def _summarise(
        self, asked: Asked, turns: Sequence[Turn], found: Cut, budget: Budget
    ) -> Summary:
        agent = asked.state.agent
        counted = await self.count(asked, ())
        stored = [part for turn in turns for part in turn if part.doc]
        used = counted.head_tokens + sum(part.tokens for part in stored) + _ASKING_TOKENS
        seen = None
        if used + budget.summary_tokens <= budget.context_tokens:
            system = ChatMessage("system", system_prompt(agent.view.head))
            messages = (m for part in stored for m in part.messages)
            seen = Prompt((system, *messages), asked.tools, agent_id=agent.id)
        leaving = Leaving(
            agent_name=agent.name,
            earlier=agent.view.summary,
            messages=found.left,
            seen=seen,
            max_tokens=budget.summary_tokens,
            room_tokens=budget.context_tokens - budget.summary_tokens - _ASKING_TOKENS,
        )
        return await summarise(self._model, leaving, asked.settings.compaction)

    async def _store_cut(self, asked: Asked, found: Cut, earlier: str) -> Asked:
        """Store what a compaction decided, before the model is asked anything on top of it."""
        view = replace(asked.state.agent.view, steps_from=found.steps_from)
        before = asked.state.agent

        def store() -> None:
            with self._store.write(Origin(f"agent:{before.name}", "compaction")) as transaction:
                agents.set_view(transaction, before, found.window_start, view)
                transaction.record(
                    "agent.compact",
                    before.id,
                    before.id,
                    {"window_start": before.window_start, "summary": earlier},
                    {"window_start": found.window_start, "summary": view.summary},
                )

        await anyio.to_thread.run_sync(store)
        return replace(asked, state=with_view(asked.state, view, found.window_start))


def with_view(state: AgentState, view: View, window_start: int | None = None) -> AgentState:
    """The state with another view, and from a message on that stays in the window."""
    start = state.agent.window_start if window_start is None else window_start
    agent = replace(state.agent, view=view, window_start=start)
    kept = tuple(message for message in state.messages if message.doc >= start)
    return replace(state, agent=agent, messages=kept)
