"""What a query names, such as Ada in "Which dog does Ada have?". Pure.

A text without the name may be about another. A name is told by its capital letter inside of a
sentence; names of days and months are none, for named_dates.py reads them.
"""

import re

from memory.named_dates import MONTHS, WEEKDAYS
from memory.terms import STOP_WORDS, terms

_WORD = re.compile(r"[^\W_]{2,}")
_OPENING = " \"'“\u2018«(["
_NEAR = 8
"""Characters before a word within which its sentence would end."""

_SENTENCE_ENDS = ".!?…:"
_NO_NAMES = STOP_WORDS.union(MONTHS, WEEKDAYS)


def named_subjects(query: str) -> frozenset[str]:
    """The terms of the names in a query."""
    return frozenset(term for name in names_in(query) for term in terms(name))


def names_in(query: str) -> tuple[str, ...]:
    """The names in a query; none where every word has a capital letter."""
    words = [
        (word.group(), query[max(0, word.start() - _NEAR) : word.start()].rstrip(_OPENING))
        for word in _WORD.finditer(query)
    ]
    inside = [word for word, before in words if before and before[-1] not in _SENTENCE_ENDS]
    if all(word[0].isupper() for word in inside):
        return ()
    return tuple(word for word in inside if word[0].isupper() and word.lower() not in _NO_NAMES)
