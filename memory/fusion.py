"""Merging what the keyword and the vector search found into one ranking. Pure.

Scores are fused, not ranks: each leg is standardised over the candidates (z-scores) and the two
are summed; then comes what else speaks for a hit (its author, subject or date is named, its session
has a good hit) and against it (it asks). All weights are here. Why not reciprocal rank fusion:
docs/decisions/0004; where the scores come from: surroundings.py; why these weights:
docs/decisions/0019.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import isnan
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from memory.named_subjects import named_subjects
from memory.surroundings import Numbers, Scored, moment_of
from memory.terms import terms

MIN_COSINE = 0.1
"""Below this a text without a common term has nothing to do with the query (mem0 cuts here too)."""


@dataclass(frozen=True, slots=True)
class Weights:
    """What each part of a score weighs, in standard deviations of a leg; 0 leaves a part out.

    context: the shares of neighbours one and two steps away (surroundings.py). subject: of a text
    that mentions all names in the query. counted: of a day that the query counts to from an event;
    as much as the words for the event bring to the texts that have them. session: of the best hit
    of the same session. question: taken from a text that ends with a question, for it seldom
    answers. only_asks: the share of what words and meaning brought that is taken from a text that
    is a question and nothing else.
    """

    keyword: float = 0.5
    vector: float = 0.5
    context: tuple[float, ...] = (0.5, 0.25)
    author: float = 1.0
    subject: float = 1.5
    date: float = 1.0
    counted: float = 3.0
    session: float = 0.3
    question: float = 0.75
    only_asks: float = 0.75


WEIGHTS = Weights()
"""Chosen on the development conversations of LoCoMo, on a coarse grid (decision 19)."""

_FOR_QUESTIONS = re.compile(r"\b(?:ask(?:s|ed|ing)?|questions?)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Asked:
    """What the parts of a ranking must know of a query.

    names_day_of: whether the query names a date that a moment lies in. counts_to: whether it counts
    to that from an event that was found ("two weeks before the wedding").
    """

    text: str
    names_day_of: Callable[[datetime], bool] | None = None
    counts_to: Callable[[datetime], bool] | None = None


@dataclass(frozen=True, slots=True)
class Ranked:
    """A candidate's place in the fused ranking, and why it is there.

    score is the sum of keyword, vector, author, subject, date, session and question; keyword and
    vector come from how far its scores in context lie from those of the other candidates. bm25 and
    cosine are its own, without its neighbours; cosine: None without a vector. The ranks are those
    in each search, from 1; None: it was not proposed there. rerank is what a reranker said, if
    there is one and it was asked.
    """

    doc: int
    score: float
    keyword: float
    vector: float
    author: float
    subject: float
    date: float
    question: float
    session: float
    bm25: float
    cosine: float | None
    bm25_in_context: float
    cosine_in_context: float | None
    keyword_rank: int | None
    vector_rank: int | None
    rerank: float | None = None


class Ranking(Sequence[Ranked]):
    """Candidates, best first; each is made when it is looked at, and most are not."""

    def __init__(self, columns: dict[str, NDArray[Any]]) -> None:
        self._columns = columns

    def __len__(self) -> int:
        return len(self._columns["doc"])

    @overload
    def __getitem__(self, at: int) -> Ranked: ...
    @overload
    def __getitem__(self, at: slice) -> "list[Ranked]": ...
    def __getitem__(self, at: int | slice) -> "Ranked | list[Ranked]":
        """One of them, or some."""
        if isinstance(at, slice):
            return list(self._made(at))
        at = range(len(self))[at]
        return next(self._made(slice(at, at + 1)))

    def _made(self, at: slice) -> Iterator[Ranked]:
        rows = zip(*(column[at].tolist() for column in self._columns.values()), strict=True)
        for row in rows:
            fields = dict(zip(self._columns, row, strict=True))
            for name in ("cosine", "cosine_in_context"):
                fields[name] = None if isnan(fields[name]) else fields[name]
            for name in ("keyword_rank", "vector_rank"):
                fields[name] = fields[name] or None
            yield Ranked(**fields)


def fuse(
    asked: Asked,
    found: Sequence[Scored],
    weights: Weights = WEIGHTS,
    min_cosine: float = MIN_COSINE,
) -> Ranking:
    """Rank what was found, best first; ties keep the older document first.

    Texts that share neither a term nor a meaning (cosine under min_cosine) are left out, whatever
    stands beside them, and so are those that a filter does not allow.

    Args:
        found: of each collection that was searched; scores are standardised over all together.
    """
    near = _near(found, named_subjects(asked.text), min_cosine)
    parts = {
        "keyword": weights.keyword * _standardised(near["bm25_in_context"]),
        "vector": weights.vector * _standardised(near["cosine_in_context"]),
        "author": weights.author * _names_author(asked.text, near["author"]),
        "subject": weights.subject * near["subject"],
        "date": weights.date * _of_day(asked.names_day_of, near["dated"])
        + weights.counted * _of_day(asked.counts_to, near["dated"]),
    }
    parts["question"] = -_asking(asked.text, near, parts["keyword"] + parts["vector"], weights)
    others: Numbers = np.sum(list(parts.values()), axis=0)
    parts["session"] = weights.session * _best_of_session(near["session"], others)
    columns = {"doc": near["doc"], "score": others + parts["session"], **parts}
    names = (
        "bm25", "cosine", "bm25_in_context", "cosine_in_context", "keyword_rank", "vector_rank",
    )  # fmt: skip
    columns |= {name: near[name] for name in names}
    order = np.lexsort((near["doc"], -columns["score"]))
    return Ranking({name: column[order] for name, column in columns.items()})


def _near(
    found: Sequence[Scored], subjects: frozenset[str], min_cosine: float
) -> dict[str, NDArray[Any]]:
    """The candidates of all collections, as columns in the order of doc."""
    taken: list[dict[str, NDArray[Any]]] = []
    sessions = 0
    for scored in found:
        texts = scored.texts
        near = (scored.bm25 > 0) | (np.nan_to_num(texts.cosine) >= min_cosine)
        names = np.asarray([*texts.authors, ""], object)
        columns = {
            "doc": texts.doc,
            "author": names[texts.author],
            "dated": texts.dated,
            "asks": texts.asks,
            "only_asks": texts.only_asks,
            "subject": _mentions(scored, subjects),
            "session": np.where(texts.session < 0, -1, texts.session + sessions),
            "cosine": texts.cosine,
            "keyword_rank": texts.keyword_rank,
            "vector_rank": texts.vector_rank,
            "bm25": scored.bm25,
            "bm25_in_context": scored.bm25_in_context,
            "cosine_in_context": scored.cosine_in_context,
        }
        taken.append({name: column[near & texts.allowed] for name, column in columns.items()})
        sessions += int(texts.session.max(initial=-1)) + 1
    columns = {name: np.concatenate([one[name] for one in taken]) for name in taken[0]}
    order = np.argsort(columns["doc"])
    return {name: column[order] for name, column in columns.items()}


def _mentions(scored: Scored, subjects: frozenset[str]) -> Numbers:
    """Which share of the names that are known here each text mentions.

    Whoever writes with a name on it speaks to others by theirs; so the name of an author counts
    only where nobody signed.
    """
    texts = scored.texts
    known = [at for at, term in enumerate(scored.terms) if term in subjects]
    if not known:
        return np.zeros(len(texts))
    authors = {term for author in texts.authors for term in terms(author)}
    of_author = np.asarray([scored.terms[at] in authors for at in known], np.bool_)
    mentioned = (texts.counts[:, known] > 0) & ~(of_author & (texts.author >= 0)[:, None])
    shares: Numbers = mentioned.mean(axis=1)
    return shares


def _asking(query: str, near: dict[str, NDArray[Any]], found: Numbers, weights: Weights) -> Numbers:
    """What is taken from texts that ask, unless the query is for what was asked.

    Args:
        found: what words and meaning brought each text: a question in the query's own words gets
            much, and tells nothing.
    """
    if _FOR_QUESTIONS.search(query):
        return np.zeros(len(found))
    taken: Numbers = weights.question * near["asks"]
    return taken + weights.only_asks * near["only_asks"] * np.maximum(found, 0.0)


def _best_of_session(sessions: NDArray[np.int64], scores: Numbers) -> Numbers:
    """For each text the best score of its session; one without is its own session."""
    numbers, at = np.unique(sessions, return_inverse=True)
    best = np.full(len(numbers), -np.inf)
    np.maximum.at(best, at, scores)
    return np.where(sessions < 0, scores, best[at])


def _standardised(values: Numbers) -> Numbers:
    """Z-scores; all 0 when the values do not differ. An unknown one (NaN) counts as average, 0."""
    known = values[~np.isnan(values)]
    if not len(known):
        return np.zeros(len(values))
    spread = known.std()
    if spread <= 1e-12:
        return np.zeros(len(values))
    scores: Numbers = np.nan_to_num((values - known.mean()) / spread)
    return scores


def _of_day(
    is_one: Callable[[datetime], bool] | None, dated: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Which texts are of a day that is one."""
    if is_one is None:
        return np.zeros(len(dated), np.bool_)
    return np.asarray([is_one(moment_of(at)) for at in dated.tolist()], np.bool_)


def _names_author(query: str, authors: NDArray[Any]) -> NDArray[np.bool_]:
    """Which texts are of an author that the query names by whole words, if that tells apart."""
    asked = query.lower()
    named = {
        author
        for author in set(authors.tolist())
        if author and re.search(rf"(?<!\w){re.escape(author.lower())}(?!\w)", asked)
    }
    hit = np.asarray([author in named for author in authors.tolist()], np.bool_)
    return hit if 0 < hit.sum() < len(hit) else np.zeros(len(hit), np.bool_)
