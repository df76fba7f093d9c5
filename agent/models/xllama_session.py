"""What a worker does with its model in xllamacpp: the same as session.py, by asking a server.

Text, grammar and reading are the same for both engines; the grammar goes to the server, which is
built with llguidance, too. It takes a broken one without a word and generates freely, so grammars
are checked here first. Prompts of several agents are kept in memory by the server, and not on disk.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import llguidance

from agent.errors import ModelUnavailable, PromptTooLong
from agent.model import Measure, Prompt, ToolSpec
from agent.models.answer import Answer, Output
from agent.models.chat import Chat
from agent.models.chat_template import ChatTemplate
from agent.models.context_size import (
    MIN_CONTEXT_TOKENS,
    ContextSize,
    choose_context,
    free_memory_bytes,
    kv_room,
)
from agent.models.counting import Counter
from agent.models.formats.call_format import Markers
from agent.models.formats.table import ALL_MARKERS
from agent.models.gguf_vocabulary import GgufHeader, read_header
from agent.models.tool_grammar import blamed_tool, output_grammar
from agent.models.transcript import CallStyle
from agent.models.xllama_server import LlamaServer, ServerSettings

# Of free memory, for prompts that wait; and no more than anyone would miss.
_CACHE_SHARE, _MOST_CACHE_MIB = 0.25, 4096
_KEPT_GRAMMARS = 8


@dataclass(frozen=True, slots=True)
class XllamaSettings:
    """How to open and sample a model; chat_template and call_style replace what the file says."""

    context_tokens: int | None = None
    threads: int | None = None
    chat_template: str | None = None
    call_style: CallStyle | None = None
    temperature: float = 0.0
    seed: int = 0


class XllamaSession:
    """A loaded model that answers prompts.

    Raises from its constructor ModelFileInvalid or ModelUnavailable.
    """

    def __init__(
        self, path: Path, settings: XllamaSettings, should_stop: Callable[[], bool]
    ) -> None:
        self._settings, self._should_stop = settings, should_stop
        header = read_header(path)
        source = settings.chat_template or header.text("tokenizer.chat_template")
        if source is None:
            raise ModelUnavailable(
                f"{str(path)!r} holds no chat template; take an instruction-tuned model whose GGUF"
                " has one (tokenizer.chat_template)"
            )
        size = _context_size(path, header, settings.context_tokens)
        self.context_tokens, self.limited_by = size.tokens, size.limited_by
        threads = settings.threads or max((os.cpu_count() or 2) // 2, 1)
        self._server = LlamaServer(path, ServerSettings(self.context_tokens, threads, _cache_mib()))
        self._first = self._first_tokens()
        self._controls = sorted(header.controls, key=len, reverse=True)
        template = ChatTemplate(source, header.token_text("bos"), header.token_text("eos"))
        # Added tokens may be plain markup, <table> in Gemma: only what the template uses counts.
        added = [text for text in header.added if text.strip() and text in source]
        self._chat = Chat(template, [*header.controls, *added], settings.call_style)
        self._counter = Counter(
            self._chat,
            self._tokenize_prompt,
            lambda text: len(self._tokenize(text, special=False)),
        )
        self._markers = Markers(self._marker_tokens())
        self._accepted: dict[str, None] = {}
        self._answers = 0
        self.style = self._chat.style

    def measure(self, system: str, tools: tuple[ToolSpec, ...], texts: Sequence[str]) -> Measure:
        """Count tokens; see agent.model.Measure."""
        return self._counter.measure(system, tools, texts)

    def save_states(self, _go_on: Callable[[], bool]) -> None:
        """Do nothing: what was computed is kept in memory only."""

    def forget(self, _agent_id: str) -> None:
        """Do nothing: the server drops a prompt when it needs the room, and all at its end."""

    def complete(
        self, prompt: Prompt, max_tokens: int, on_text: Callable[[str], None] | None = None
    ) -> Answer:
        """Answer a prompt.

        Args:
            on_text: told the output so far, as it grows.

        Raises:
            PromptTooLong: before anything is computed.
            ToolSchemaInvalid: a tool cannot be turned into a grammar.
            agent.models.stopping.Stopped: asked to stop.
        """
        tokens = self._counter.prompt_tokens(prompt)
        limit = self.context_tokens - max_tokens
        if len(tokens) > limit:
            raise PromptTooLong(len(tokens), limit)
        request = self._request(prompt, tokens, max_tokens)
        text, last = "", dict[str, Any]()
        for last in self._server.stream("/completion", request, self._should_stop):
            text += last["content"]
            if on_text is not None and not last["stop"]:
                on_text(text)
        cut = last.get("stop_type") == "limit"
        output = Output(text if cut else self._without_end(text), last["tokens_predicted"], cut)
        return Answer(output, len(tokens), last["timings"]["cache_n"])

    def _request(self, prompt: Prompt, tokens: list[int], max_tokens: int) -> dict[str, Any]:
        own = prompt.temperature
        self._answers += 1
        return {
            "prompt": tokens,
            "n_predict": max_tokens,
            "temperature": self._settings.temperature if own is None else own,
            "seed": self._settings.seed + self._answers,  # else a second try were the first again
            "samplers": ["temperature"],  # the rest would bend the chances
            "grammar": "%llguidance {}\n" + self._grammar(prompt),
            "cache_prompt": True,
        }

    def _grammar(self, prompt: Prompt) -> str:
        grammar = output_grammar(prompt, self.style, self._markers)
        if grammar not in self._accepted:
            if problem := _refusal(grammar):
                raise blamed_tool(prompt.tools, self.style, problem, _refusal)
            if len(self._accepted) >= _KEPT_GRAMMARS:
                del self._accepted[next(iter(self._accepted))]
            self._accepted[grammar] = None
        return grammar

    def _without_end(self, text: str) -> str:
        """Drop the token that ended the output, which the server writes out, too."""
        end = next((control for control in self._controls if text.endswith(control)), "")
        return text.removesuffix(end)

    def _tokenize(self, text: str, *, special: bool, first: bool = False) -> list[int]:
        body = {"content": text, "parse_special": special, "add_special": first}
        tokens: list[int] = self._server.ask("/tokenize", body)["tokens"]
        return tokens

    def _first_tokens(self) -> list[int]:
        """Give the token of the beginning where the model wants one."""
        plain, whole = (self._tokenize("a", special=False, first=first) for first in (False, True))
        return whole[: whole.index(plain[0])]

    def _tokenize_prompt(self, text: str) -> list[int]:
        tokens = self._tokenize(text, special=True)
        return tokens if tokens[: len(self._first)] == self._first else [*self._first, *tokens]

    def _marker_tokens(self) -> dict[str, int]:
        """Find the markers that are control tokens: those that text is never tokenised to."""
        found = {}
        for text in ALL_MARKERS:
            tokens = self._tokenize(text, special=True)
            if len(tokens) == 1 and tokens != self._tokenize(text, special=False):
                found[text] = tokens[0]
        return found


def _refusal(grammar: str) -> str | None:
    problem: str = llguidance.LLMatcher.validate_grammar(
        llguidance.LLMatcher.grammar_from_lark(grammar)
    )
    return problem or None


def _cache_mib() -> int:
    free = free_memory_bytes()
    room = _MOST_CACHE_MIB if free is None else int(free * _CACHE_SHARE) >> 20
    return min(room, _MOST_CACHE_MIB)


def _context_size(path: Path, header: GgufHeader, wanted: int | None) -> ContextSize:
    room = kv_room(free_memory_bytes(), path.stat().st_size)
    trained = header.number("context_length")
    size = choose_context(wanted, trained, room, _kv_bytes_per_token(header))
    if size.tokens < MIN_CONTEXT_TOKENS:
        raise ModelUnavailable(
            f"a window of {size.tokens} tokens is all that the {size.limited_by} allows for"
            f" {str(path)!r}; {MIN_CONTEXT_TOKENS} is the least; raise `context_tokens`, free"
            " memory, or take a smaller model"
        )
    return size


def _kv_bytes_per_token(header: GgufHeader) -> int:
    """Keys and values, two bytes each; the most it can be, where layers differ in heads."""
    heads = max(header.number("attention.head_count"), 1)
    size = header.number("attention.key_length") or header.number("embedding_length") // heads
    shared = header.number("attention.head_count_kv") or heads
    return max(4 * header.number("block_count") * shared * size, 1)
