"""What a workspace (workspace.py) is bounded by, and what it tells."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sandbox.policy import MIB, Policy

Kind = Literal["file", "folder", "other"]


@dataclass(frozen=True, slots=True)
class WorkspaceLimits:
    """How large a workspace may become. file_bytes: one file."""

    total_bytes: int = 128 * MIB
    entries: int = 10_000
    file_bytes: int = 64 * MIB


def limits_of(policy: Policy) -> WorkspaceLimits:
    """The limits that runs under this policy have."""
    return WorkspaceLimits(policy.workspace_bytes, policy.workspace_entries)


@dataclass(frozen=True, slots=True)
class Entry:
    """What a folder holds. kind "other": a link, fifo, socket or device, which is never opened."""

    name: str
    kind: Kind
    size_bytes: int
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class Listing:
    """A page of a folder, by name. next_cursor: of the next page; None at the end."""

    entries: tuple[Entry, ...]
    next_cursor: str | None = None


@dataclass(frozen=True, slots=True)
class FilePart:
    """Bytes of a file, from an offset; size_bytes: of the whole file."""

    data: bytes
    offset: int
    size_bytes: int
