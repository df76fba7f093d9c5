"""The chat model as the loop sees it: messages in, a reply or tool calls out.

Only types and the protocol; implementations live in agent/models/. The loop parses nothing: a model
returns `Reply`, `ToolCalls` or `Malformed`, whatever its own format on the wire is.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from memory.records import ToolCall

Role = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool as the model is told of it. `parameters` is a JSON schema of type object."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One message of the prompt. Only assistants have tool_calls, only tools a tool_call_id."""

    role: Role
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None


@dataclass(frozen=True, slots=True)
class Prompt:
    """Everything a model sees in one step, and what it may answer.

    tools: all that it is told of, the same from step to step, so that the prompt's beginning is.
    allowed: names of those that it may call now; None: all. may_reply: whether text alone is an
    answer. agent_id: whose prompt it is; prompts of one agent begin alike, so what was computed for
    one is kept for its next. temperature: of this answer; None: the model's own.
    """

    messages: tuple[ChatMessage, ...]
    tools: tuple[ToolSpec, ...] = ()
    allowed: frozenset[str] | None = None
    may_reply: bool = True
    agent_id: str = ""
    temperature: float | None = None

    @property
    def callable_tools(self) -> tuple[ToolSpec, ...]:
        """The tools that may be called now."""
        if self.allowed is None:
            return self.tools
        return tuple(tool for tool in self.tools if tool.name in self.allowed)


@dataclass(frozen=True, slots=True)
class Reply:
    """Plain text: the turn is over."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolCalls:
    """Calls to run before the model goes on; never empty. `text` is what was said beside them."""

    calls: tuple[ToolCall, ...]
    text: str = ""


MalformedKind = Literal["reply", "call", "no_call", "cut"]
"""no_call: a tool had to be called. cut: by the token limit."""


@dataclass(frozen=True, slots=True)
class Malformed:
    """Output that is neither a reply nor a valid call, e.g. cut by the token limit."""

    text: str
    problem: str
    kind: MalformedKind = "reply"


Parsed = Reply | ToolCalls | Malformed


@dataclass(frozen=True, slots=True)
class Completion:
    """A model's answer to one prompt and what it cost, in tokens.

    cached_tokens: how many of the prompt's were not computed again.
    """

    parsed: Parsed
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What a loaded model is.

    context_tokens: the whole window, prompt and reply together. limited_by: what kept it from being
    larger: `default`, `setting`, `trained` or `memory`; empty: not known.
    """

    name: str
    context_tokens: int
    limited_by: str = ""


@dataclass(frozen=True, slots=True)
class Measure:
    """Token counts by the model's own tokenizer.

    head_tokens: the rendered prompt of system message and tools with an empty user message.
    text_tokens: each text by itself, in the order given.
    message_tokens: an upper bound of what the chat template adds around one message.
    """

    head_tokens: int
    text_tokens: tuple[int, ...]
    message_tokens: int


OnText = Callable[[str], Awaitable[None]]
"""Called, now and then while a model writes a reply, with the reply so far."""


class ChatModel(Protocol):
    """Answers prompts. Methods may load the model first; all raise agent.errors.ModelError."""

    async def describe(self) -> ModelInfo:
        """Load the model when it is not loaded and say what it is."""

    async def measure(
        self, system: str, tools: Sequence[ToolSpec], texts: Sequence[str]
    ) -> Measure:
        """Count tokens with the model's own tokenizer; see Measure."""

    async def complete(
        self, prompt: Prompt, max_tokens: int, on_text: OnText | None = None
    ) -> Completion:
        """Answer within max_tokens.

        Cancelling the call stops the generation. A prompt that, with max_tokens, exceeds the window
        is refused before anything is computed.

        Raises:
            PromptTooLong: with both numbers; nothing was cut.
            ModelError: the model is missing, unreadable, crashed or hung.
        """
