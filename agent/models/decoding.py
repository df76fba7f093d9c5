"""Generation under a grammar: at each step only tokens the grammar allows can be chosen.

llguidance computes the allowed set (about 0.3 ms per token, whatever the number of tools); what the
grammar looks like is decided in tool_grammar.py.
"""

import codecs
from dataclasses import dataclass

import llguidance
import llguidance.llamacpp
import llguidance.numpy
import numpy as np
import numpy.typing as npt

from agent.models.engine import Engine

_KEPT_GRAMMARS = 8


class GrammarRefused(Exception):
    """The grammar engine does not take this grammar."""


@dataclass(frozen=True, slots=True)
class Output:
    """What was generated. `cut` says that the token limit ended it."""

    text: str
    tokens: int
    cut: bool


class Sampler:
    """Chooses among allowed tokens: the likeliest at temperature 0, else by chance with a seed."""

    def __init__(self, temperature: float, seed: int) -> None:
        self._temperature = temperature
        self._random = np.random.default_rng(seed)

    def choose(self, logits: npt.NDArray[np.float32], allowed: npt.NDArray[np.bool_]) -> int:
        """Choose one id; at least one must be allowed. A NaN counts as the lowest score."""
        if self._temperature <= 0:
            likeliest = int(np.argmax(logits))
            if allowed[likeliest]:
                return likeliest
        ids = np.flatnonzero(allowed)
        scores = np.nan_to_num(logits[ids].astype(np.float64), nan=-1e30)
        if self._temperature <= 0:
            return int(ids[np.argmax(scores)])
        weights = np.exp((scores - scores.max()) / self._temperature)
        return int(self._random.choice(ids, p=weights / weights.sum()))


class Decoder:
    """Generates with one model; compiles grammars and keeps the last few."""

    def __init__(self, engine: Engine, sampler: Sampler) -> None:
        self._engine = engine
        self._sampler = sampler
        self._ends = frozenset(engine.end_tokens())
        # Half a second for a vocabulary of 150,000: once per model.
        self._tokenizer = llguidance.llamacpp.lltokenizer_from_vocab(
            engine.vocab, eos_token=sorted(self._ends) or None
        )
        self._matchers: dict[str, llguidance.LLMatcher] = {}
        self._mask = llguidance.numpy.allocate_token_bitmask(1, engine.vocab_tokens)

    def is_special(self, token: int) -> bool:
        """Say whether the grammar engine holds a token for special: text cannot contain it."""
        return bool(self._tokenizer.is_special_token(token))

    def compile(self, grammar: str) -> llguidance.LLMatcher:
        """Give a fresh matcher for a grammar.

        Raises:
            GrammarRefused: with the engine's reason.
        """
        if grammar not in self._matchers:
            matcher = llguidance.LLMatcher(
                self._tokenizer, llguidance.LLMatcher.grammar_from_lark(grammar), log_level=0
            )
            if matcher.is_error():
                raise GrammarRefused(matcher.get_error())
            if len(self._matchers) >= _KEPT_GRAMMARS:
                del self._matchers[next(iter(self._matchers))]
            self._matchers[grammar] = matcher
        return self._matchers[grammar].deep_copy()

    def generate(self, matcher: llguidance.LLMatcher, max_tokens: int) -> Output:
        """Continue the prompt that the engine has computed.

        Raises:
            agent.models.stopping.Stopped: asked to stop.
            GrammarRefused: the matcher failed on the way, e.g. at its limits.
        """
        # Incremental, and never told the end: half a character at a cut is dropped.
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        text, count = "", 0
        while count < max_tokens:
            token = self._sampler.choose(self._engine.logits(), self._allowed(matcher))
            count += 1
            if token in self._ends:
                return Output(text, count, cut=False)
            text += decoder.decode(self._engine.piece(token, special=True))
            if not matcher.consume_token(token):
                raise GrammarRefused(matcher.get_error())
            if matcher.is_stopped():
                return Output(text, count, cut=False)
            if count < max_tokens:
                self._engine.advance([token])
        return Output(text, count, cut=True)

    def _allowed(self, matcher: llguidance.LLMatcher) -> npt.NDArray[np.bool_]:
        llguidance.numpy.fill_next_token_bitmask(matcher, self._mask)
        if matcher.is_error():
            raise GrammarRefused(matcher.get_error())
        bits = np.unpackbits(self._mask.view(np.uint8)[0], bitorder="little")
        return bits[: self._engine.vocab_tokens].view(np.bool_)
