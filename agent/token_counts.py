"""Token counts by the model's own tokenizer, remembered so that a turn counts only what is new."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agent.model import ChatMessage, ChatModel, ModelInfo, ToolSpec
from agent.models.transcript import message_text
from agent.settings import AgentSettings

MAX_REMEMBERED_CHARS = 4_000_000
"""Of counted texts and heads: some 100 agents' windows of 8k tokens."""
MAX_REPLY_TOKENS = 1_024
RESULT_SHARE = 0.25
"""Of the window, for one tool result."""
MIN_RESULT_CHARS = 500
SUMMARY_SHARE, MIN_SUMMARY_TOKENS, MAX_SUMMARY_TOKENS = 1 / 8, 64, 512


@dataclass(frozen=True, slots=True)
class Budget:
    """How a window is shared out, in tokens."""

    context_tokens: int
    reply_tokens: int

    @classmethod
    def of(cls, info: ModelInfo, settings: AgentSettings) -> "Budget":
        """The model's window, or what the agent's settings take of it.

        The reply has at most a quarter of it.
        """
        context = min(settings.context_tokens or info.context_tokens, info.context_tokens)
        return cls(context, min(settings.max_reply_tokens or MAX_REPLY_TOKENS, context // 4))

    @property
    def prompt_tokens(self) -> int:
        """Room for the prompt."""
        return self.context_tokens - self.reply_tokens

    @property
    def summary_tokens(self) -> int:
        """Room for the summary of what left."""
        share = int(self.context_tokens * SUMMARY_SHARE)
        return max(MIN_SUMMARY_TOKENS, min(MAX_SUMMARY_TOKENS, share))

    @property
    def max_result_chars(self) -> int:
        """How much of a tool result is shown, at three characters to a token."""
        return max(MIN_RESULT_CHARS, int(self.context_tokens * RESULT_SHARE * 3))


@dataclass(frozen=True, slots=True)
class Counted:
    """The counts for one prompt.

    head_tokens, messages_tokens: of all there is. message_tokens: what the template puts around one
    message. texts: tokens of each message's text by itself.
    """

    head_tokens: int
    messages_tokens: int
    message_tokens: int
    texts: Mapping[str, int]

    def count(self, message: ChatMessage) -> int:
        """Tokens of a message, with what the template puts around it and around each call."""
        wrappings = max(1, len(message.tool_calls))
        return self.texts[message_text(message)] + wrappings * self.message_tokens


class TokenCounts:
    """Asks the model for what was not counted before."""

    def __init__(self, model: ChatModel) -> None:
        self._model = model
        self._texts = _Remembered()
        self._heads = _Remembered()
        self._toolsets: list[tuple[ToolSpec, ...]] = []
        self._message_tokens = 0

    async def of(
        self, system: str, tools: tuple[ToolSpec, ...], messages: Sequence[ChatMessage]
    ) -> Counted:
        """Count a prompt's head and every message that may come into it."""
        texts = [message_text(message) for message in messages]
        found = {text: self._texts.get(text) for text in texts}
        missing = [text for text, tokens in found.items() if tokens is None]
        key = f"{system}\0{self._number_of(tools)}"
        head = self._heads.get(key)
        if missing or head is None:
            measure = await self._model.measure(system, tools, missing)
            self._message_tokens, head = measure.message_tokens, measure.head_tokens
            self._heads.put(key, head)
            for text, tokens in zip(missing, measure.text_tokens, strict=True):
                found[text] = tokens
                self._texts.put(text, tokens)
        counts = {text: tokens for text, tokens in found.items() if tokens is not None}
        wrappings = sum(max(1, len(message.tool_calls)) for message in messages)
        total = sum(counts[text] for text in texts) + wrappings * self._message_tokens
        return Counted(head, total, self._message_tokens, counts)

    def _number_of(self, tools: tuple[ToolSpec, ...]) -> int:
        """A number for these tools, quick to find: their specs are mostly the same objects."""
        if tools not in self._toolsets:
            self._toolsets.append(tools)
        return self._toolsets.index(tools)


class _Remembered:
    """Counts of the texts used last."""

    def __init__(self) -> None:
        self._counts: OrderedDict[str, int] = OrderedDict()
        self._chars = 0

    def get(self, text: str) -> int | None:
        if text not in self._counts:
            return None
        self._counts.move_to_end(text)
        return self._counts[text]

    def put(self, text: str, tokens: int) -> None:
        if text not in self._counts:
            self._chars += len(text)
        self._counts[text] = tokens
        while self._chars > MAX_REMEMBERED_CHARS:
            oldest, _ = self._counts.popitem(last=False)
            self._chars -= len(oldest)
