"""What stands around a text speaks for it: scores of documents in their context. Pure.

People answer each other across turns, and a file goes on in the next chunk. So a document is
compared with a query together with its neighbours: what they say counts for it, less with each step
away. Who has no session has no neighbours and is compared alone. Nothing is stored for this: the
postings and vectors of the neighbours are enough (docs/decisions/0019).

What is compared comes from gathering.py; the scores of both searches are fused in fusion.py.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import log

K1 = 1.2
B = 0.75
"""BM25's usual constants: how soon a term's repeats stop to count, and how much length does."""

Thread = tuple[int, str]
"""Where texts follow each other: a collection, and a session in it."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a text stands in its thread, and up to how many numbers away its neighbours stand."""

    thread: Thread
    sequence: int
    reach: int = 2


@dataclass(frozen=True, slots=True)
class Trace:
    """Where each search found a text: its rank there, from 1; None: only beside another hit."""

    keyword_rank: int | None = None
    vector_rank: int | None = None

    @property
    def proposed(self) -> bool:
        """Whether a search found it, and not only its neighbour."""
        return self.keyword_rank is not None or self.vector_rank is not None


@dataclass(frozen=True, slots=True)
class Text:
    """A document as search sees it, whether it may be a hit itself or only stands beside one.

    length: in terms. counts: how often it holds each of the query's terms. cosine: None when it has
    no vector (yet), or the query has none. place: None when it has no neighbours. session: what it
    is part of, by whatever name; None: of nothing. asks: it ends with a question.
    """

    doc: int
    length: int
    dated: datetime
    counts: Mapping[str, int] = field(default_factory=dict)
    cosine: float | None = None
    author: str | None = None
    place: Place | None = None
    session: Thread | None = None
    asks: bool = False
    allowed: bool = True
    trace: Trace = Trace()


@dataclass(frozen=True, slots=True)
class Statistics:
    """What BM25 knows of a collection: how rare each term is, and how long its documents are."""

    idf: Mapping[str, float]
    mean_length: float = 1.0


@dataclass(frozen=True, slots=True)
class Scored:
    """A text's own scores, and those it has together with its neighbours."""

    text: Text
    bm25: float
    bm25_in_context: float
    cosine_in_context: float | None


def in_context(
    texts: Sequence[Text], statistics: Statistics, shares: Sequence[float]
) -> list[Scored]:
    """Score texts of one collection, in the order of doc.

    Terms of neighbours are counted as if they stood in the text, lengths and cosines are averaged.

    Args:
        shares: how much the neighbours 1, 2, ... steps away count; the text itself counts 1.
    """
    texts = sorted(texts, key=lambda text: text.doc)
    # Columns, not an object for each text: this is most of the work of a ranking.
    counts: list[dict[str, float]] = [dict(text.counts) for text in texts]
    lengths = [float(text.length) for text in texts]
    weights = [1.0] * len(texts)
    cosines = [text.cosine or 0.0 for text in texts]
    known = [0.0 if text.cosine is None else 1.0 for text in texts]
    for share, one, other in _neighbours(texts, shares):
        for here, text in ((one, texts[other]), (other, texts[one])):
            lengths[here] += share * text.length
            weights[here] += share
            if text.cosine is not None:
                cosines[here] += share * text.cosine
                known[here] += share
            if text.counts:
                mixed = counts[here]
                for term, count in text.counts.items():
                    mixed[term] = mixed.get(term, 0.0) + share * count
    scored = []
    for i, text in enumerate(texts):
        own = bm25(text.counts, text.length, statistics) if text.counts else 0.0
        together = own
        if weights[i] != 1.0 and counts[i]:
            together = bm25(counts[i], lengths[i] / weights[i], statistics)
        cosine = cosines[i] / known[i] if known[i] else None
        scored.append(Scored(text, own, together, cosine))
    return scored


def bm25(counts: Mapping[str, float], length: float, statistics: Statistics) -> float:
    """BM25 of a text that holds the query's terms this often; the query names each term once."""
    norm = K1 * (1 - B + B * length / statistics.mean_length)
    score = 0.0
    # In the order of the statistics, whatever the order of the counts: sums of floats depend on it.
    for term, idf in statistics.idf.items():
        count = counts.get(term)
        if count is not None:
            score += idf * count * (K1 + 1) / (count + norm)
    return score


def rarity(documents: int, frequency: int) -> float:
    """BM25's weight of a term that this many of the documents hold (idf)."""
    return log(1 + (documents - frequency + 0.5) / (frequency + 0.5))


def _neighbours(texts: Sequence[Text], shares: Sequence[float]) -> Iterator[tuple[float, int, int]]:
    """The share by which each two neighbours speak for each other, and their numbers in `texts`.

    A step leads to the next text there is, for a deleted one leaves a gap and the results of tools
    are no documents; but no further than the reach.
    """
    placed = sorted(
        (text.place.thread, text.place.sequence, number, text.place.reach)
        for number, text in enumerate(texts)
        if text.place is not None
    )
    for step, share in enumerate(shares, start=1):
        for (thread, here, one, reach), (same, there, other, _) in zip(
            placed, placed[step:], strict=False
        ):
            if thread == same and there - here <= reach:
                yield share, one, other
