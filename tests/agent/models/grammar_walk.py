"""Grammars without a model: a small vocabulary, and walks through whatever a grammar allows."""

import random
import re
from dataclasses import dataclass
from typing import Any

import llguidance
import llguidance.numpy
import numpy as np

from agent.models.formats.call_format import Markers
from agent.models.formats.table import ALL_MARKERS

_BYTES = [bytes([byte]) for byte in range(256)]
# Closing a text by chance, a byte at a time, would take for ever.
_PIECES = [
    b"\n</parameter>\n",
    b"</function>",
    b'"}',
    b'"]',
    b"\n",
    "ü".encode(),
    b"false",
    b"[ARGS]",
]
_END = b"\xff<end>"
STEPS = 4000
_MARKERS = re.compile("(" + "|".join(map(re.escape, sorted(ALL_MARKERS))) + ")")


@dataclass(frozen=True)
class Vocabulary:
    """Tokens, and the markers that are special among them."""

    tokens: list[bytes]
    markers: Markers
    grammar_tokens: llguidance.LLTokenizer

    @classmethod
    def make(cls, *, special: bool) -> "Vocabulary":
        """Give a vocabulary in which markers are special tokens, or ordinary ones."""
        names = sorted(ALL_MARKERS)
        prefix = b"\xff" if special else b""
        tokens = [*_BYTES, *_PIECES, *(prefix + name.encode() for name in names), _END]
        first = len(_BYTES) + len(_PIECES)
        ids = {name: first + index for index, name in enumerate(names)} if special else {}
        wrapped = llguidance.TokenizerWrapper(_Tokens(tokens))
        return cls(tokens, Markers(ids), llguidance.LLTokenizer(wrapped))

    def matcher(self, grammar: str) -> Any:
        matcher = llguidance.LLMatcher(
            self.grammar_tokens, llguidance.LLMatcher.grammar_from_lark(grammar), log_level=0
        )
        assert not matcher.is_error(), f"{matcher.get_error()}\n{grammar}"
        return matcher

    def accepts(self, grammar: str, text: str) -> bool:
        """Say whether the text is a whole output under the grammar."""
        matcher = self.matcher(grammar)
        tokens = self._tokenize(text)
        return (
            matcher.validate_tokens(tokens) == len(tokens)
            and all(matcher.consume_token(token) for token in tokens)
            and (matcher.is_accepting() or matcher.is_stopped())
        )

    def _tokenize(self, text: str) -> list[int]:
        parts = _MARKERS.split(text) if self.markers.tokens else [text]
        tokens: list[int] = []
        for part in parts:
            special = self.markers.of(part).token
            tokens += list(part.encode()) if special is None else [special]
        return tokens

    def walk(self, grammar: str, seed: int) -> str | None:
        """Write at random what the grammar allows; None: it came to no end."""
        matcher, chance = self.matcher(grammar), random.Random(seed)  # noqa: S311
        mask = llguidance.numpy.allocate_token_bitmask(1, len(self.tokens))
        written = b""
        for _ in range(STEPS):
            llguidance.numpy.fill_next_token_bitmask(matcher, mask)
            assert not matcher.is_error(), matcher.get_error()
            bits = np.unpackbits(mask.view(np.uint8)[0], bitorder="little")
            allowed = np.flatnonzero(bits[: len(self.tokens)]).tolist()
            long = [token for token in allowed if token >= len(_BYTES) or token == ord('"')]
            token = chance.choice(long if long and chance.random() < 0.3 else allowed)
            if self.tokens[token] == _END:
                break
            written += self.tokens[token].removeprefix(b"\xff")
            assert matcher.consume_token(token), matcher.get_error()
            if matcher.is_stopped():
                break
        else:
            return None
        return written.decode("utf-8", "replace")


class _Tokens:
    """What llguidance asks of a tokenizer."""

    bos_token_id = None

    def __init__(self, tokens: list[bytes]) -> None:
        self.tokens = tokens
        self.eos_token_id = tokens.index(_END)
        self.special_token_ids = [
            i for i, token in enumerate(tokens) if token[:1] == b"\xff" and len(token) > 1
        ]

    def __call__(self, data: bytes) -> list[int]:
        return list(data)
