"""Terms of a text for keyword search: words, lower case, without stop words, stemmed.

One tokenizer for every engine. A term holds no white space, so a list of terms travels to the
database as one space-separated string.
"""

import importlib
import re
import unicodedata
from collections import Counter
from datetime import datetime
from functools import cache, lru_cache
from typing import Any

_WORD = re.compile(r"[^\W_]+")

STOP_WORDS = frozenset(
    "a an and are as at be been but by did do does for from had has have he her hers him his how i"
    " if in into is it its me my of on or our she so that the their them they this to was we were"
    " what when where which who whom why will with would you your about any some there than then s"
    " t m re ve d ll".split()
)
"""English function words and what apostrophes leave behind."""

MAX_TERM_CHARS = 64
"""Longer words are data, not language; they are found by their beginning."""

_MONTHS = (
    "January February March April May June July August September October November December".split()
)
"""Not strftime's, which are those of the machine's locale."""


@cache
def _stemmer() -> Any:
    # Late: it loads the rules of all its languages, and a host waits for its first answer.
    return importlib.import_module("snowballstemmer").stemmer("english")


@lru_cache(maxsize=50_000)
def _stem(word: str) -> str:
    return str(_stemmer().stemWord(word))


def terms(text: str) -> list[str]:
    """Return the terms of a text in order, repeats included.

    A text of stop words only keeps them: "who is it" must still be searchable.
    """
    folded = unicodedata.normalize("NFKD", text).lower()
    words = _WORD.findall("".join(c for c in folded if not unicodedata.combining(c)))
    kept = [word for word in words if word not in STOP_WORDS] or words
    return [_stem(word[:MAX_TERM_CHARS]) for word in kept]


def term_counts(text: str) -> Counter[str]:
    """How often each term occurs."""
    return Counter(terms(text))


def indexed_text(text: str, author: str | None, occurred_at: datetime | None) -> str:
    """The text as it is indexed and embedded: with who said it and the day it happened.

    Questions ask for both; see docs/decisions/0004. occurred_at is in UTC, as the database keeps
    it: the same text must come out when it is embedded after a restart.
    """
    said = f"{author}: {text}" if author else text
    if occurred_at is None:
        return said
    day = f"{occurred_at.day} {_MONTHS[occurred_at.month - 1]} {occurred_at.year}"
    return f"[{day}] {said}"
