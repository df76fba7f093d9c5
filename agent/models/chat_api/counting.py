"""Counting tokens with a server's own template and tokenizer, where it lends them."""

from collections.abc import Sequence
from typing import Any

from agent.errors import EndpointUnreachable
from agent.model import ChatMessage, Measure, ToolSpec
from agent.models.chat_api.http import EndpointHttp, Refused
from agent.models.chat_api.quirks import Quirks
from agent.models.chat_api.request import encoded, prompt_fields
from agent.models.transcript import call_text
from memory.records import ToolCall

_SLACK_TOKENS = 2  # neighbours merge into other tokens than each by itself
_CALL = ToolCall("call_0", "f", {"a": "b"})


class CannotCount(Exception):
    """The server does not count: an older version, another server, or a template that refuses."""


class ServerCounter:
    """Counts with the server."""

    def __init__(self, http: EndpointHttp, quirks: Quirks) -> None:
        self._http, self._quirks = http, quirks
        self._message_tokens: int | None = None

    async def prompt(self, messages: Sequence[ChatMessage], tools: Sequence[ToolSpec]) -> int:
        """Tokens of the rendered prompt.

        Raises:
            CannotCount: see there.
        """
        fields = prompt_fields(messages, tools, self._quirks)
        rendered = await self._ask("/apply-template", fields, "prompt")
        if not isinstance(rendered, str):
            raise CannotCount
        return await self._tokens(rendered, whole=True)

    async def measure(
        self, system: str, tools: Sequence[ToolSpec], texts: Sequence[str]
    ) -> Measure:
        """Count as agent.model.Measure has it.

        Raises:
            CannotCount: see there.
        """
        opening = (ChatMessage("system", system), ChatMessage("user", ""))
        if self._message_tokens is None:
            self._message_tokens = await self._wrapping()
        head = await self.prompt(opening, tools)
        counted = [await self._tokens(text, whole=False) for text in texts]
        return Measure(head, tuple(counted), self._message_tokens)

    async def _wrapping(self) -> int:
        """The most that the template puts around one message or call."""
        user, said = ChatMessage("user", "a"), ChatMessage("assistant", "a")
        called = ChatMessage("assistant", "", (_CALL,))
        result = ChatMessage("tool", "a", tool_call_id=_CALL.id)
        bare = await self.prompt((user,), ())
        talk = await self.prompt((user, said, user), ()) - bare
        tools = await self.prompt((user, called, result, said, user), ()) - bare - talk
        tools -= await self._tokens(call_text(_CALL.name, _CALL.arguments), whole=False)
        return max(talk, tools, 0) + _SLACK_TOKENS

    async def _tokens(self, text: str, *, whole: bool) -> int:
        """Tokens of a text; of a whole prompt with special ones, and the one it begins with."""
        body = {"content": text, "add_special": whole, "parse_special": whole}
        tokens = await self._ask("/tokenize", body, "tokens")
        if not isinstance(tokens, list):
            raise CannotCount
        return len(tokens)

    async def _ask(self, path: str, body: dict[str, Any], key: str) -> object:
        try:
            answer = await self._http.ask(path, encoded(body))
        except (Refused, EndpointUnreachable):
            raise CannotCount from None
        return answer.get(key) if isinstance(answer, dict) else None
