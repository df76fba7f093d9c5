"""Merging what the keyword and the vector search found into one ranking. Pure.

Scores are fused, not ranks: each leg is standardised over the candidates (z-scores) and the two
are summed. Why not reciprocal rank fusion, and why neighbours answer for each other: see
docs/decisions/0004.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, pstdev

VECTOR_WEIGHT = 0.5
KEYWORD_WEIGHT = 0.5
NEIGHBOUR_WEIGHT = 0.3
AUTHOR_BONUS = 1.0
MIN_COSINE = 0.1
"""Below this a text without a common term has nothing to do with the query (mem0 cuts here too)."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A document one of the legs proposes.

    cosine: None when it has no vector (yet), or the query has none. bm25: 0 without a common term.
    session and sequence: its place among neighbours; session None when it has none.
    """

    doc: int
    bm25: float
    cosine: float | None
    session: str | None
    sequence: int | None
    author: str | None


@dataclass(frozen=True, slots=True)
class Ranked:
    """A candidate's place in the fused ranking, and why it is there.

    score is the sum of keyword, vector, neighbours and author; keyword and vector come from how far
    bm25 and cosine lie from those of the other candidates.
    """

    doc: int
    score: float
    keyword: float
    vector: float
    neighbours: float
    author: float
    bm25: float
    cosine: float | None


def fuse(
    query: str, candidates: Sequence[Candidate], min_cosine: float = MIN_COSINE
) -> list[Ranked]:
    """Rank candidates, best first; ties keep the older document first.

    Candidates that share neither a term nor a meaning (cosine under min_cosine) are left out.
    """
    near = sorted(
        (c for c in candidates if c.bm25 > 0 or (c.cosine or 0) >= min_cosine), key=lambda c: c.doc
    )
    keyword = [KEYWORD_WEIGHT * z for z in _standardised([c.bm25 for c in near])]
    vector = [VECTOR_WEIGHT * z for z in _standardised_known([c.cosine for c in near])]
    base = {c.doc: k + v for c, k, v in zip(near, keyword, vector, strict=True)}
    authors = _author_bonuses(query, near)
    at_place: dict[tuple[str | None, int | None], int] = {
        (c.session, c.sequence): c.doc for c in near if c.session is not None
    }
    ranked = []
    for c, k, v in zip(near, keyword, vector, strict=True):
        around = NEIGHBOUR_WEIGHT * _neighbour_score(c, at_place, base)
        bonus = authors.get(c.author or "", 0.0)
        ranked.append(Ranked(c.doc, k + v + around + bonus, k, v, around, bonus, c.bm25, c.cosine))
    return sorted(ranked, key=lambda r: (-r.score, r.doc))


def _standardised(values: Sequence[float]) -> list[float]:
    """Z-scores; all 0 when the values do not differ."""
    if not values:
        return []
    mean, spread = fmean(values), pstdev(values)
    return [(value - mean) / spread if spread > 1e-12 else 0.0 for value in values]


def _standardised_known(values: Sequence[float | None]) -> list[float]:
    """Z-scores of the known values; an unknown one counts as average, 0."""
    known = iter(_standardised([value for value in values if value is not None]))
    return [0.0 if value is None else next(known) for value in values]


def _neighbour_score(
    candidate: Candidate,
    at_place: Mapping[tuple[str | None, int | None], int],
    base: Mapping[int, float],
) -> float:
    """Sum of the neighbours' scores; a missing one counts as the other, none at all as 0."""
    if candidate.session is None or candidate.sequence is None:
        return 0.0
    places = [(candidate.session, candidate.sequence + step) for step in (-1, 1)]
    scores = [base[at_place[place]] for place in places if place in at_place]
    return 2 * fmean(scores) if scores else 0.0


def _author_bonuses(query: str, candidates: Sequence[Candidate]) -> dict[str, float]:
    """A bonus for authors the query names, if that tells candidates apart."""
    authors = {c.author for c in candidates if c.author}
    asked = query.lower()
    named = {
        author
        for author in authors
        if re.search(rf"(?<!\w){re.escape(author.lower())}(?!\w)", asked)
    }
    hit = sum(c.author in named for c in candidates)
    return dict.fromkeys(named, AUTHOR_BONUS) if 0 < hit < len(candidates) else {}
