"""An answer, assembled from the events of a stream. Pure.

Nothing a server sends is trusted: every event is validated, and whatever does not fit is an
AnswerInvalid with words for a person. Whether calls are valid is read_calls' matter, in parse.py.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from agent.models.chat_api.refusals import Refusal, read_refusal

END: Final = "[DONE]"
MAX_CALLS: Final = 64


class AnswerInvalid(Exception):
    """An event is none that an answer can be made of; the message says what is wrong."""


class AnswerRefused(Exception):
    """The server reports an error in the middle of a stream."""

    def __init__(self, refusal: Refusal) -> None:
        self.refusal = refusal


def _text_of(content: object) -> object:
    """Text, also where it comes in parts; other kinds of parts say nothing to us."""
    if not isinstance(content, list):
        return content
    texts = (part.get("text") for part in content if isinstance(part, Mapping))
    return "".join(text for text in texts if isinstance(text, str))


def _json_text_of(arguments: object) -> object:
    """Arguments as JSON text, also where a server sends the object itself."""
    return json.dumps(arguments) if isinstance(arguments, Mapping) else arguments


class _Event(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class _Function(_Event):
    name: str | None = None
    arguments: Annotated[str | None, BeforeValidator(_json_text_of)] = None


class _CallDelta(_Event):
    index: int | None = None
    id: str | None = None
    function: _Function = _Function()


class _Delta(_Event):
    content: Annotated[str | None, BeforeValidator(_text_of)] = None
    tool_calls: list[_CallDelta] | None = Field(None, max_length=MAX_CALLS)


class _Choice(_Event):
    index: int = 0
    delta: _Delta | None = None
    message: _Delta | None = None
    finish_reason: str | None = None


class _Chunk(_Event):
    choices: list[_Choice] = []
    usage: Any = None
    error: Any = None


class _Cached(_Event):
    cached_tokens: int | None = Field(None, ge=0)


class _Usage(_Event):
    prompt_tokens: int = Field(ge=0)
    completion_tokens: int = Field(ge=0)
    prompt_tokens_details: _Cached | None = None
    prompt_cache_hit_tokens: int | None = Field(None, ge=0)


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts by the server."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int


@dataclass(slots=True)
class RawCall:
    """A call as far as it has come: its name, and its arguments as JSON text."""

    index: int | None
    id: str
    name: str
    arguments: str


class Answer:
    """What a stream says, as far as it has come.

    text, calls, usage: so far. finish_reason: once the model has ended; ended: no event will
    follow.
    """

    def __init__(self) -> None:
        self.text = ""
        self.calls: list[RawCall] = []
        self.usage: Usage | None = None
        self.finish_reason: str | None = None
        self.ended = False

    @property
    def is_whole(self) -> bool:
        """Whether the model has said all, even if the connection broke since."""
        return self.ended or self.finish_reason is not None

    def add(self, data: str) -> None:
        """Take the data of the next event, or a whole answer that came without a stream.

        Raises:
            AnswerInvalid: it is no part of an answer.
            AnswerRefused: it is an error of the server's.
        """
        if data.strip() == END:
            self.ended = True
            return
        chunk = _read_chunk(data)
        if chunk.error is not None:
            raise AnswerRefused(read_refusal(data))
        if chunk.usage is not None:
            self.usage = _read_usage(chunk.usage) or self.usage
        for choice in chunk.choices:
            if choice.index == 0:
                self._add_choice(choice)

    def _add_choice(self, choice: _Choice) -> None:
        for delta in (choice.delta, choice.message):
            if delta is not None:
                self.text += delta.content or ""
                for call in delta.tool_calls or ():
                    self._add_call(call)
        self.finish_reason = choice.finish_reason or self.finish_reason

    def _add_call(self, delta: _CallDelta) -> None:
        call = self._call_of(delta)
        call.id = call.id or delta.id or ""
        call.name += delta.function.name or ""
        call.arguments += delta.function.arguments or ""

    def _call_of(self, delta: _CallDelta) -> RawCall:
        """The call that a piece belongs to: by its index, unless that is used for several."""
        if delta.index is None:
            begins = bool(delta.function.name) or not self.calls
            found = None if begins else self.calls[-1]
        else:
            same = [call for call in self.calls if call.index == delta.index]
            found = same[-1] if same else None
        if found is not None and delta.id and found.id and delta.id != found.id:
            found = None  # Ollama numbered all calls 0
        if found is not None:
            return found
        if len(self.calls) >= MAX_CALLS:
            raise AnswerInvalid(f"makes more than {MAX_CALLS} calls at once")
        self.calls.append(RawCall(delta.index, delta.id or "", "", ""))
        return self.calls[-1]


def _read_chunk(data: str) -> _Chunk:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        raise AnswerInvalid("sent an event that is not JSON") from None
    try:
        return _Chunk.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "it"
        raise AnswerInvalid(f"sent an event of another form: {where}: {first['msg']}") from None


def _read_usage(value: object) -> Usage | None:
    """Counts, or None where they cannot be: an answer is not lost for them."""
    try:
        usage = _Usage.model_validate(value)
    except ValidationError:
        return None
    details = usage.prompt_tokens_details
    cached = details.cached_tokens if details is not None else usage.prompt_cache_hit_tokens
    return Usage(usage.prompt_tokens, usage.completion_tokens, cached or 0)
