"""An array that grows at its end, and keeps room for it: n appends cost n, not n squared."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

_ROOM = 1.25
"""Times what is needed; a collection grows slowly, and doubling would waste half of the memory."""


class Growing:
    """Rows of one type. `width`: of a row; None: a row is one number."""

    def __init__(self, dtype: DTypeLike, width: int | None = None) -> None:
        self._rows = np.empty((0,) if width is None else (0, width), dtype)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def values(self) -> NDArray[Any]:
        """All rows: a view that later appends leave as it is."""
        return self._rows[: self._count]

    @property
    def nbytes(self) -> int:
        """The memory that is taken, room for more included."""
        return self._rows.nbytes

    def append(self, rows: ArrayLike) -> None:
        """Add rows at the end."""
        added = np.asarray(rows, self._rows.dtype)
        needed = self._count + len(added)
        if needed > len(self._rows):
            # The first rows are mostly all there is for long: no room is kept for them.
            room = needed if not self._count else int(needed * _ROOM) + 16
            grown = np.empty((room, *self._rows.shape[1:]), self._rows.dtype)
            grown[: self._count] = self.values
            self._rows = grown
        self._rows[self._count : needed] = added
        self._count = needed
