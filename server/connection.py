"""Who is at the other end of a connection to the owner."""

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

_MAX_HOST_CHARS: Final = 100  # a client's name is stored with every change it makes


@dataclass(slots=True)
class Peer:
    """A front, and the host behind it.

    front: an id that the front keeps when it connects again, to this owner or to the next.
    host: the client program's name, once it has said it.
    """

    front: str
    pid: int
    since: str
    host: str = "unknown"


current_peer: ContextVar[Peer | None] = ContextVar("current_peer", default=None)
"""The peer whose request is being answered; None over HTTP and in one process."""


def printable_name(name: object) -> str:
    """A client's name as it can be stored and shown: short and printable, or "unknown"."""
    given = name if isinstance(name, str) else ""
    shown = "".join(char for char in given if char.isprintable())
    return shown[:_MAX_HOST_CHARS].strip() or "unknown"
