"""Generation under a grammar: at each step only tokens the grammar allows can be chosen.

llguidance computes the allowed set (some hundredths of a millisecond per token, whatever the number
of tools); what the grammar looks like is decided in tool_grammar.py. Near the token limit what is
open is closed (closing.py), so that a call is whole or was never begun.
"""

import codecs
import ctypes
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import llama_cpp
import llguidance
import llguidance.numpy
import numpy as np
import numpy.typing as npt

from agent.models.answer import Output
from agent.models.closing import Closer
from agent.models.engine import Engine
from agent.models.vocabulary import Vocabulary

_KEPT_GRAMMARS = 8
# Of the tokens left beyond those needed to close, the part that goes by until that is looked at
# again. Each look costs about as much as a token of a small model.
_LOOK_AFTER = 4
_PLENTY = 4096

OnText = Callable[[str], None]


class GrammarRefused(Exception):
    """The grammar engine does not take this grammar."""


class LimitTooSmall(Exception):
    """No answer that the grammar takes fits the token limit; `needed` tokens would do."""

    def __init__(self, needed: int) -> None:
        self.needed = needed
        super().__init__(f"the shortest answer needs {needed} tokens")


@dataclass(frozen=True, slots=True)
class Grammar:
    """A compiled grammar.

    shortest: tokens of a short answer; None: none was found, which does not say that there is
    none. literals: what closing.py may try.
    """

    start: llguidance.LLMatcher
    shortest: Sequence[int] | None
    literals: tuple[tuple[int, ...], ...]


class Sampler:
    """Chooses among allowed tokens: the likeliest at temperature 0, else by chance with a seed."""

    def __init__(self, temperature: float, seed: int) -> None:
        self._temperature = temperature
        self._random = np.random.default_rng(seed)

    def choose(
        self,
        logits: npt.NDArray[np.float32],
        is_allowed: Callable[[int], bool],
        allowed: Callable[[], npt.NDArray[np.bool_]],
        temperature: float | None = None,
    ) -> int:
        """Choose one id; at least one must be allowed. A NaN counts as the lowest score.

        What is chosen among all tokens is mostly allowed, and asking that of one is cheap; only
        else all that are allowed are asked for. The chances are the same: those of the allowed.
        """
        heat = self._temperature if temperature is None else temperature
        if heat <= 0:
            likeliest = int(np.argmax(logits))
            if not np.isnan(logits[likeliest]) and is_allowed(likeliest):
                return likeliest
            return _likeliest(logits, np.flatnonzero(allowed()))
        scores = np.nan_to_num(logits, nan=-1e30)
        drawn = self._draw(scores, heat)
        if is_allowed(drawn):
            return drawn
        ids = np.flatnonzero(allowed())
        return int(ids[self._draw(scores[ids], heat)])

    def _draw(self, scores: npt.NDArray[np.float32], heat: float) -> int:
        sums = np.cumsum(np.exp((scores - scores.max()) / heat), dtype=np.float64)
        place = np.searchsorted(sums, self._random.random() * sums[-1], side="right")
        return int(min(place, len(scores) - 1))


def _likeliest(logits: npt.NDArray[np.float32], ids: npt.NDArray[np.int64]) -> int:
    scores = logits[ids]
    place = int(np.argmax(scores))  # the first NaN, if there is one
    if np.isnan(scores[place]):
        place = int(np.argmax(np.nan_to_num(scores, nan=-np.inf)))
    return int(ids[place])


@dataclass(frozen=True, slots=True)
class _Good:
    """A place in what was generated from where it can be closed within the limit."""

    matcher: llguidance.LLMatcher
    count: int
    closing: Sequence[int]


class _Run:
    """One generation: what was written, and when to look whether it can be closed.

    Attributes:
        good: the last place found from where it can; None: none is known.
    """

    def __init__(self, grammar: Grammar, max_tokens: int, good: _Good | None) -> None:
        self.grammar, self.max_tokens, self.good = grammar, max_tokens, good
        self.matcher = grammar.start.deep_copy()
        self.written: list[int] = []
        self.text = ""
        self._decoder = _decoder()
        self.look_at = self.next_look()

    def take(self, token: int, piece: bytes) -> None:
        """Write one token more.

        Raises:
            GrammarRefused: the matcher failed.
        """
        if not self.matcher.consume_token(token):
            raise GrammarRefused(self.matcher.get_error())
        self.written.append(token)
        self.text += self._decoder.decode(piece)

    def known_closings(self, count: int) -> Iterator[Sequence[int]]:
        """Give what may close it after `count` tokens, going by what did earlier."""
        if self.good is not None:
            yield self.good.closing
            since = self.written[self.good.count : count]
            if since == list(self.good.closing[: len(since)]):
                yield self.good.closing[len(since) :]

    def next_look(self) -> int:
        """Give the number of tokens after which to look again: the nearer the limit the sooner."""
        needed = 0 if self.good is None else len(self.good.closing)
        free = self.max_tokens - len(self.written) - needed
        return len(self.written) + max(free // _LOOK_AFTER, 1)


class Decoder:
    """Generates with one model; compiles grammars and keeps the last few."""

    def __init__(self, engine: Engine, sampler: Sampler) -> None:
        self._engine = engine
        self._sampler = sampler
        self._ends = engine.vocabulary.ends
        # Half a second for a vocabulary of 150,000: once per model.
        self._tokenizer = _tokenizer(engine.vocabulary)
        self._closer = Closer(engine.vocabulary, self._tokenizer.greedy_tokenize)
        self._grammars: dict[str, Grammar] = {}
        self._mask = llguidance.numpy.allocate_token_bitmask(1, engine.vocabulary.size)

    def is_special(self, token: int) -> bool:
        """Say whether the grammar engine holds a token for special: text cannot contain it."""
        return bool(self._tokenizer.is_special_token(token))

    def compile(self, source: str) -> Grammar:
        """Make a grammar ready for use.

        Raises:
            GrammarRefused: with the engine's reason.
        """
        if source not in self._grammars:
            matcher = llguidance.LLMatcher(
                self._tokenizer, llguidance.LLMatcher.grammar_from_lark(source), log_level=0
            )
            if matcher.is_error():
                raise GrammarRefused(matcher.get_error())
            literals = self._closer.literals(source)
            shortest = self._closer.close(matcher, _PLENTY, literals)
            if len(self._grammars) >= _KEPT_GRAMMARS:
                del self._grammars[next(iter(self._grammars))]
            self._grammars[source] = Grammar(matcher, shortest, literals)
        return self._grammars[source]

    def check_limit(self, grammar: Grammar, max_tokens: int) -> Sequence[int] | None:
        """Give the tokens of an answer within the limit; None where it is not known.

        Raises:
            LimitTooSmall: there is none.
        """
        if grammar.shortest is None or len(grammar.shortest) <= max_tokens:
            return grammar.shortest
        shorter = self._closer.close(grammar.start, max_tokens, grammar.literals, thorough=True)
        if shorter is None:
            raise LimitTooSmall(len(grammar.shortest))
        return shorter

    def generate(
        self,
        grammar: Grammar,
        max_tokens: int,
        temperature: float | None = None,
        on_text: OnText | None = None,
    ) -> Output:
        """Continue the prompt that the engine has computed.

        Args:
            temperature: instead of the sampler's own.
            on_text: told the text so far after each token.

        Raises:
            agent.models.stopping.Stopped: asked to stop.
            GrammarRefused: the matcher failed on the way, e.g. at its limits.
            LimitTooSmall: see check_limit.
        """
        run = _Run(grammar, max_tokens, self._good_start(grammar, max_tokens))
        while len(run.written) < max_tokens:
            token = self._choose(run.matcher, temperature)
            if token in self._ends:
                return Output(run.text, len(run.written) + 1, cut=False)
            run.take(token, self._engine.vocabulary.pieces[token])
            if run.matcher.is_stopped():
                return Output(run.text, len(run.written), cut=False)
            if not self._stays_closable(run):
                return self._close(run)
            if on_text is not None:
                on_text(run.text)
            if len(run.written) < max_tokens:
                self._engine.advance([token])
        return Output(run.text, len(run.written), cut=True)

    def _good_start(self, grammar: Grammar, max_tokens: int) -> _Good | None:
        closing = self.check_limit(grammar, max_tokens)
        return None if closing is None else _Good(grammar.start.deep_copy(), 0, closing)

    def _stays_closable(self, run: "_Run") -> bool:
        """Look now and then whether what is open can be closed within the limit."""
        if len(run.written) < run.look_at:
            return True
        found = self._good(run, run.matcher, len(run.written))
        if found is None and run.good is not None:
            return False
        run.good = found
        run.look_at = run.next_look()
        return True

    def _choose(self, matcher: llguidance.LLMatcher, temperature: float | None) -> int:
        return self._sampler.choose(
            self._engine.logits(),
            lambda token: matcher.validate_tokens([token]) == 1,
            lambda: self._allowed(matcher),
            temperature,
        )

    def _good(self, run: "_Run", matcher: llguidance.LLMatcher, count: int) -> _Good | None:
        left = run.max_tokens - count
        for known in run.known_closings(count):
            # What closed it a token ago does so mostly, still.
            if len(known) <= left and self._closer.closes(matcher, known):
                return _Good(matcher.deep_copy(), count, known)
        closing = self._closer.close(matcher, left, run.grammar.literals)
        return None if closing is None else _Good(matcher.deep_copy(), count, closing)

    def _close(self, run: "_Run") -> Output:
        """End what was written at a late place from where it can be closed, and close it."""
        good, too_late = run.good, len(run.written)
        assert good is not None, "else there is nothing to go back to"  # noqa: S101
        while too_late - good.count > 1:
            middle = (good.count + too_late) // 2
            matcher = good.matcher.deep_copy()
            matcher.consume_tokens(run.written[good.count : middle])
            found = self._good(run, matcher, middle)
            if found is None:
                too_late = middle
            else:
                good = found
        whole = [*run.written[: good.count], *good.closing]
        data = b"".join(self._engine.vocabulary.pieces[token] for token in whole)
        invented = not self._closer.only_ends(good.closing)
        return Output(_decoder().decode(data), len(whole), cut=True, invented=invented)

    def _allowed(self, matcher: llguidance.LLMatcher) -> npt.NDArray[np.bool_]:
        llguidance.numpy.fill_next_token_bitmask(matcher, self._mask)
        if matcher.is_error():
            raise GrammarRefused(matcher.get_error())
        bits = np.unpackbits(self._mask.view(np.uint8)[0], bitorder="little")
        return bits[: self._engine.vocabulary.size].view(np.bool_)


def _tokenizer(vocabulary: Vocabulary) -> llguidance.LLTokenizer:
    """As llguidance.llamacpp makes it, from pieces that are there already: in a third of the time.

    A special token begins with 0xff, so that text cannot contain it.
    """
    control = set(vocabulary.tokens_with(llama_cpp.LLAMA_TOKEN_ATTR_CONTROL))
    tokens = list(vocabulary.pieces)
    for token in vocabulary.special:
        if token in control or (tokens[token][:1] == b"<" and tokens[token][-1:] == b">"):
            tokens[token] = b"\xff" + tokens[token]
    tokenize = ctypes.cast(llama_cpp.llama_cpp._lib.llama_tokenize, ctypes.c_void_p)
    return llguidance.LLTokenizer.from_llamacpp(
        tokens=tokens,
        vocab_ptr=vocabulary.pointer,
        tokenize_fptr=tokenize.value,
        eos_token=sorted(vocabulary.ends) or llama_cpp.llama_vocab_eos(vocabulary.pointer),
        slices=None,
    )


def _decoder() -> codecs.IncrementalDecoder:
    """Never told the end: half a character at a cut is dropped."""
    return codecs.getincrementaldecoder("utf-8")("replace")
