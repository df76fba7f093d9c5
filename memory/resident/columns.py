"""What is known of each document of a collection: a row of columns, in the order of doc.

Sessions, threads, authors, tags and roles are known by the hash that the database calculates.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memory.resident.growing import Growing

Positions = NDArray[np.int32]
Mask = NDArray[np.bool_]

COLUMNS: Mapping[str, Any] = {
    "doc": np.int64,
    "length": np.int32,
    "dated": np.int64,
    "thread": np.uint64,
    "sequence": np.int32,
    "session": np.uint64,
    "author": np.uint64,
    "tags": np.uint64,
    "role": np.uint64,
    "placed": np.bool_,
    "in_session": np.bool_,
    "asks": np.bool_,
    "only_asks": np.bool_,
    "alive": np.bool_,
}
"""dated: in microseconds since 1970, UTC. placed: thread and sequence say where it stands.
in_session: it is part of a session. asks: it ends with a question; only_asks: it is nothing else.
alive: not deleted."""

MAX_UNSORTED = 4_096
"""Documents that are looked through for neighbours; more are sorted in."""


class Columns:
    """The documents of one collection, by position."""

    def __init__(self) -> None:
        self._columns = {name: Growing(kind) for name, kind in COLUMNS.items()}
        # Where each document stands: thread + sequence, one number, for the first `len` documents.
        self._places: tuple[NDArray[np.uint64], Positions] = (
            np.empty(0, np.uint64), np.empty(0, np.int32),
        )  # fmt: skip
        self._sorted = 0

    def __len__(self) -> int:
        return len(self._columns["doc"])

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self._columns[name].values

    @property
    def nbytes(self) -> int:
        """The memory that is taken."""
        places = sum(array.nbytes for array in self._places)
        return places + sum(column.nbytes for column in self._columns.values())

    @property
    def newest(self) -> int:
        """The last document; 0 without any."""
        return int(self["doc"][-1]) if len(self) else 0

    def append(self, rows: Mapping[str, NDArray[Any]]) -> None:
        """Add documents, newer than all that are here."""
        for name, column in self._columns.items():
            column.append(rows[name])
        if len(self) - self._sorted > MAX_UNSORTED:
            keys = self._keys(slice(None))
            order = np.argsort(keys, kind="stable").astype(np.int32)
            self._places, self._sorted = (keys[order], order), len(self)

    def remove(self, doc: int) -> bool:
        """Note that a document is no more; False: it was not here, or was removed already."""
        at = int(np.searchsorted(self["doc"], doc))
        if at == len(self) or self["doc"][at] != doc or not self["alive"][at]:
            return False
        self["alive"][at] = False
        return True

    def seen(self, before_doc: int | None) -> int:
        """How many documents there are before a doc: positions below that count."""
        if before_doc is None:
            return len(self)
        return int(np.searchsorted(self["doc"], before_doc))

    def beside(self, positions: NDArray[np.intp], reach: int, seen: int) -> NDArray[np.intp]:
        """Given documents and those up to `reach` numbers away in their threads, by position."""
        placed = positions[self["placed"][positions]]
        steps = np.arange(-reach, reach + 1).astype(np.uint64)
        wanted = np.unique((self._keys(placed)[:, None] + steps).ravel())
        keys, order = self._places
        first = np.searchsorted(keys, wanted, "left")
        counts = np.searchsorted(keys, wanted, "right") - first
        places = np.repeat(first - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())
        late = np.arange(self._sorted, len(self))
        late = late[np.isin(self._keys(late), wanted)]
        found = np.unique(np.concatenate((order[places], late)))
        found = found[(found < seen) & self["placed"][found] & self["alive"][found]]
        return np.union1d(positions, found)

    def _keys(self, positions: NDArray[np.intp] | slice) -> NDArray[np.uint64]:
        # Threads are hashes: two of them are never close enough for their sequences to meet.
        return self["thread"][positions] + self["sequence"][positions].astype(np.uint64)
