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
from agent.summary import Leaving, request, summarise
from agent.token_counts import Budget, Counted, TokenCounts
from agent.window import (
    READ_ON,
    Clipping,
    Turn,
    messages_of,
    newest_results,
    read_turns,
    tokens_of,
)
from memory import agents
from memory.records import AgentState, Message, NewMessage, Origin, View

if TYPE_CHECKING:  # hosts list the tools before DuckDB is imported
    from memory.store import MemoryStore

MIN_SHOWN_CHARS = 100
"""Of a tool result; when even that much of each does not fit, the window is too small."""
MAX_NOTE_SHARE = 0.25
"""Of the window, for the note that tells of changes: what is longer is seen in a new head."""


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
    """A prompt as it is shown.

    asked: what it is made of; a compaction is stored, other changes of its view are not.
    """

    asked: Asked
    turns: list[Turn]
    counted: Counted

    @property
    def messages(self) -> tuple[ChatMessage, ...]:
        """All messages, without the system message."""
        return messages_of(self.turns)

    @property
    def system(self) -> ChatMessage:
        """The system message."""
        return ChatMessage("system", system_prompt(self.asked.state.agent.view.head))

    @property
    def head_tokens(self) -> int:
        """Of the system message and the tools."""
        return self.counted.head_tokens

    @property
    def messages_tokens(self) -> int:
        """Of the messages."""
        return self.counted.messages_tokens

    @property
    def tokens(self) -> int:
        """Of everything."""
        return self.head_tokens + self.messages_tokens


class Compiler:
    """Compiles prompts for one model."""

    def __init__(self, store: "MemoryStore", model: ChatModel) -> None:
        self._store, self._model = store, model
        self._counts = TokenCounts(model)

    async def budget(self, settings: AgentSettings) -> Budget:
        """How the model's window is shared out for an agent."""
        return Budget.of(await self._model.describe(), settings)

    async def count(self, asked: Asked, messages: Sequence[ChatMessage] = ()) -> Counted:
        """Count messages, and the head that the agent has now."""
        head = system_prompt(asked.state.agent.view.head)
        return await self._counts.of(head, asked.tools, messages)

    async def compile(
        self, asked: Asked, spent: list[Completion], limit_tokens: int | None = None
    ) -> Compiled:
        """The next prompt.

        Args:
            spent: gets what the model was asked for, whatever comes of it.
            limit_tokens: for the whole prompt; None: what the budget gives.

        Raises:
            ContextTooSmall: head, last user message and newest step alone do not fit.
            ModelError: it cannot count.
        """
        budget = await self.budget(asked.settings)
        limit = budget.prompt_tokens if limit_tokens is None else limit_tokens
        read = await self._read(await self._with_head(asked, budget), budget)
        if _is_due_at(read, limit):
            read = await self._compact(read, budget, limit, spent)
        if read.tokens > limit:
            read = await self._shown_shorter(read, budget, limit)
        return read

    async def shown(self, asked: Asked) -> Compiled:
        """What there is now, whether it fits or not."""
        return await self._read(asked, await self.budget(asked.settings))

    async def _with_head(self, asked: Asked, budget: Budget) -> Asked:
        """With a new head where there is none, or where a note would take too much room."""
        view = asked.state.agent.view
        if view.head and len(asked.new) < 2:
            return asked
        if view.head:
            note = ChatMessage("user", asked.new[0].content)
            tokens = (await self.count(asked, [note])).count(note)
            if tokens <= budget.context_tokens * MAX_NOTE_SHARE:
                return asked
        return _viewed(asked, view.summary)

    async def _read(self, asked: Asked, budget: Budget) -> Compiled:
        reads_on = any(tool.name == READ_ON for tool in asked.tools)
        turns = read_turns(asked.state, asked.new, Clipping(budget.max_result_chars, reads_on))
        counted = await self.count(asked, messages_of(turns))
        return Compiled(asked, turns, counted)

    async def _compact(
        self, read: Compiled, budget: Budget, limit: int, spent: list[Completion]
    ) -> Compiled:
        """Let the oldest messages leave, if any can; and render the head anew where that helps."""
        asked = read.asked
        framed = await self.count(_viewed(asked, "-"))
        room = limit - framed.head_tokens - budget.summary_tokens
        found = cut(asked.state, read.turns, room, asked.settings.compaction, read.counted.count)
        if found is None:
            if read.tokens <= limit:
                return read
            summary = asked.state.agent.view.summary
            asked = await self._summed_up(asked, summary, read.messages_tokens, limit)
            return await self._read(asked, budget)
        summary = await self._summarise(read, found, budget, spent)
        kept_tokens = tokens_of(found.kept, read.counted.count)
        viewed = await self._summed_up(asked, summary, kept_tokens, limit)
        return await self._read(await self._store_cut(viewed, found, asked), budget)

    async def _summed_up(self, asked: Asked, summary: str, used: int, limit: int) -> Asked:
        """With a new head and as much of the summary as there is room for.

        Results that do not fit in any case are shown shorter later; so all of it stays then.
        """
        if (await self.count(_viewed(asked, ""))).head_tokens + used > limit:
            used = 0
        while summary:
            viewed = _viewed(asked, summary)
            if (await self.count(viewed)).head_tokens + used <= limit:
                return viewed
            summary = summary[: len(summary) // 2].rstrip()
        return _viewed(asked, "")

    async def _shown_shorter(self, read: Compiled, budget: Budget, limit: int) -> Compiled:
        """With less of the newest results; and without the summary when that is not enough."""
        whole = read.asked
        while True:
            chars = budget.max_result_chars
            results = () if whole.new else newest_results(whole.state)
            while results and chars > MIN_SHOWN_CHARS and _is_due_at(read, limit):
                chars = max(MIN_SHOWN_CHARS, chars // 2)
                shorter = _with_results(whole.state, results, chars)
                read = await self._read(replace(whole, state=shorter), budget)
            if read.tokens <= limit:
                return read
            if not whole.state.agent.view.summary:
                raise ContextTooSmall(read.tokens, limit, read.head_tokens)
            whole = _viewed(whole, "")
            read = await self._read(whole, budget)

    async def _summarise(
        self, read: Compiled, found: Cut, budget: Budget, spent: list[Completion]
    ) -> str:
        agent, settings = read.asked.state.agent, read.asked.settings.compaction
        leaving = Leaving(
            agent_name=agent.name,
            earlier=agent.view.summary,
            messages=found.left,
            seen=await self._seen(read, budget) if settings.by_itself else None,
            max_tokens=budget.summary_tokens,
            room_tokens=budget.context_tokens - budget.summary_tokens,
        )
        summary = await summarise(self._model, leaving, settings)
        if summary.completion is not None:
            spent.append(summary.completion)
        return summary.text

    async def _seen(self, read: Compiled, budget: Budget) -> Prompt | None:
        """The prompt that the model has seen last, if there is room for a request at its end."""
        asked = read.asked
        asks = request(asked.settings.compaction, budget.summary_tokens)
        stored = messages_of(tuple(part for part in turn if part.doc) for turn in read.turns)
        every = (*stored, ChatMessage("user", asks))
        counted = await self.count(asked, every)
        used = counted.head_tokens + counted.messages_tokens
        if used + budget.summary_tokens > budget.context_tokens:
            return None
        system = ChatMessage("system", system_prompt(asked.state.agent.view.head))
        return Prompt((system, *stored), asked.tools, agent_id=asked.state.agent.id)

    async def _store_cut(self, viewed: Asked, found: Cut, before: Asked) -> Asked:
        """Store what a compaction decided, before the model is asked anything on top of it."""
        view = replace(viewed.state.agent.view, steps_from=found.steps_from)
        old = before.state.agent

        def store() -> None:
            with self._store.write(Origin(f"agent:{old.name}", "compaction")) as transaction:
                now = self._store.agent_state(old.id).agent
                agents.set_view(transaction, now, found.window_start, view)
                transaction.record(
                    "agent.compact",
                    old.id,
                    old.id,
                    {"window_start": old.window_start, "summary": old.view.summary},
                    {"window_start": found.window_start, "summary": view.summary},
                )

        await anyio.to_thread.run_sync(store)
        return replace(viewed, state=with_view(viewed.state, view, found.window_start))


def with_view(state: AgentState, view: View, window_start: int | None = None) -> AgentState:
    """The state with another view, and from a message on that stays in the window."""
    start = state.agent.window_start if window_start is None else window_start
    agent = replace(state.agent, view=view, window_start=start)
    if start == state.agent.window_start:
        return replace(state, agent=agent)
    kept = tuple(message for message in state.messages if message.doc >= start)
    return replace(state, agent=agent, messages=kept)


def _is_due_at(read: Compiled, limit: int) -> bool:
    """Whether it is time for a compaction, with so many tokens for the whole prompt."""
    return is_due(read.asked.state, read.messages_tokens, limit - read.head_tokens)


def _with_results(state: AgentState, results: Sequence[Message], max_chars: int) -> AgentState:
    """The state with no more than so much of these results shown."""
    view = state.agent.view
    shown = {
        doc: min(max_chars, view.clipped.get(doc, max_chars))
        for doc in (str(result.doc) for result in results)
    }
    return with_view(state, replace(view, clipped={**view.clipped, **shown}))


def _viewed(asked: Asked, summary: str) -> Asked:
    """With everything in a new head, and so without a note that would tell of changes."""
    view = new_view(asked.state, asked.rules, summary)
    new = tuple(message for message in asked.new if message.role != "system")
    return replace(asked, state=with_view(asked.state, view), new=new)
