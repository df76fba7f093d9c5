"""A model that looks at its prompts for the tests: what it was asked, and whether it fitted."""

from collections.abc import Callable

from agent.model import ChatMessage, Completion, OnText, Parsed, Prompt, Reply
from agent.models.scripted import ScriptedModel


class Watching(ScriptedModel):
    """Answers by a function, summaries by another; keeps every prompt, and those of summaries.

    tokens: of each prompt, by its own count.
    """

    def __init__(
        self,
        answer: Callable[[Prompt], Parsed] = lambda prompt: Reply("I see."),
        summary: Callable[[Prompt], Parsed] = lambda prompt: Reply("We talked."),
        context_tokens: int = 8_192,
    ) -> None:
        super().__init__(
            lambda prompt: (summary if prompt.allowed == frozenset() else answer)(prompt),
            context_tokens=context_tokens,
        )
        self.asked: list[Prompt] = []
        self.summaries: list[Prompt] = []
        self.tokens: list[int] = []

    async def complete(
        self, prompt: Prompt, max_tokens: int, on_text: OnText | None = None
    ) -> Completion:
        (self.summaries if prompt.allowed == frozenset() else self.asked).append(prompt)
        done = await super().complete(prompt, max_tokens, on_text)
        if prompt.allowed != frozenset():
            self.tokens.append(done.prompt_tokens)
        return done


def begins_with(longer: Prompt, shorter: Prompt) -> bool:
    """Whether a prompt goes on where another ends."""
    return longer.messages[: len(shorter.messages)] == shorter.messages


def head_of(prompt: Prompt) -> ChatMessage:
    """The system message of a prompt."""
    assert prompt.messages[0].role == "system"
    return prompt.messages[0]
