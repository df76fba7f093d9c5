"""The end of a ranking: whoever reads the best hits may order them anew.

The seam for a cross-encoder or the like; none is in the package. What is here is pure but for the
reading of the texts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from memory.fusion import Ranked
from memory.transaction import Reader, to_json


class Reranker(Protocol):
    """Judges texts by reading them together with the query. `depth`: how many of the best."""

    depth: int

    def scores(self, query: str, texts: Sequence[str]) -> Sequence[float]:
        """Return one score for each text; the higher the better."""


def reranked(ranked: Sequence[Ranked], scores: Mapping[int, float]) -> list[Ranked]:
    """The ranking with those first that have a score, by it; the others behind, as they were.

    Args:
        scores: by document; equal ones keep their order.
    """
    judged = [replace(hit, rerank=scores[hit.doc]) for hit in ranked if hit.doc in scores]
    others = [hit for hit in ranked if hit.doc not in scores]
    return sorted(judged, key=lambda hit: -scores[hit.doc]) + others


def rerank(
    reader: Reader, query: str, ranked: Sequence[Ranked], reranker: Reranker
) -> list[Ranked]:
    """Have the best of a ranking read and ordered anew."""
    best = [hit.doc for hit in ranked[: reranker.depth]]
    texts: dict[int, str] = dict(reader.rows("texts_by_doc", docs=to_json(best)))
    scores = reranker.scores(query, [texts[doc] for doc in best])
    return reranked(ranked, dict(zip(best, scores, strict=True)))
