"""What a worker does with its model in llama-cpp-python: load it, count tokens, answer prompts.

Puts the parts together: chat.py makes the text and says how calls are written, tool_grammar.py says
what may follow, engine.py and decoding.py compute. The raw text goes back to the server, which
reads it (parse.py) and trusts none of it. xllama_session.py is the same for the other engine.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import llama_cpp

from agent.errors import ModelUnavailable, PromptTooLong
from agent.model import Measure, Prompt, ToolSpec
from agent.models.chat import Chat
from agent.models.chat_template import ChatTemplate
from agent.models.counting import Counter
from agent.models.decoding import Decoder, GrammarRefused, Output, Sampler
from agent.models.engine import Engine, EngineSettings
from agent.models.formats.call_format import Markers
from agent.models.formats.table import ALL_MARKERS
from agent.models.tool_grammar import blamed_tool, output_grammar


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """How to open and sample a model; chat_template replaces the one in the file."""

    engine: EngineSettings
    chat_template: str | None = None
    temperature: float = 0.0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """A generated text and the length of its prompt."""

    output: Output
    prompt_tokens: int


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
        engine = self._engine
        template = ChatTemplate(source, engine.token_text("bos"), engine.token_text("eos"))
        self._decoder = Decoder(engine, Sampler(settings.temperature, settings.seed))
        self._chat = Chat(template, self._control_texts(source))
        self._counter = Counter(
            self._chat,
            engine.tokenize_prompt,
            lambda text: len(engine.tokenize(text, special=False)),
        )
        self._markers = Markers(self._marker_tokens())
        self.style = self._chat.style

    @property
    def context_tokens(self) -> int:
        """The whole window."""
        return self._engine.context_tokens

    def measure(self, system: str, tools: tuple[ToolSpec, ...], texts: Sequence[str]) -> Measure:
        """Count tokens; see agent.model.Measure."""
        return self._counter.measure(system, tools, texts)

    def complete(self, prompt: Prompt, max_tokens: int) -> Answer:
        """Answer a prompt.

        Raises:
            PromptTooLong: before anything is computed.
            ToolSchemaInvalid: a tool cannot be turned into a grammar.
            agent.models.stopping.Stopped: asked to stop.
        """
        tokens = self._counter.prompt_tokens(prompt)
        limit = self.context_tokens - max_tokens
        if len(tokens) > limit:
            raise PromptTooLong(len(tokens), limit)
        try:
            matcher = self._decoder.compile(output_grammar(prompt, self.style, self._markers))
        except GrammarRefused as error:
            raise blamed_tool(prompt.tools, self.style, str(error), self._refusal) from None
        self._engine.prefill(tokens)
        return Answer(self._decoder.generate(matcher, max_tokens), len(tokens))

    def _refusal(self, grammar: str) -> str | None:
        try:
            self._decoder.compile(grammar)
        except GrammarRefused as error:
            return str(error)
        return None

    def _control_texts(self, source: str) -> list[str]:
        engine = self._engine
        control = engine.tokens_with(llama_cpp.LLAMA_TOKEN_ATTR_CONTROL)
        added = engine.tokens_with(llama_cpp.LLAMA_TOKEN_ATTR_USER_DEFINED)
        texts = [engine.piece(t, special=True).decode("utf-8", "replace") for t in control + added]
        # Added tokens may be plain markup, <table> in Gemma: only what the template uses counts.
        return texts[: len(control)] + [
            text for text in texts[len(control) :] if text.strip() and text in source
        ]

    def _marker_tokens(self) -> dict[str, int]:
        tokens = {text: self._engine.tokenize(text, special=True) for text in ALL_MARKERS}
        return {
            text: ids[0]
            for text, ids in tokens.items()
            if len(ids) == 1 and self._decoder.is_special(ids[0])
        }
