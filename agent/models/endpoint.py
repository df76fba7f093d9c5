"""EndpointModel: a model of a server with the OpenAI-compatible chat API, as a ChatModel.

Ollama, LM Studio, vLLM, llama-server, or a provider. The parts are in chat_api/: what differs
between servers is a table (quirks.py), all that is sent and received passes http.py. Requests of
several tasks run side by side; whether that is any use is the server's business.
"""

import logging
import math
from collections.abc import Sequence
from types import TracebackType
from typing import Final, Self

import anyio

from agent.errors import EndpointFailed, PromptTooLong
from agent.model import (
    Completion,
    Malformed,
    Measure,
    ModelInfo,
    OnText,
    Parsed,
    Prompt,
    Reply,
    ToolSpec,
)
from agent.models.chat_api.about import (
    SMALLEST_WINDOW,
    WindowSize,
    ask_models,
    ask_window,
    has_model,
)
from agent.models.chat_api.answer import Answer, AnswerInvalid, AnswerRefused
from agent.models.chat_api.counting import CannotCount, ServerCounter
from agent.models.chat_api.estimate import MESSAGE_TOKENS, TokenEstimate
from agent.models.chat_api.http import EndpointHttp, EndpointOptions, Refused, StreamBroken
from agent.models.chat_api.refusals import Refusal
from agent.models.chat_api.request import chat_request, encoded
from agent.models.chat_api.text_calls import read_text, said_so_far
from agent.models.parse import read_calls
from agent.models.spec import Endpoint

logger = logging.getLogger(__name__)

_OVER_SHARE: Final = 1.1
"""How much too long a refused prompt is taken to be when the server gives no number."""
_SHOWN_STEPS: Final = 20
"""An unfinished reply is shown again when it grew by a twentieth: a long one costs little."""
_NO_KEY: Final = "set MNEMON_MODEL_KEY, whose key goes to the server of the setting `model` alone"


class EndpointModel:
    """A server's model. Use it as `async with`, or call aclose."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        key: str | None = None,
        context_tokens: int | None = None,
        options: EndpointOptions | None = None,
    ) -> None:
        """Asks nothing yet.

        Args:
            endpoint: where it is.
            key: sent as a bearer token, to this server alone.
            context_tokens: the window to use; never more than the server has, where it says so.
            options: deadlines and retries.
        """
        self.endpoint = endpoint
        self._has_key = key is not None
        self._wanted_tokens = context_tokens
        self._options = options or EndpointOptions()
        self._http = EndpointHttp(endpoint, key, self._options)
        self._estimate = TokenEstimate()
        self._counter = ServerCounter(self._http, endpoint.quirks)
        self._counts = endpoint.quirks.counts
        self._window: WindowSize | None = None
        self._asking = anyio.Lock()

    async def __aenter__(self) -> Self:
        """Connect to nothing: the first call does."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the connections."""
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def describe(self) -> ModelInfo:
        """Say what the model is; asks the server once, which may load the model for it."""
        window = await self._asked_window()
        return ModelInfo(str(self.endpoint), window.tokens)

    async def look(self) -> WindowSize:
        """Whether the model could be used now, and its window, without loading it.

        Raises:
            EndpointUnreachable: the server does not answer.
            EndpointFailed: it refuses, or does not have the model.
        """
        try:
            listed = await ask_models(self._http)
        except Refused as refused:
            if refused.status in (401, 403):
                raise self._failed(refused) from None
            listed = ()  # not every server lists its models
        if listed and not has_model(self.endpoint, listed):
            there = ", ".join(sorted(listed)[:20])
            raise EndpointFailed(str(self.endpoint), f"does not have it; it has {there}")
        return await ask_window(self._http, self.endpoint, self._wanted_tokens, None)

    async def measure(
        self, system: str, tools: Sequence[ToolSpec], texts: Sequence[str]
    ) -> Measure:
        """Count tokens with the server's tokenizer where it lends it; else estimate."""
        if self._counts:
            try:
                return await self._counter.measure(system, tools, texts)
            except CannotCount:
                self._counts = False
        return Measure(
            self._estimate.head(system, tools),
            tuple(map(self._estimate.text, texts)),
            MESSAGE_TOKENS,
        )

    async def complete(
        self, prompt: Prompt, max_tokens: int, on_text: OnText | None = None
    ) -> Completion:
        """Answer within max_tokens; see ChatModel. Cancelling closes the connection.

        Raises:
            PromptTooLong: counted here before it is sent, or by the server.
            ToolSchemaInvalid: names the tool.
            EndpointUnreachable: the server does not answer.
            EndpointFailed: it refuses, or its answer is of no use.
        """
        body = chat_request(self.endpoint.name, prompt, max_tokens, self.endpoint.quirks)
        limit = (await self._asked_window()).tokens - max_tokens
        tokens = await self._count(prompt)
        if tokens > limit:
            raise PromptTooLong(tokens, limit)
        reading = _Reading(prompt, on_text)
        try:
            await self._http.stream("chat/completions", encoded(body), reading.take)
        except Refused as refused:
            raise self._too_long(refused.refusal, tokens, max_tokens) or self._failed(
                refused
            ) from None
        except AnswerRefused as refused:
            said = f"broke off: {refused.refusal.message or 'it does not say why'}"
            raise self._too_long(refused.refusal, tokens, max_tokens) or EndpointFailed(
                str(self.endpoint), said
            ) from None
        except AnswerInvalid as error:
            raise EndpointFailed(str(self.endpoint), str(error)) from None
        except StreamBroken as error:
            if not reading.answer.is_whole:
                raise EndpointFailed(str(self.endpoint), str(error)) from None
        return await self._completion(prompt, reading, tokens)

    async def _completion(self, prompt: Prompt, reading: "_Reading", tokens: int) -> Completion:
        answer = reading.answer
        if not answer.is_whole:
            problem = "ended the connection in the middle of an answer"
            raise EndpointFailed(str(self.endpoint), problem)
        parsed = read_answer(answer, prompt)
        if isinstance(parsed, Reply):
            await reading.show(parsed.text)
        if answer.usage is None:
            said = answer.text + "".join(call.name + call.arguments for call in answer.calls)
            return Completion(parsed, tokens, self._estimate.text(said))
        usage = answer.usage
        self._estimate.learn(prompt.messages, prompt.callable_tools, usage.prompt_tokens)
        return Completion(parsed, usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens)

    async def _asked_window(self) -> WindowSize:
        async with self._asking:
            if self._window is None:
                self._window = await ask_window(
                    self._http, self.endpoint, self._wanted_tokens, self._options.first_byte_s
                )
                if self._window.note:
                    logger.warning("model %s: %s", self.endpoint, self._window.note)
            return self._window

    async def _count(self, prompt: Prompt) -> int:
        if self._counts:
            try:
                return await self._counter.prompt(prompt.messages, prompt.callable_tools)
            except CannotCount:
                self._counts = False
        return self._estimate.prompt(prompt.messages, prompt.callable_tools)

    def _too_long(self, refusal: Refusal, tokens: int, max_tokens: int) -> PromptTooLong | None:
        """The error for a prompt that the server finds too long, as exact as can be."""
        if not refusal.too_long or self._window is None:
            return None
        told = refusal.window_tokens
        if told is not None and SMALLEST_WINDOW <= told < self._window.tokens:
            self._window = WindowSize(told)  # it was started anew, with another one
        limit = self._window.tokens - max_tokens
        counted = refusal.prompt_tokens or math.ceil(tokens * _OVER_SHARE)
        return PromptTooLong(max(counted, limit + 1), limit)

    def _failed(self, refused: Refused) -> EndpointFailed:
        said = str(refused)
        if refused.status in (401, 403):
            said += "; " + ("it does not accept the key" if self._has_key else _NO_KEY)
        return EndpointFailed(str(self.endpoint), said, refused.status)


class _Reading:
    """An answer that is being read, shown to whoever listens as it grows."""

    def __init__(self, prompt: Prompt, on_text: OnText | None) -> None:
        self.answer = Answer()
        self._on_text, self._with_tools = on_text, bool(prompt.tools)
        self._shown, self._looked_at = "", 0

    async def take(self, data: str) -> bool:
        """Take an event; whether the answer is complete."""
        self.answer.add(data)
        grown = len(self.answer.text) - self._looked_at
        if self._on_text and grown > self._looked_at // _SHOWN_STEPS and not self.answer.calls:
            self._looked_at = len(self.answer.text)
            await self.show(said_so_far(self.answer.text, self._with_tools))
        return self.answer.ended

    async def show(self, text: str) -> None:
        """Show a text that is not shown yet."""
        if self._on_text is not None and text and text != self._shown:
            self._shown = text
            await self._on_text(text)


def read_answer(answer: Answer, prompt: Prompt) -> Parsed:
    """What an answer means: calls told apart by the server, calls in the text, or a reply."""
    if answer.finish_reason == "content_filter":
        return Malformed(answer.text, "the provider's filter ended the answer")
    cut = answer.finish_reason == "length"
    if answer.calls:
        calls = [(call.name, call.arguments) for call in answer.calls]
        return read_calls(calls, answer.text, cut, prompt)
    return read_text(answer.text, cut, prompt)
