"""One step's thinking: compile the prompt, ask the model, and ask again when that can help.

Asked again: once, with a note, when the output was unusable; with fewer messages for as long as the
template makes more of the prompt than was measured. Nothing here is stored but what a compaction
(compiling.py) decides.
"""

from dataclasses import dataclass, field
from typing import assert_never

from agent.compiling import Asked, Compiled, Compiler
from agent.errors import ContextTooSmall, InvalidReply, PromptTooLong
from agent.model import (
    ChatMessage,
    ChatModel,
    Completion,
    Malformed,
    OnText,
    Parsed,
    Prompt,
    Reply,
    ToolCalls,
)
from agent.prompts import render
from agent.tool_rules import Permission
from memory.errors import InvalidValue
from memory.limits import check_text
from memory.runs import Usage
from memory.store import MemoryStore

MAX_PROBLEM_CHARS = 300


@dataclass(frozen=True, slots=True)
class Thought:
    """What the model said, to which prompt, and what every time it was asked cost.

    asked: what the prompt was made of. planned_tokens: of the prompt, before the model was asked.
    """

    answer: Reply | ToolCalls
    asked: Asked
    prompt: Prompt
    planned_tokens: int
    usage: Usage


@dataclass(slots=True)
class Costs:
    """Every completion of a step, also of one that fails in the end. prompt: the last one sent."""

    completions: list[Completion] = field(default_factory=list)
    prompt: Prompt | None = None

    @property
    def usage(self) -> Usage:
        """All of them together."""
        return Usage(
            sum(done.prompt_tokens for done in self.completions),
            sum(done.completion_tokens for done in self.completions),
            sum(done.cached_tokens for done in self.completions),
        )


class Thinker:
    """Thinks steps of all agents on one model."""

    def __init__(self, store: MemoryStore, model: ChatModel) -> None:
        self._model = model
        self.compiler = Compiler(store, model)

    async def name(self) -> str:
        """The model's name."""
        return (await self._model.describe()).name

    async def think(
        self,
        asked: Asked,
        permission: Permission,
        costs: Costs,
        on_text: OnText | None = None,
    ) -> Thought:
        """Ask the model what to do next.

        Args:
            costs: gets what was asked, whatever comes of it.

        Raises:
            InvalidReply: the output was unusable twice.
            ContextTooSmall: what must be in the prompt does not fit it.
            ModelError: the model could not do its work.
        """
        compiled, prompt = await self._ask(asked, permission, costs, on_text)
        answer = checked(costs.completions[-1].parsed)
        if isinstance(answer, Malformed):
            hint = ChatMessage("user", render("retry", problem=answer.problem[:MAX_PROBLEM_CHARS]))
            try:
                compiled, prompt = await self._ask(compiled.asked, permission, costs, on_text, hint)
            except ContextTooSmall:  # there was no room for the note
                raise InvalidReply(answer.problem, answer.kind) from None
            answer = checked(costs.completions[-1].parsed)
        if isinstance(answer, Malformed):
            raise InvalidReply(answer.problem, answer.kind)
        return Thought(answer, compiled.asked, prompt, compiled.tokens, costs.usage)

    async def _ask(
        self,
        asked: Asked,
        permission: Permission,
        costs: Costs,
        on_text: OnText | None,
        hint: ChatMessage | None = None,
    ) -> tuple[Compiled, Prompt]:
        hints = () if hint is None else (hint,)
        budget = await self.compiler.budget(asked.settings)
        limit = None
        if hint is not None:
            counted = await self.compiler.count(asked, hints)
            limit = budget.prompt_tokens - counted.count(hint)
        while True:
            compiled = await self.compiler.compile(asked, costs.completions, limit)
            prompt = costs.prompt = self._prompt(asked, compiled, permission, hints)
            try:
                done = await self._model.complete(prompt, budget.reply_tokens, on_text)
            except PromptTooLong as error:
                # Below what was sent, so that each time at least one message leaves.
                limit = compiled.tokens - max(1, error.prompt_tokens - error.limit_tokens)
                asked = compiled.asked
            else:
                costs.completions.append(done)
                return compiled, prompt

    def _prompt(
        self,
        asked: Asked,
        compiled: Compiled,
        permission: Permission,
        hints: tuple[ChatMessage, ...],
    ) -> Prompt:
        every = frozenset(tool.name for tool in asked.tools)
        return Prompt(
            (compiled.system, *compiled.messages, *hints),
            asked.tools,
            None if permission.allowed == every else permission.allowed,
            permission.may_reply,
            asked.state.agent.id,
            asked.settings.temperature,
        )


def checked(answer: Parsed) -> Parsed:
    """The answer, or Malformed when it says nothing or what it says cannot be stored."""
    match answer:
        case Reply(text) if not text.strip():
            return Malformed(text, "it says nothing")
        case ToolCalls((), text):
            return Malformed(text, "it calls nothing", "call")
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
