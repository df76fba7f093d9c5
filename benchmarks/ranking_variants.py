"""The ranking of the product and what is left of it without each of its parts.

Used by locomo_ablation.py and facts.py: candidates are read once from a real store, with the
product's own queries, then every variant ranks them in memory with the product's own functions.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from memory.event_dates import meant_days
from memory.fusion import WEIGHTS, Asked, Weights, fuse
from memory.gathering import Collection, Gathered, Wanted
from memory.records import Origin
from memory.search import MIN_CANDIDATES, asked_on
from memory.search_pages import Query
from memory.store import MemoryStore
from memory.surroundings import Scored, in_context
from memory.vectors import Filter

ORIGIN = Origin("person:bench", "benchmark")


@dataclass(frozen=True, slots=True)
class Variant:
    """A ranking: its weights, and whether neighbours that no search proposed may be hits."""

    weights: Weights = WEIGHTS
    neighbours: bool = True


PLAIN = Variant(
    Weights(
        context=(), author=0.0, subject=0.0, date=0.0, session=0.0, question=0.0, only_asks=0.0
    ),
    neighbours=False,
)
"""The sum of both searches' z-scores and nothing else."""

VARIANTS: Mapping[str, Variant] = {
    "full": Variant(),
    "without words": Variant(replace(WEIGHTS, keyword=0.0)),
    "without meaning": Variant(replace(WEIGHTS, vector=0.0)),
    "without context": Variant(replace(WEIGHTS, context=())),
    "context of one step": Variant(replace(WEIGHTS, context=WEIGHTS.context[:1])),
    "without neighbours as hits": Variant(neighbours=False),
    "without author": Variant(replace(WEIGHTS, author=0.0)),
    "without subject": Variant(replace(WEIGHTS, subject=0.0)),
    "without date": Variant(replace(WEIGHTS, date=0.0)),
    "without session": Variant(replace(WEIGHTS, session=0.0)),
    "without question": Variant(replace(WEIGHTS, question=0.0, only_asks=0.0)),
    "what only asks is as what asks": Variant(replace(WEIGHTS, only_asks=0.0)),
    "plain sum of z-scores": PLAIN,
}


@dataclass(frozen=True, slots=True)
class Case:
    """One question and all that was read for it."""

    asked: Asked
    found: Gathered
    gather_ms: float


def read_case(store: MemoryStore, archive_key: int, question: str) -> Case:
    """Read the candidates of a question, as a search for ten results does."""
    began = time.perf_counter()
    vector = store.embedding.query_vector(question, timeout_s=30)
    wanted = Wanted(question, vector, Filter(), MIN_CANDIDATES)
    with store.read() as reader:
        found = store.corpus(reader, Collection(archive_key, "passages")).gather(wanted)
    taken = 1e3 * (time.perf_counter() - began)
    today = datetime.now(UTC).date()
    meant = meant_days(question, today, lambda _: ())  # no question counts from an event
    asked = asked_on(Query(archive_key, question), today, meant)
    return Case(asked, found, taken)


def scores(case: Case, context: Sequence[float]) -> Scored:
    """The texts of a case with their scores in context."""
    return in_context(case.found.texts, case.found.statistics, context)


def rank(case: Case, variant: Variant) -> list[int]:
    """The documents of a case, best first."""
    scored = scores(case, variant.weights.context)
    if not variant.neighbours:
        texts = scored.texts
        proposed = (texts.keyword_rank > 0) | (texts.vector_rank > 0)
        scored = replace(scored, texts=replace(texts, allowed=texts.allowed & proposed))
    return [hit.doc for hit in fuse(case.asked, [scored], variant.weights)]
