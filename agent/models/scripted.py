"""A model that says what it was told to say: for tests of the loop and for benchmarks.

Same protocol and same refusals as a real one, without weights: tokens are counted by a fixed rule.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence

from agent.errors import PromptTooLong
from agent.model import (
    Completion,
    Malformed,
    Measure,
    ModelInfo,
    OnText,
    Parsed,
    Prompt,
    Reply,
    ToolCalls,
    ToolSpec,
)
from agent.models.parse import held_to
from agent.models.transcript import call_text, message_text

MESSAGE_TOKENS = 4  # about what ChatML adds around one message


def count_tokens(text: str) -> int:
    """One token for each begun four bytes of UTF-8."""
    return -(-len(text.encode("utf-8", "surrogatepass")) // 4)


def measure(system: str, tools: Sequence[ToolSpec], texts: Sequence[str]) -> Measure:
    """Count as ScriptedModel counts: head = system, tools and an empty user message."""
    described = sum(
        count_tokens(tool.name + tool.description + json.dumps(dict(tool.parameters)))
        for tool in tools
    )
    return Measure(
        head_tokens=count_tokens(system) + described + 2 * MESSAGE_TOKENS,
        text_tokens=tuple(count_tokens(text) for text in texts),
        message_tokens=MESSAGE_TOKENS,
    )


class ScriptedModel:
    """Answers from a sequence, in order, or by a function of the prompt.

    `prompts` holds every prompt it answered, in order, but those that allow no call, as those for a
    summary do; a sequence has no answer for them.
    """

    def __init__(
        self, script: Iterable[Parsed] | Callable[[Prompt], Parsed], *, context_tokens: int = 8192
    ) -> None:
        self.prompts: list[Prompt] = []
        self._answer = script if callable(script) else _in_order(iter(script))
        self._context_tokens = context_tokens

    async def describe(self) -> ModelInfo:
        """Say the name `scripted` and the window given."""
        return ModelInfo("scripted", self._context_tokens)

    async def measure(
        self, system: str, tools: Sequence[ToolSpec], texts: Sequence[str]
    ) -> Measure:
        """Count by the fixed rule."""
        return measure(system, tools, texts)

    async def complete(
        self, prompt: Prompt, max_tokens: int, on_text: OnText | None = None
    ) -> Completion:
        """Give the next answer, or Malformed when it needs more than max_tokens.

        An answer that the prompt does not allow is Malformed too, as a real model's would be.

        Raises:
            PromptTooLong: as a real model would, by this one's rule of counting.
            LookupError: the script has no further answer.
        """
        prompt_tokens = _prompt_tokens(prompt)
        if prompt_tokens > self._context_tokens - max_tokens:
            raise PromptTooLong(prompt_tokens, self._context_tokens - max_tokens)
        parsed = self._answer(prompt)
        if prompt.allowed != frozenset():
            self.prompts.append(prompt)
        text = _answer_text(parsed)
        if count_tokens(text) > max_tokens:
            parsed = Malformed(text, f"cut off after {max_tokens} tokens", "cut")
        parsed = held_to(prompt, parsed)
        if on_text is not None and isinstance(parsed, Reply):
            await on_text(parsed.text)
        return Completion(parsed, prompt_tokens, min(count_tokens(text), max_tokens))


def _in_order(answers: Iterator[Parsed]) -> Callable[[Prompt], Parsed]:
    given = 0

    def answer(prompt: Prompt) -> Parsed:
        nonlocal given
        if prompt.allowed == frozenset():
            return Malformed("", "the script has no summaries")
        for parsed in answers:
            given += 1
            return parsed
        raise LookupError(f"the script holds {given} answers and was asked for one more")

    return answer


def _prompt_tokens(prompt: Prompt) -> int:
    system = "".join(m.content for m in prompt.messages[:1] if m.role == "system")
    rest = [m for i, m in enumerate(prompt.messages) if i > 0 or m.role != "system"]
    counted = measure(system, prompt.tools, [message_text(message) for message in rest])
    return counted.head_tokens + sum(n + counted.message_tokens for n in counted.text_tokens)


def _answer_text(parsed: Parsed) -> str:
    match parsed:
        case Reply(text) | Malformed(text, _):
            return text
        case ToolCalls(calls, text):
            return text + "".join(call_text(call.name, call.arguments) for call in calls)
