"""Merging what the keyword and the vector search found into one ranking. Pure.

Scores are fused, not ranks: each leg is standardised over the candidates (z-scores) and the two
are summed; then comes what else speaks for a hit: its author or date is named, its session has
a good hit. All weights are here. Why not reciprocal rank fusion: docs/decisions/0004; where the
scores come from: surroundings.py; why these weights: docs/decisions/0019.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import fsum, sqrt

from memory.surroundings import Scored, Thread

MIN_COSINE = 0.1
"""Below this a text without a common term has nothing to do with the query (mem0 cuts here too)."""


@dataclass(frozen=True, slots=True)
class Weights:
    """What each part of a score weighs, in standard deviations of a leg; 0 leaves a part out.

    context: the shares of neighbours one and two steps away (surroundings.py). session: of the best
    hit of the same session. question: taken from a text that asks, for it seldom answers.
    """

    keyword: float = 0.5
    vector: float = 0.5
    context: tuple[float, ...] = (0.5, 0.25)
    author: float = 1.0
    date: float = 1.0
    session: float = 0.3
    question: float = 0.5


WEIGHTS = Weights()
"""Chosen on the development conversations of LoCoMo, on a coarse grid (decision 19)."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the parts of a ranking must know of a query.

    names_day_of: whether the query names a date that a moment lies in.
    """

    text: str
    names_day_of: Callable[[datetime], bool] | None = None


@dataclass(frozen=True, slots=True)
class Ranked:
    """A candidate's place in the fused ranking, and why it is there.

    score is the sum of keyword, vector, author, date, session and question; keyword and vector come
    from how far its scores in context lie from those of the other candidates. rerank is what a
    reranker said, if there is one and it was asked.
    """

    found: Scored
    score: float
    keyword: float
    vector: float
    author: float
    date: float
    question: float
    session: float
    rerank: float | None = None

    @property
    def doc(self) -> int:
        """The document."""
        return self.found.text.doc

    @property
    def bm25(self) -> float:
        """Its own score by words, without its neighbours."""
        return self.found.bm25

    @property
    def cosine(self) -> float | None:
        """Its own nearness in meaning, without its neighbours."""
        return self.found.text.cosine


def fuse(
    asked: Asked,
    found: Sequence[Scored],
    weights: Weights = WEIGHTS,
    min_cosine: float = MIN_COSINE,
) -> list[Ranked]:
    """Rank what was found, best first; ties keep the older document first.

    Texts that share neither a term nor a meaning (cosine under min_cosine) are left out, whatever
    stands beside them, and so are those that a filter does not allow.
    """
    near = sorted(
        (s for s in found if s.text.allowed and (s.bm25 > 0 or _cosine(s) >= min_cosine)),
        key=lambda s: s.text.doc,
    )
    keyword = _standardised([s.bm25_in_context for s in near])
    vector = _standardised_known([s.cosine_in_context for s in near])
    authors, names_day_of = _named_authors(asked.text, near), asked.names_day_of
    parts = [
        (
            weights.keyword * k,
            weights.vector * v,
            weights.author * (s.text.author in authors),
            weights.date * names_day_of(s.text.dated) if names_day_of else 0.0,
            -weights.question * s.text.asks,
        )
        for s, k, v in zip(near, keyword, vector, strict=True)
    ]
    sessions = _session_shares(near, [sum(p) for p in parts], weights.session)
    ranked = [
        Ranked(s, sum(part) + session, *part, session)
        for s, part, session in zip(near, parts, sessions, strict=True)
    ]
    return sorted(ranked, key=lambda r: (-r.score, r.doc))


def _cosine(scored: Scored) -> float:
    return scored.text.cosine or 0.0


def _session_shares(near: Sequence[Scored], scores: Sequence[float], weight: float) -> list[float]:
    """For each text a share of the best score of its session; one without is its own session."""
    best: dict[Thread, float] = {}
    for s, score in zip(near, scores, strict=True):
        if s.text.session is not None:
            best[s.text.session] = max(score, best.get(s.text.session, score))
    return [
        weight * (score if s.text.session is None else best[s.text.session])
        for s, score in zip(near, scores, strict=True)
    ]


def _standardised(values: Sequence[float]) -> list[float]:
    """Z-scores; all 0 when the values do not differ."""
    if not values:
        return []
    # fsum: the same in whatever order the values come. statistics.pstdev takes 20 times as long.
    mean = fsum(values) / len(values)
    spread = sqrt(fsum((value - mean) ** 2 for value in values) / len(values))
    return [(value - mean) / spread if spread > 1e-12 else 0.0 for value in values]


def _standardised_known(values: Sequence[float | None]) -> list[float]:
    """Z-scores of the known values; an unknown one counts as average, 0."""
    known = iter(_standardised([value for value in values if value is not None]))
    return [0.0 if value is None else next(known) for value in values]


def _named_authors(query: str, candidates: Sequence[Scored]) -> frozenset[str]:
    """The authors that the query names by whole words, if that tells candidates apart."""
    authors = {s.text.author for s in candidates if s.text.author}
    asked = query.lower()
    named = frozenset(
        author
        for author in authors
        if re.search(rf"(?<!\w){re.escape(author.lower())}(?!\w)", asked)
    )
    hit = sum(s.text.author in named for s in candidates)
    return named if 0 < hit < len(candidates) else frozenset()
