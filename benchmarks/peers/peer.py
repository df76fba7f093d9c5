"""What a peer is: a memory that takes items and is asked for the best ones."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol, TypeAlias

from memory.terms import indexed_text

BENCH = Path(__file__).resolve().parents[2] / ".bench"
"""Where peers are installed, with what they need, once."""


class Absent(Exception):
    """A peer cannot be had here; the message says why, without anybody's paths or hosts."""


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to remember. occurred_at: ISO, in UTC."""

    id: str
    text: str
    author: str | None = None
    session: str | None = None
    occurred_at: str | None = None

    @property
    def whole(self) -> str:
        """The text with its day and author in it, for peers that take nothing but a text."""
        moment = None if self.occurred_at is None else datetime.fromisoformat(self.occurred_at)
        return indexed_text(self.text, self.author, moment)


class Peer(Protocol):
    """A memory; `reset` comes before anything else."""

    def reset(self) -> None:
        """Begin with an empty one."""

    def add(self, items: Sequence[Item]) -> None:
        """Store all, one call for each; returns when they can be found."""

    def search(self, question: str, limit: int) -> list[str]:
        """The ids of at most so many items, best first."""

    def cpu_s(self) -> float:
        """CPU seconds so far, of all processes that work for it."""


Opened: TypeAlias = AbstractContextManager[Peer]
Opener: TypeAlias = Callable[[], Opened]
"""Makes a peer, and installs it if it must. Raises Absent on entering."""
