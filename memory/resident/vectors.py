"""Vectors in memory at 16 bits a number: 8 for finding what is near, 8 more for saying how near.

A row of length 1 is scaled so that its greatest number becomes 127, and rounded; what rounding took
away is scaled by 254 and rounded again. The first plane alone orders the ten nearest right in 98 to
99 of 100 places; with the second, read for the best of the first only, cosines are right to 0.00003
(docs/decisions/0021).
"""

from dataclasses import dataclass

import numpy as np
import simsimd
from numpy.typing import NDArray

from memory.resident.growing import Growing

_COARSE = 127
_FINE = 254

READ_AGAIN = 2
"""Times what is asked for is compared with both planes; 1.0 of the ten nearest are among 20."""

FEW = 8
"""When less than one of so many may be found, their rows are copied and no others compared."""

Bytes = NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class Quantised:
    """Rows as two planes: v = scale * (coarse + fine / 254). (n, d) int8, and (n,) float32."""

    coarse: Bytes
    fine: Bytes
    scale: NDArray[np.float32]


def quantise(vectors: NDArray[np.float32]) -> Quantised:
    """Round rows to two planes; a row of zeros stays one."""
    scale = np.abs(vectors).max(axis=1) / _COARSE
    scaled = vectors / np.where(scale, scale, 1)[:, None]
    coarse = np.rint(scaled)
    fine = np.rint((scaled - coarse) * _FINE)
    return Quantised(coarse.astype(np.int8), fine.astype(np.int8), scale.astype(np.float32))


class ResidentVectors:
    """The vectors of one collection, each with the position of its document, ascending."""

    def __init__(self, dimensions: int) -> None:
        self._coarse = Growing(np.int8, dimensions)
        self._fine = Growing(np.int8, dimensions)
        self._scale = Growing(np.float32)
        self._positions = Growing(np.int32)

    def __len__(self) -> int:
        return len(self._positions)

    @property
    def nbytes(self) -> int:
        """The memory that is taken."""
        columns = (self._coarse, self._fine, self._scale, self._positions)
        return sum(column.nbytes for column in columns)

    def append(self, vectors: NDArray[np.float32], positions: NDArray[np.int32]) -> None:
        """Add (n, d) rows of length 1 of documents at or above all positions that are here."""
        rows = quantise(vectors)
        self._coarse.append(rows.coarse)
        self._fine.append(rows.fine)
        self._scale.append(rows.scale)
        self._positions.append(positions)

    def nearest(
        self, query: NDArray[np.float32], allowed: NDArray[np.bool_], limit: int
    ) -> dict[int, float]:
        """Return position -> cosine of the nearest documents; the best of its vectors counts.

        Args:
            query: (d,), of length 1.
            allowed: by position, whether a document may be found; shorter: none of the rest may.
        """
        rows = int(np.searchsorted(self._positions.values, len(allowed)))
        documents = self._positions.values[:rows]
        may = allowed[documents]
        few = np.flatnonzero(may) if may.sum() < rows / FEW else None
        if few is None:
            scores = np.where(may, self._coarsely(query, slice(0, rows)), -np.inf)
        else:
            scores, documents = self._coarsely(query, few), documents[few]
        # Several vectors of a document may be among the best; a long one has some dozens.
        asked = READ_AGAIN * limit
        while True:
            best = _greatest(scores, asked)
            if asked >= len(scores) or len(np.unique(documents[best])) >= limit:
                break
            asked *= 2
        best = best[np.isfinite(scores[best])]
        exact = self._finely(query, best if few is None else few[best])
        found = _best_of_each(documents[best], exact)
        nearest = sorted(found, key=lambda position: (-found[position], position))[:limit]
        return {position: found[position] for position in nearest}

    def cosines(
        self, query: NDArray[np.float32], positions: NDArray[np.intp]
    ) -> NDArray[np.float64]:
        """The cosine of each of given documents; NaN for those without a vector."""
        owners = self._positions.values
        first = np.searchsorted(owners, positions, "left")
        counts = np.searchsorted(owners, positions, "right") - first
        # All rows of each document: from its first on, as many as it has.
        steps = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        rows = np.repeat(first, counts) + steps
        best = np.full(len(positions), -np.inf)
        of = np.repeat(np.arange(len(positions)), counts)
        np.maximum.at(best, of, self._finely(query, rows))
        return np.where(counts > 0, best, np.nan)

    def _coarsely(
        self, query: NDArray[np.float32], chosen: slice | NDArray[np.intp]
    ) -> NDArray[np.float32]:
        """Cosines by the first plane, right to 0.004."""
        rows = self._coarse.values[chosen]
        if not len(rows):
            return np.empty(0, np.float32)
        asked = quantise(query[None])
        products = np.asarray(simsimd.cdist(asked.coarse, rows, metric="dot"))[0]
        scores: NDArray[np.float32] = products * self._scale.values[chosen] * asked.scale[0]
        return scores

    def _finely(self, query: NDArray[np.float32], rows: NDArray[np.intp]) -> NDArray[np.float32]:
        """Cosines by both planes."""
        whole = self._coarse.values[rows] + self._fine.values[rows] / np.float32(_FINE)
        cosines: NDArray[np.float32] = (whole @ query) * self._scale.values[rows]
        return cosines


def _best_of_each(owners: NDArray[np.int32], cosines: NDArray[np.float32]) -> dict[int, float]:
    """Position -> the greatest of its cosines."""
    found: dict[int, float] = {}
    for position, cosine in zip(owners.tolist(), cosines.tolist(), strict=True):
        found[position] = max(cosine, found.get(position, -1.0))
    return found


def _greatest(scores: NDArray[np.float32], count: int) -> NDArray[np.intp]:
    """The places of the greatest numbers, in no order."""
    if count >= len(scores):
        return np.arange(len(scores))
    return np.argpartition(scores, len(scores) - count)[len(scores) - count :]
