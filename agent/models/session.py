"""What a worker does with its model in llama-cpp-python: load it, count tokens, answer prompts.

Puts the parts together: chat.py makes the text and says how calls are written, tool_grammar.py says
what may follow, engine.py and decoding.py compute. The raw text goes back to the server, which
reads it (parse.py) and trusts none of it. xllama_session.py is the same for the other engine.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import llama_cpp

from agent.errors import ModelUnavailable, PromptTooLong, ReplyRoomTooSmall
from agent.model import Measure, Prompt, ToolSpec
from agent.models.answer import Answer
from agent.models.chat import Chat
from agent.models.chat_template import ChatTemplate
from agent.models.context_size import free_memory_bytes
from agent.models.counting import Counter
from agent.models.decoding import (
    Decoder,
    Grammar,
    GrammarRefused,
    LimitTooSmall,
    OnText,
    Sampler,
)
from agent.models.engine import Engine, EngineSettings
from agent.models.formats.call_format import Markers
from agent.models.formats.table import ALL_MARKERS
from agent.models.prefixes import Prefixes
from agent.models.state_files import StateFiles, model_fingerprint
from agent.models.tool_grammar import blamed_tool, output_grammar
from agent.models.transcript import CallStyle

# States of agents that wait for their turn; more go to disk.
_STATES_SHARE_OF_FREE_MEMORY = 0.125
_STATES_BYTES = 1024 * 1024 * 1024  # where the system does not say what is free


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """How to open and sample a model; chat_template and call_style replace what the file says.

    state_directory: where computed prefixes outlive the worker; None: nowhere.
    """

    engine: EngineSettings
    chat_template: str | None = None
    call_style: CallStyle | None = None
    temperature: float = 0.0
    seed: int = 0
    state_directory: Path | None = None
    state_limit_bytes: int = 0


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
        self._chat = Chat(template, self._control_texts(source), settings.call_style)
        self._counter = Counter(
            self._chat,
            engine.tokenize_prompt,
            lambda text: len(engine.tokenize(text, special=False)),
        )
        self._markers = Markers(self._marker_tokens())
        self._prefixes = _prefixes(path, settings, engine)
        self.style = self._chat.style

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
        """Count tokens; see agent.model.Measure."""
        return self._counter.measure(system, tools, texts)

    def complete(self, prompt: Prompt, max_tokens: int, on_text: OnText | None = None) -> Answer:
        """Answer a prompt.

        Args:
            on_text: told the output so far, now and then.

        Raises:
            PromptTooLong, ReplyRoomTooSmall: before anything is computed.
            ToolSchemaInvalid: a tool cannot be turned into a grammar.
            agent.models.stopping.Stopped: asked to stop.
        """
        tokens = self._counter.prompt_tokens(prompt)
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
            raise blamed_tool(prompt.tools, self.style, str(error), self._refusal) from None
        except LimitTooSmall as error:
            raise ReplyRoomTooSmall(error.needed, max_tokens) from None
        return grammar

    def _refusal(self, grammar: str) -> str | None:
        try:
            self._decoder.compile(grammar)
        except GrammarRefused as error:
            return str(error)
        return None

    def _control_texts(self, source: str) -> list[str]:
        vocabulary = self._engine.vocabulary
        control = vocabulary.tokens_with(llama_cpp.LLAMA_TOKEN_ATTR_CONTROL)
        added = vocabulary.tokens_with(llama_cpp.LLAMA_TOKEN_ATTR_USER_DEFINED)
        texts = [vocabulary.pieces[t].decode("utf-8", "replace") for t in control + added]
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


def _prefixes(path: Path, settings: SessionSettings, engine: Engine) -> Prefixes:
    free = free_memory_bytes()
    limit = _STATES_BYTES if free is None else int(free * _STATES_SHARE_OF_FREE_MEMORY)
    directory = settings.state_directory
    if directory is None or not settings.state_limit_bytes:
        return Prefixes(engine, None, limit)
    fingerprint = model_fingerprint(path, engine.state_kind)
    files = StateFiles(directory, settings.state_limit_bytes, fingerprint)
    return Prefixes(engine, files, limit)
