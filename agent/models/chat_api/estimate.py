"""Counting tokens without a tokenizer: a guess that learns from what the server counts. Pure."""

import math
from collections.abc import Sequence
from typing import Final

from agent.model import ChatMessage, ToolSpec
from agent.models.transcript import call_text, message_text

BYTES_PER_TOKEN: Final = 3.5
"""English has 4 to 5 characters to a token, JSON about 3. Bytes of UTF-8 and not characters: of
Chinese or Arabic text, a character is nearly a token."""
SAFETY: Final = 1.1
MESSAGE_TOKENS: Final = 12
"""What a template puts around a message or a call: ChatML 5, a call with its markers about 12."""
LONG_BYTES: Final = 2_000
"""In a prompt below this, what a server adds unseen weighs more than the ratio does."""
MAX_UNSEEN_TOKENS: Final = 8_192
"""More tokens than bytes, and this, are no count: a broken server must not stop an agent."""


class TokenEstimate:
    """Estimates prompts; once a server has counted one, never below that again for it."""

    def __init__(self) -> None:
        self._tokens_per_byte = SAFETY / BYTES_PER_TOKEN
        self._unseen_tokens = 0

    def text(self, text: str) -> int:
        """Tokens of a text by itself."""
        return math.ceil(_bytes(text) * self._tokens_per_byte)

    def head(self, system: str, tools: Sequence[ToolSpec]) -> int:
        """Tokens of a prompt of the system message, the tools and an empty user message."""
        described = sum(self.text(_described(tool)) + MESSAGE_TOKENS for tool in tools)
        return self._unseen_tokens + self.text(system) + described + 2 * MESSAGE_TOKENS

    def prompt(self, messages: Sequence[ChatMessage], tools: Sequence[ToolSpec]) -> int:
        """Tokens of a whole prompt: the same as head and messages, each by itself."""
        system, rest = _split(messages)
        return self.head(system, tools) + sum(
            self.text(message_text(message)) + _wrappings(message) * MESSAGE_TOKENS
            for message in rest
        )

    def learn(
        self, messages: Sequence[ChatMessage], tools: Sequence[ToolSpec], counted: int
    ) -> None:
        """Take a server's count of a prompt; only ever raises the estimate."""
        system, rest = _split(messages)
        texts = [system, *map(_described, tools), *map(message_text, rest)]
        size = sum(map(_bytes, texts))
        missing = counted - self.prompt(messages, tools)
        if missing <= 0 or counted > size + MAX_UNSEEN_TOKENS:
            return
        if size >= LONG_BYTES:
            # One more for each text: the estimate of each was rounded up.
            ratio = self._tokens_per_byte + (missing + len(texts)) / size
            self._tokens_per_byte = min(ratio, 1.0)
        self._unseen_tokens += max(0, counted - self.prompt(messages, tools))


def _split(messages: Sequence[ChatMessage]) -> tuple[str, Sequence[ChatMessage]]:
    if messages and messages[0].role == "system":
        return messages[0].content, messages[1:]
    return "", messages


def _described(tool: ToolSpec) -> str:
    return tool.name + tool.description + call_text("parameters", tool.parameters)


def _wrappings(message: ChatMessage) -> int:
    return max(1, len(message.tool_calls))


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))
