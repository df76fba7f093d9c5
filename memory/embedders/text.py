"""Text on its way into a tokenizer: made acceptable to it, and cut to what a model sees whole.

Pure functions over strings; the tokenizer arrives as an argument. Used by minilm.py and
hub_model.py.
"""

import re
from collections.abc import Callable, Sequence
from typing import TypeAlias

Offsets: TypeAlias = Sequence[tuple[int, int]]
"""Start and end of each word piece, in characters of the text, without special tokens."""

_LONE_SURROGATES = re.compile("[\ud800-\udfff]")

# Best first. Only marks that every tokenizer takes for the end of a word.
_BOUNDARIES = (("\n\n",), ("\n",), (". ", "! ", "? ", "。", "！", "？"), (" ", "\t"))  # noqa: RUF001

# A word piece of English prose is 4 to 5 characters: the first window mostly holds a piece.
_FIRST_WINDOW_CHARS_PER_TOKEN = 8


def without_surrogates(text: str) -> str:
    """Replace lone surrogates, which no tokenizer takes, by U+FFFD; the length stays."""
    return _LONE_SURROGATES.sub("\ufffd", text)


def split_text(text: str, limit_tokens: int, word_pieces: Callable[[str], Offsets]) -> list[str]:
    """Cut a text into pieces of at most limit_tokens word pieces; never none.

    Cuts after the last paragraph, else line, else sentence, else word that ends in the second
    half of what fits; else between two word pieces. The pieces, joined, are the text.
    Linear in the text: it reads a window at a time, about twice as long as the piece it gives.
    """
    acceptable = without_surrogates(text)
    pieces, start = [], 0
    window_chars = limit_tokens * _FIRST_WINDOW_CHARS_PER_TOKEN
    while True:
        length = _piece_chars(acceptable, start, window_chars, limit_tokens, word_pieces)
        pieces.append(text[start : start + length])
        start += length
        if start >= len(text):
            return pieces
        # Chinese has a word piece per character, spaces none: the last piece is the best guess.
        window_chars = 2 * length


def _piece_chars(
    text: str,
    start: int,
    window_chars: int,
    limit_tokens: int,
    word_pieces: Callable[[str], Offsets],
) -> int:
    """Return how many characters from start make the next piece; 0 only at the end."""
    while True:
        window = text[start : start + window_chars]
        offsets = word_pieces(window)
        if len(offsets) > limit_tokens:
            break
        if start + window_chars >= len(text):
            return len(window)
        window_chars *= 2
    length = _last_boundary(window, offsets[limit_tokens][0])
    # A cut inside a word can make more word pieces of its two halves than it had whole.
    while length > 1 and (count := len(word_pieces(window[:length]))) > limit_tokens:
        length = _last_boundary(window, min(length - 1, length * limit_tokens // count))
    return length


def _last_boundary(window: str, stop: int) -> int:
    """Return the best place to cut in the second half of window[:stop]; stop if there is none."""
    for marks in _BOUNDARIES:
        ends = [
            found + len(mark)
            for mark in marks
            if (found := window.rfind(mark, stop // 2, stop)) >= 0
        ]
        if ends:
            return max(ends)
    return max(1, stop)
