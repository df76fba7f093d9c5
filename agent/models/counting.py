"""Counting tokens of prompts and of their parts, for whatever engine tokenises."""

from collections.abc import Callable, Sequence

from agent.model import ChatMessage, Measure, Prompt, ToolSpec
from agent.models.chat import SAMPLE_MESSAGES, SAMPLE_TOOL, Chat
from agent.models.transcript import message_text

# Two texts joined can tokenise to a token or two more than each alone.
_JOINT_TOKENS = 2


class Counter:
    """Counts with one model's tokenizer."""

    def __init__(
        self,
        chat: Chat,
        tokenize_prompt: Callable[[str], list[int]],
        count_text: Callable[[str], int],
    ) -> None:
        self._chat = chat
        self._tokenize_prompt = tokenize_prompt
        self._count_text = count_text
        self.message_tokens = max(self._overheads()) + _JOINT_TOKENS

    def prompt_tokens(self, prompt: Prompt) -> list[int]:
        """Give the tokens of a prompt."""
        return self._tokenize_prompt(self._chat.render(prompt))

    def measure(self, system: str, tools: tuple[ToolSpec, ...], texts: Sequence[str]) -> Measure:
        """Count tokens; see agent.model.Measure."""
        opening = ChatMessage("system", system), ChatMessage("user", "")
        return Measure(
            head_tokens=len(self.prompt_tokens(Prompt(opening, tools))),
            text_tokens=tuple(self._text_tokens(text) for text in texts),
            message_tokens=self.message_tokens,
        )

    def _text_tokens(self, text: str) -> int:
        return max(self._count_text(form) for form in self._chat.counted_forms(text))

    def _overheads(self) -> list[int]:
        """What the template adds around each message, by rendering a conversation in steps."""
        lengths = [
            len(self.prompt_tokens(Prompt(SAMPLE_MESSAGES[:count], (SAMPLE_TOOL,))))
            for count in range(2, len(SAMPLE_MESSAGES) + 1)
        ]
        texts = [self._text_tokens(message_text(message)) for message in SAMPLE_MESSAGES[2:]]
        steps = zip(lengths, lengths[1:], texts, strict=False)
        return [after - before - text for before, after, text in steps]
