"""One step's thinking: compile the prompt, ask the model, and ask again when that can help.

Asked again: once, with a note, when the output was unusable; with fewer messages for as long as the
template makes more of the prompt than was measured. Nothing here is stored.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import assert_never

from agent.context import chat_message, system_prompt
from agent.errors import ContextTooSmall, InvalidReply, PromptTooLong
from agent.model import (
    ChatMessage,
    ChatModel,
    Completion,
    Malformed,
    Parsed,
    Prompt,
    Reply,
    ToolCalls,
)
from agent.prompts import render
from agent.token_counts import Counted, TokenCounts
from agent.tools import MEMORY_TOOLS, clipped, tool_specs
from agent.window import Window, fit_window, with_shorter_results
from memory.errors import InvalidValue
from memory.limits import check_text
from memory.records import AgentState, NewMessage

MAX_PROBLEM_CHARS = 300
MIN_SHOWN_CHARS = 100
"""Of a tool result; when even that much of each does not fit, the window is too small."""

_SPECS = tool_specs(tuple(MEMORY_TOOLS.values()))


@dataclass(frozen=True, slots=True)
class Thought:
    """What the model said, the window it was shown, and the tokens of every time it was asked."""

    answer: Reply | ToolCalls
    window: Window
    max_result_chars: int
    prompt_tokens: int
    completion_tokens: int


class Thinker:
    """Thinks steps of all agents on one model."""

    def __init__(self, model: ChatModel) -> None:
        self._model = model
        self._counts = TokenCounts(model, _SPECS)

    async def think(self, state: AgentState, new: Sequence[NewMessage]) -> Thought:
        """Ask the model what to do next.

        Args:
            new: messages of this turn that are not stored yet.

        Raises:
            InvalidReply: the output was unusable twice.
            ContextTooSmall: what must be in the prompt does not fit it.
            ModelError: the model could not do its work.
        """
        counted, window, completion = await self._ask(state, new, ())
        asked = [completion]
        answer = checked(completion.parsed)
        if isinstance(answer, Malformed):
            hint = render("retry", problem=answer.problem[:MAX_PROBLEM_CHARS])
            try:
                counted, window, completion = await self._ask(
                    state, new, (ChatMessage("user", hint),)
                )
            except ContextTooSmall:  # there was no room for the note
                raise InvalidReply(answer.problem) from None
            asked.append(completion)
            answer = checked(completion.parsed)
        if isinstance(answer, Malformed):
            raise InvalidReply(answer.problem)
        return Thought(
            answer,
            window,
            counted.max_result_chars,
            sum(completion.prompt_tokens for completion in asked),
            sum(completion.completion_tokens for completion in asked),
        )

    async def _ask(
        self, state: AgentState, new: Sequence[NewMessage], hint: tuple[ChatMessage, ...]
    ) -> tuple[Counted, Window, Completion]:
        system = ChatMessage("system", system_prompt(state.agent, state.blocks))
        counted = await self._counts.of(system.content, hint)
        budget = counted.budget_tokens - sum(map(counted.count, hint))
        while True:
            window = await self._fit(state, new, counted, budget)
            prompt = Prompt((system, *window.messages, *hint), _SPECS)
            try:
                return (
                    counted,
                    window,
                    await self._model.complete(prompt, counted.reply_tokens),
                )
            except PromptTooLong as error:
                # Below what was sent, so that each time at least one message leaves.
                budget = window.tokens - max(1, error.prompt_tokens - error.limit_tokens)

    async def _fit(
        self, state: AgentState, new: Sequence[NewMessage], counted: Counted, budget_tokens: int
    ) -> Window:
        """The window; with shorter results of the newest step when whole ones do not fit."""
        shown, max_chars = state, counted.max_result_chars
        while True:
            messages = [*map(chat_message, shown.messages), *map(chat_message, new)]
            counted = await self._counts.of(system_prompt(state.agent, state.blocks), messages)
            try:
                return fit_window(shown, new, counted.head_tokens, budget_tokens, counted.count)
            except ContextTooSmall:
                max_chars //= 2
                if new or max_chars < MIN_SHOWN_CHARS:
                    raise
                shown = with_shorter_results(state, partial(clipped, max_chars=max_chars))


def checked(answer: Parsed) -> Parsed:
    """The answer, or Malformed when it says nothing or what it says cannot be stored."""
    match answer:
        case Reply(text) if not text.strip():
            return Malformed(text, "it says nothing")
        case ToolCalls((), text):
            return Malformed(text, "it calls nothing")
        case Reply(text) | ToolCalls(_, text):
            try:
                check_text(text, "it")
            except InvalidValue as error:
                return Malformed(text, str(error))
            return answer
        case Malformed():
            return answer
        case _ as never:
            assert_never(never)
