"""Which documents hold a term, and how often: an inverted index in memory, for BM25.

Terms are known by their 64-bit hash, as the database calculates it; two terms with one hash would
count as the same term, which happens once in a hundred billion collections of a million terms.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memory.surroundings import K1, B

Positions = NDArray[np.int32]
Counts = NDArray[np.int32]

MAX_TAIL = 100_000
"""Postings that are looked through one by one; more are sorted into the index."""


_Rows = tuple[NDArray[np.uint64], Positions, Counts]
_NONE: _Rows = (np.empty(0, np.uint64), np.empty(0, np.int32), np.empty(0, np.int32))


@dataclass(frozen=True, slots=True)
class _Sorted:
    """Postings by term: those of codes[i] stand from starts[i] to starts[i + 1], by position."""

    codes: NDArray[np.uint64]
    starts: NDArray[np.int64]
    positions: Positions
    counts: Counts

    def of(self, code: int) -> slice:
        """Where the postings of a term stand."""
        at = int(np.searchsorted(self.codes, np.uint64(code)))
        if at == len(self.codes) or int(self.codes[at]) != code:
            return slice(0, 0)
        return slice(int(self.starts[at]), int(self.starts[at + 1]))


class Postings:
    """The postings of one collection. Documents are added in order, and never changed."""

    def __init__(self) -> None:
        self._sorted, self._tail = _sort(*_NONE), _NONE

    @property
    def nbytes(self) -> int:
        """The memory that is taken."""
        arrays = (
            self._sorted.codes, self._sorted.starts, self._sorted.positions, self._sorted.counts,
            *self._tail,
        )  # fmt: skip
        return sum(array.nbytes for array in arrays)

    def append(self, codes: NDArray[np.uint64], positions: Positions, counts: Counts) -> None:
        """Add the postings of further documents, whose positions are above all that are here."""
        tail = _joined(self._tail, (codes, positions, counts))
        if len(tail[0]) > MAX_TAIL:
            old = self._sorted
            expanded = np.repeat(old.codes, np.diff(old.starts))
            self._sorted = _sort(*_joined((expanded, old.positions, old.counts), tail))
            tail = _NONE
        self._tail = tail

    def of(self, code: int) -> tuple[Positions, Counts]:
        """The documents that hold a term, by position, and how often each does."""
        found = self._sorted.of(code)
        positions, counts = self._sorted.positions[found], self._sorted.counts[found]
        codes, late, late_counts = self._tail
        if len(codes):
            here = codes == np.uint64(code)
            if here.any():
                positions = np.concatenate((positions, late[here]))
                counts = np.concatenate((counts, late_counts[here]))
        return positions, counts


def bm25_scores(
    held: Mapping[str, tuple[Positions, Counts]],
    idf: Mapping[str, float],
    lengths: NDArray[np.int32],
    mean_length: float,
) -> NDArray[np.float64]:
    """BM25 of every document (see surroundings.bm25).

    Args:
        held: by term, the documents with it and how often each holds it; positions in `lengths`.
        lengths: of the documents, in terms.
    """
    scores = np.zeros(len(lengths))
    for term, (positions, counts) in held.items():
        norm = K1 * (1 - B + B * lengths[positions] / mean_length)
        scores[positions] += idf[term] * counts * (K1 + 1) / (counts + norm)
    return scores


def _joined(one: _Rows, other: _Rows) -> _Rows:
    return (
        np.concatenate((one[0], other[0])),
        np.concatenate((one[1], other[1])),
        np.concatenate((one[2], other[2])),
    )


def _sort(codes: NDArray[np.uint64], positions: Positions, counts: Counts) -> _Sorted:
    # Stable: within a term the positions keep their order, which is ascending.
    order = np.argsort(codes, kind="stable")
    codes = codes[order]
    changes = np.flatnonzero(codes[1:] != codes[:-1]) + 1
    first = np.asarray([0] if len(codes) else [], np.int64)
    starts = np.concatenate((first, changes, [len(codes)])).astype(np.int64)
    return _Sorted(codes[starts[:-1]], starts, positions[order], counts[order])
