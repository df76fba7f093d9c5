"""What stands around a text speaks for it: scores of documents in their context. Pure.

People answer each other across turns, and a file goes on in the next chunk. So a document is
compared with a query together with its neighbours: what they say counts for it, less with each step
away. Who has no session has no neighbours and is compared alone. Nothing is stored for this: the
postings and vectors of the neighbours are enough (docs/decisions/0019).

What is compared comes from gathering.py, in columns: a search looks at several hundred texts. The
scores of both searches are fused in fusion.py.
"""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import log
from typing import Any

import numpy as np
from numpy.typing import NDArray

K1 = 1.2
B = 0.75
"""BM25's usual constants: how soon a term's repeats stop to count, and how much length does."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Text:
    """A document as search sees it, whether it may be a hit itself or only stands beside one.

    length: in terms. counts: how often it holds each of the query's terms. cosine: None when it has
    no vector (yet), or the query has none. thread: where texts follow each other by their sequence;
    None: it has no neighbours. session: what it is part of, by whatever name; None: of nothing.
    asks: it ends with a question; only_asks: it is nothing else. The ranks are those that each
    search gave it, from 1; 0: none.
    """

    doc: int
    length: int
    dated: datetime
    counts: Mapping[str, int] = field(default_factory=dict)
    cosine: float | None = None
    author: str | None = None
    thread: Hashable | None = None
    sequence: int = 0
    session: Hashable | None = None
    asks: bool = False
    only_asks: bool = False
    allowed: bool = True
    keyword_rank: int = 0
    vector_rank: int = 0


@dataclass(frozen=True, slots=True)
class Statistics:
    """What BM25 knows of a collection: how rare each term is, and how long its documents are."""

    idf: Mapping[str, float]
    mean_length: float = 1.0


@dataclass(frozen=True, slots=True)
class Texts:
    """The n texts that a search looks at in one collection, in columns, in the order of doc.

    Each column says what a field of Text does: arrays of length n. dated: microseconds since 1970,
    UTC. counts: (n, t), the t terms in the order of the statistics. cosine: NaN for none. author:
    the place of the name in `authors`; thread, session: numbers of any kind; -1: none. reach: up
    to how many numbers away neighbours stand.
    """

    doc: NDArray[np.int64]
    length: NDArray[np.int32]
    dated: NDArray[np.int64]
    counts: Numbers
    cosine: Numbers
    author: NDArray[np.int64]
    authors: tuple[str, ...]
    thread: NDArray[np.int64]
    sequence: NDArray[np.int64]
    session: NDArray[np.int64]
    asks: NDArray[np.bool_]
    only_asks: NDArray[np.bool_]
    allowed: NDArray[np.bool_]
    keyword_rank: NDArray[np.int32]
    vector_rank: NDArray[np.int32]
    reach: int = 2

    def __len__(self) -> int:
        return len(self.doc)


@dataclass(frozen=True, slots=True)
class Scored:
    """Texts with their own scores, and those that they have together with their neighbours.

    (n,) each. cosine_in_context: NaN where no cosine is known. terms: what the texts' counts count.
    """

    texts: Texts
    bm25: Numbers
    bm25_in_context: Numbers
    cosine_in_context: Numbers
    terms: tuple[str, ...] = ()


def in_columns(texts: Sequence[Text], statistics: Statistics, reach: int = 2) -> Texts:
    """Texts as columns, in the order of doc."""
    texts = sorted(texts, key=lambda text: text.doc)
    authors = sorted({text.author for text in texts if text.author is not None})
    numbers = {name: number for number, name in enumerate(authors)}
    counts = [[text.counts.get(term, 0) for term in statistics.idf] for text in texts]

    def column(name: str, kind: Any) -> NDArray[Any]:
        return np.asarray([getattr(text, name) for text in texts], kind)

    return Texts(
        doc=column("doc", np.int64),
        length=column("length", np.int32),
        dated=np.asarray([microseconds(text.dated) for text in texts], np.int64),
        counts=np.asarray(counts, np.float64).reshape(len(texts), len(statistics.idf)),
        cosine=column("cosine", np.float64),
        author=np.asarray([numbers.get(text.author or "", -1) for text in texts], np.int64),
        authors=tuple(authors),
        thread=_numbered([text.thread for text in texts]),
        sequence=column("sequence", np.int64),
        session=_numbered([text.session for text in texts]),
        asks=column("asks", np.bool_),
        only_asks=column("only_asks", np.bool_),
        allowed=column("allowed", np.bool_),
        keyword_rank=column("keyword_rank", np.int32),
        vector_rank=column("vector_rank", np.int32),
        reach=reach,
    )


def in_context(texts: Texts, statistics: Statistics, shares: Sequence[float]) -> Scored:
    """Score texts of one collection.

    Terms of neighbours are counted as if they stood in the text, lengths and cosines are averaged.

    Args:
        shares: how much the neighbours 1, 2, ... steps away count; the text itself counts 1.
    """
    own = ~np.isnan(texts.cosine)
    counts, lengths = texts.counts.copy(), texts.length.astype(np.float64)
    cosines, known = np.where(own, texts.cosine, 0.0), own.astype(np.float64)
    weights = np.ones(len(texts))
    for share, one, other in _neighbours(texts, shares):
        # Each text stands at most once on either side, so nothing is added to a place twice.
        for here, there in ((one, other), (other, one)):
            lengths[here] += share * texts.length[there]
            weights[here] += share
            counts[here] += share * texts.counts[there]
            cosines[here] += share * np.where(own[there], texts.cosine[there], 0.0)
            known[here] += share * own[there]
    with np.errstate(invalid="ignore"):
        cosine_in_context = np.where(known > 0, cosines / known, np.nan)
    return Scored(
        texts,
        bm25(texts.counts, texts.length, statistics),
        bm25(counts, lengths / weights, statistics),
        cosine_in_context,
        tuple(statistics.idf),
    )


def bm25(counts: Numbers, lengths: NDArray[Any], statistics: Statistics) -> Numbers:
    """BM25 of texts that hold the query's terms this often; the query names each term once.

    Args:
        counts: (n, t), in the order of the statistics' terms.
        lengths: (n,), in terms.
    """
    norms = K1 * (1 - B + B * lengths / statistics.mean_length)
    idf = np.fromiter(statistics.idf.values(), np.float64, len(statistics.idf))
    scores: Numbers = (idf * counts * (K1 + 1) / (counts + norms[:, None])).sum(axis=1)
    return scores


def rarity(documents: int, frequency: int) -> float:
    """BM25's weight of a term that this many of the documents hold (idf)."""
    return log(1 + (documents - frequency + 0.5) / (frequency + 0.5))


def microseconds(moment: datetime) -> int:
    """A moment as `dated` has it."""
    return (moment - _EPOCH) // _MICROSECOND


def moment_of(dated: int) -> datetime:
    """The moment that `dated` names."""
    return _EPOCH + dated * _MICROSECOND


def _neighbours(
    texts: Texts, shares: Sequence[float]
) -> Iterator[tuple[float, NDArray[np.intp], NDArray[np.intp]]]:
    """The share by which neighbours speak for each other, and where they stand, pair by pair.

    A step leads to the next text there is, for a deleted one leaves a gap and the results of tools
    are no documents; but no further than the reach.
    """
    placed = np.flatnonzero(texts.thread >= 0)
    order = np.lexsort((placed, texts.sequence[placed], texts.thread[placed]))
    placed = placed[order]
    for step, share in enumerate(shares, start=1):
        one, other = placed[:-step], placed[step:]
        beside = texts.thread[one] == texts.thread[other]
        beside &= texts.sequence[other] - texts.sequence[one] <= texts.reach
        yield share, one[beside], other[beside]


def _numbered(names: Sequence[Hashable | None]) -> NDArray[np.int64]:
    """A number for each name, the same for the same; -1 for None."""
    numbers: dict[Hashable, int] = {}
    return np.asarray(
        [-1 if name is None else numbers.setdefault(name, len(numbers)) for name in names], np.int64
    )
