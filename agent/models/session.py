"""What a worker does with its model: load it, count tokens, answer prompts.

Puts the parts together: transcript.py and chat_template.py make the text, tool_grammar.py says
what may follow, engine.py and decoding.py compute. The raw text goes back to the server, which
reads it (parse.py) and trusts none of it.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import llama_cpp

from agent.errors import (
    ModelUnavailable,
    PromptTooLong,
    ReplyRoomTooSmall,
    ToolSchemaInvalid,
)
from agent.model import ChatMessage, Measure, Prompt, ToolSpec
from agent.models.chat_template import ChatTemplate, Defuser, call_style
from agent.models.context_size import free_memory_bytes
from agent.models.decoding import (
    Decoder,
    Grammar,
    GrammarRefused,
    LimitTooSmall,
    OnText,
    Output,
    Sampler,
)
from agent.models.engine import Engine, EngineSettings
from agent.models.prefixes import Prefixes
from agent.models.state_files import StateFiles, model_fingerprint
from agent.models.tool_grammar import Marker, Markers, output_grammar
from agent.models.transcript import (
    CallStyle,
    message_text,
    render_messages,
    template_tools,
)
from memory.records import ToolCall

_SAMPLE_CALL = ToolCall("call_0", "f", {"a": "b"})
_SAMPLE_TOOL = ToolSpec("f", "d", {"type": "object", "properties": {"a": {"type": "string"}}})
# Two texts joined can tokenise to a token or two more than each alone.
_JOINT_TOKENS = 2
# States of agents that wait for their turn; more go to disk.
_STATES_SHARE_OF_FREE_MEMORY = 0.125
_STATES_BYTES = 1024 * 1024 * 1024  # where the system does not say what is free


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """How to open and sample a model; chat_template replaces the one in the file.

    state_directory: where computed prefixes outlive the worker; None: nowhere.
    """

    engine: EngineSettings
    chat_template: str | None = None
    temperature: float = 0.0
    seed: int = 0
    state_directory: Path | None = None
    state_limit_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """A generated text, the length of its prompt and how much of that was there already."""

    output: Output
    prompt_tokens: int
    cached_tokens: int


class Session:
    """A loaded model that answers prompts.

    Raises from its constructor ModelFileInvalid or ModelUnavailable.
    """

    def __init__(
        self, path: Path, settings: SessionSettings, should_stop: Callable[[], bool]
    ) -> None:
        self._engine = Engine(path, settings.engine, should_stop)
        source = settings.chat_template or self._engine.template_source
        if source is None:
            raise ModelUnavailable(
                f"{str(path)!r} holds no chat template; take an instruction-tuned model whose GGUF"
                " has one (tokenizer.chat_template)"
            )
        self._template = ChatTemplate(
            source, self._engine.token_text("bos"), self._engine.token_text("eos")
        )
        self._decoder = Decoder(self._engine, Sampler(settings.temperature, settings.seed))
        self._defuser = Defuser(self._control_texts(source))
        self._markers = Markers(
            *map(self._marker, ("<tool_call>", "</tool_call>")),
            *map(self._marker, ("<think>", "</think>")),
        )
        self._prefixes = _prefixes(path, settings, self._engine)
        self.style = self._probe_style(source)
        self.message_tokens = max(self._overheads()) + _JOINT_TOKENS

    @property
    def context_tokens(self) -> int:
        """The whole window."""
        return self._engine.context_tokens

    @property
    def limited_by(self) -> str:
        """What kept the window from being larger; see agent.model.ModelInfo."""
        return self._engine.limited_by

    def save_states(self, go_on: Callable[[], bool]) -> None:
        """Write to disk what would be lost with the worker, as long as go_on says so."""
        self._prefixes.save_all(go_on)

    def forget(self, agent_id: str) -> None:
        """Keep nothing that was computed for an agent."""
        self._prefixes.forget(agent_id)

    def measure(self, system: str, tools: tuple[ToolSpec, ...], texts: Sequence[str]) -> Measure:
        """Count tokens; see agent.model.Measure.

        In json style a text counts as it stands in a JSON string when that is more, for that is how
        the model's own replies are shown to it.
        """
        opening = ChatMessage("system", system), ChatMessage("user", "")
        return Measure(
            head_tokens=len(self._prompt_tokens(Prompt(opening, tools))),
            text_tokens=tuple(self._text_tokens(text) for text in texts),
            message_tokens=self.message_tokens,
        )

    def complete(self, prompt: Prompt, max_tokens: int, on_text: OnText | None = None) -> Answer:
        """Answer a prompt.

        Args:
            on_text: told the output so far, now and then.

        Raises:
            PromptTooLong, ReplyRoomTooSmall: before anything is computed.
            ToolSchemaInvalid: a tool cannot be turned into a grammar.
            agent.models.engine.Stopped: asked to stop.
        """
        tokens = self._prompt_tokens(prompt)
        limit = self.context_tokens - max_tokens
        if len(tokens) > limit:
            raise PromptTooLong(len(tokens), limit)
        grammar = self._grammar(prompt, max_tokens)
        prompt_tokens, cached = self._prefixes.prefill(prompt.agent_id, tokens, limit)
        try:
            output = self._decoder.generate(grammar, max_tokens, prompt.temperature, on_text)
        except GrammarRefused as error:
            raise ModelUnavailable(f"the grammar of the tools failed: {error}") from None
        return Answer(output, prompt_tokens, cached)

    def _grammar(self, prompt: Prompt, max_tokens: int) -> Grammar:
        try:
            grammar = self._decoder.compile(output_grammar(prompt, self.style, self._markers))
            self._decoder.check_limit(grammar, max_tokens)
        except GrammarRefused as error:
            raise self._blame(prompt.tools, str(error)) from None
        except LimitTooSmall as error:
            raise ReplyRoomTooSmall(error.needed, max_tokens) from None
        return grammar

    def _blame(self, tools: Sequence[ToolSpec], problem: str) -> ToolSchemaInvalid:
        """Find the tool whose grammar is refused by itself."""
        for tool in tools:
            try:
                self._decoder.compile(
                    output_grammar(Prompt((), (tool,)), self.style, self._markers)
                )
            except GrammarRefused as error:
                return ToolSchemaInvalid(tool.name, str(error).splitlines()[0])
        return ToolSchemaInvalid(", ".join(t.name for t in tools), problem.splitlines()[0])

    def _prompt_tokens(self, prompt: Prompt) -> list[int]:
        return self._engine.tokenize_prompt(self._render(prompt, self.style))

    def _render(self, prompt: Prompt, style: CallStyle) -> str:
        messages = [
            {**self._defuser.object(message), "role": message["role"]}
            for message in render_messages(prompt, style)
        ]
        tools = [self._defuser.object(tool) for tool in template_tools(prompt.tools, style)]
        # Templates test for tools in two ways: `if tools` and `is not none`.
        return self._template.render(messages, tools or None)

    def _text_tokens(self, text: str) -> int:
        forms = [text]
        if self.style == "json":
            forms.append(json.dumps(text, ensure_ascii=False)[1:-1])
        defused = (self._defuser.text(form) for form in forms)
        return max(len(self._engine.tokenize(form, special=False)) for form in defused)

    def _marker(self, text: str) -> Marker:
        tokens = self._engine.tokenize(text, special=True)
        single = len(tokens) == 1 and self._decoder.is_special(tokens[0])
        return Marker(text, tokens[0] if single else None)

    def _control_texts(self, source: str) -> list[str]:
        vocabulary = self._engine.vocabulary
        control = vocabulary.tokens_with(llama_cpp.LLAMA_TOKEN_ATTR_CONTROL)
        added = vocabulary.tokens_with(llama_cpp.LLAMA_TOKEN_ATTR_USER_DEFINED)
        texts = [vocabulary.pieces[t].decode("utf-8", "replace") for t in control + added]
        # Added tokens may be plain markup, <table> in Gemma: only what the template uses counts.
        return texts[: len(control)] + [
            text for text in texts[len(control) :] if text.strip() and text in source
        ]

    def _probe_style(self, source: str) -> CallStyle:
        """Choose the style, and find out now whether the template takes what we will send."""
        if call_style(source) == "native":
            try:
                if not self._left_out("native"):
                    return "native"
            except ModelUnavailable:
                pass  # it knows tools, but not their results: json style needs neither
        if missing := self._left_out("json"):
            raise ModelUnavailable(
                f"the model's chat template leaves out messages ({', '.join(missing)});"
                " use a model whose template shows the system message and every turn"
            )
        return "json"

    def _left_out(self, style: CallStyle) -> list[str]:
        rendered = self._render(_conversation(), style)
        return [m.content for m in _conversation().messages if m.content not in rendered]

    def _overheads(self) -> list[int]:
        """What the template adds around each message, by rendering a conversation in steps."""
        messages = _conversation().messages
        lengths = [
            len(self._prompt_tokens(Prompt(messages[:count], (_SAMPLE_TOOL,))))
            for count in range(2, len(messages) + 1)
        ]
        texts = [self._text_tokens(message_text(message)) for message in messages[2:]]
        steps = zip(lengths, lengths[1:], texts, strict=False)
        return [after - before - text for before, after, text in steps]


def _prefixes(path: Path, settings: SessionSettings, engine: Engine) -> Prefixes:
    free = free_memory_bytes()
    limit = _STATES_BYTES if free is None else int(free * _STATES_SHARE_OF_FREE_MEMORY)
    directory = settings.state_directory
    if directory is None or not settings.state_limit_bytes:
        return Prefixes(engine, None, limit)
    fingerprint = model_fingerprint(path, engine.state_kind)
    files = StateFiles(directory, settings.state_limit_bytes, fingerprint)
    return Prefixes(engine, files, limit)


def _conversation() -> Prompt:
    messages = (
        ChatMessage("system", "system text"),
        ChatMessage("user", "first question"),
        ChatMessage("assistant", "", (_SAMPLE_CALL,)),
        ChatMessage("tool", "tool result", tool_call_id=_SAMPLE_CALL.id),
        ChatMessage("assistant", "an answer"),
        ChatMessage("user", "next question"),
    )
    return Prompt(messages, (_SAMPLE_TOOL,))
