"""Workspaces of agents that are gone, remembered for runs that still write into them."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Final

REMEMBERED: Final = 1_000
"""More than agents are deleted while one call, at most five minutes, finds its way to its run."""


class DeletedWorkspaces:
    """Bounded: the last ones, and those that a run is in. May be asked from any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._deleted = dict[Path, None]()
        self._in_use = Counter[Path]()

    def __contains__(self, folder: Path | None) -> bool:
        return folder in self._deleted

    def __len__(self) -> int:
        return len(self._deleted)

    def add(self, folder: Path) -> None:
        """Remember one, and forget the oldest that nobody is in."""
        with self._lock:
            self._deleted[folder] = None
            for oldest in list(self._deleted)[: max(0, len(self._deleted) - REMEMBERED)]:
                if oldest not in self._in_use:
                    del self._deleted[oldest]

    @contextmanager
    def in_use(self, folder: Path | None) -> Iterator[None]:
        """While inside, this one is not forgotten."""
        if folder is None:
            yield
            return
        with self._lock:
            self._in_use[folder] += 1
        try:
            yield
        finally:
            with self._lock:
                self._in_use[folder] -= 1
                if not self._in_use[folder]:
                    del self._in_use[folder]
