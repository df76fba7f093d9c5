"""Token counts by the model's own tokenizer, remembered so that a turn counts only what is new."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from agent.context import chat_message, message_text
from agent.model import ChatModel, ToolSpec
from memory.records import AgentState, Message, NewMessage

MAX_REPLY_TOKENS = 1_024
MAX_COUNTED_TEXTS = 20_000
RESULT_SHARE = 0.25
"""Of the window, for one tool result."""
MIN_RESULT_CHARS = 500


@dataclass(frozen=True, slots=True)
class Counted:
    """The counts for one prompt. texts: tokens of each message's text by itself."""

    context_tokens: int
    head_tokens: int
    message_tokens: int
    texts: dict[str, int]

    @property
    def reply_tokens(self) -> int:
        """Room for the reply: at most a quarter of the window."""
        return min(MAX_REPLY_TOKENS, self.context_tokens // 4)

    @property
    def max_result_chars(self) -> int:
        """How long a tool result may be, at three characters to a token, on the safe side."""
        return max(MIN_RESULT_CHARS, int(self.context_tokens * RESULT_SHARE * 3))

    def count(self, text: str) -> int:
        """Tokens of a message with this text, the template's share included."""
        return self.texts[text] + self.message_tokens


class TokenCounts:
    """Asks the model for what was not counted before."""

    def __init__(self, model: ChatModel, tools: Sequence[ToolSpec]) -> None:
        self._model, self._tools = model, tools
        self._texts: OrderedDict[str, int] = OrderedDict()
        self._head = ("", 0, 0)

    async def of(self, system: str, state: AgentState, new: Sequence[NewMessage]) -> Counted:
        """Count a prompt's head and every message that may come into it."""
        info = await self._model.describe()
        messages: list[Message | NewMessage] = [*state.messages, *new]
        texts = [message_text(chat_message(m)) for m in messages]
        missing = [text for text in dict.fromkeys(texts) if text not in self._texts]
        if missing or self._head[0] != system:
            measure = await self._model.measure(system, self._tools, missing)
            self._head = (system, measure.head_tokens, measure.message_tokens)
            self._texts.update(zip(missing, measure.text_tokens, strict=True))
        counts = {text: self._texts[text] for text in texts}
        while len(self._texts) > MAX_COUNTED_TEXTS:
            self._texts.popitem(last=False)
        return Counted(info.context_tokens, self._head[1], self._head[2], counts)
