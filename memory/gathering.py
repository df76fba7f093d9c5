"""What a ranking is made of: the best of both searches in a collection, and what stands around.

Here is only what is asked and what comes back. There are two who answer, the same to the last
digits that count: stored.py asks the database, resident/ has the collection in memory.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from memory.surroundings import Statistics, Texts
from memory.vectors import Filter

if TYPE_CHECKING:  # numpy is heavy and this module is not
    from memory.embedder import Vectors

Kind = Literal["passages", "messages"]

REACH: Mapping[Kind, int] = {"passages": 2, "messages": 4}
"""Numbers to a neighbour: the calls of a tool and its results may stand between two messages."""

ASKS = r"""[?？؟][\s"'”’»)\]*_]*$"""  # noqa: RUF001 - a question mark, full width
"""What a text that asks ends with, as the database reads patterns."""

ONLY_ASKS = r"^[^.!,;:…\n]*" + ASKS
"""A text that only asks: no clause in it may tell something."""


@dataclass(frozen=True, slots=True)
class Collection:
    """What is searched together: the passages of an archive or the messages of an agent."""

    key: int
    kind: Kind


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked of a collection.

    vector: the query's, of shape (d,) and length 1; None: words only. limit: candidates per search.
    """

    text: str
    vector: "Vectors | None"
    where: Filter
    limit: int


@dataclass(frozen=True, slots=True)
class Gathered:
    """The texts that may be hits or stand beside one, and what BM25 knows of their collection."""

    texts: Texts
    statistics: Statistics


class Corpus(Protocol):
    """A collection as a search reads it."""

    def newest(self) -> int:
        """The last document; 0 without any."""

    def gather(self, wanted: Wanted) -> Gathered:
        """Find candidates by word and by meaning, with their neighbours, in the order of doc."""


def ranks(by_word: Sequence[int], cosines: Mapping[int, float]) -> dict[int, tuple[int, int]]:
    """The ranks in both searches, from 1, of everything that one of them proposed; 0: it did not.

    Args:
        by_word: the documents that the keyword search found, best first.
        cosines: of those that the vector search found.
    """
    keyword = {doc: rank for rank, doc in enumerate(by_word, start=1)}
    nearest = sorted(cosines, key=lambda doc: (-cosines[doc], doc))
    vector = {doc: rank for rank, doc in enumerate(nearest, start=1)}
    return {
        doc: (keyword.get(doc, 0), vector.get(doc, 0)) for doc in keyword.keys() | vector.keys()
    }
