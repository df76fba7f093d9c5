"""Errors of finding and getting models.

ModelError
└── LibraryError         the message says what to do
    ├── UnknownModel     no model on this machine has this name
    ├── AmbiguousModel   several have it
    ├── SourceUnclear    what is to be pulled is no repository, URL or known short name
    ├── HubRefused       the hub has no such repository or file, or does not give it
    ├── NoRoom           the disk is too full
    ├── DownloadFailed   the file did not come, or is not what it should be
    ├── PullBusy         another process is fetching the same file
    └── ProbeNotKept     what was found out about a model cannot be written down
"""

from collections.abc import Sequence
from pathlib import Path

from agent.errors import ModelError


class LibraryError(ModelError):
    """A model cannot be found or got."""


class UnknownModel(LibraryError):
    """No model on this machine has this name."""

    def __init__(self, name: str, close: Sequence[str]) -> None:
        self.name, self.close = name, tuple(close)
        meant = f"; did you mean {' or '.join(close)}?" if close else ""
        super().__init__(
            f"there is no model {name!r} on this machine{meant}"
            " (`mnemon models list` shows them all, `mnemon models pull` gets others)"
        )


class AmbiguousModel(LibraryError):
    """Several models have this name."""

    def __init__(self, name: str, names: Sequence[str]) -> None:
        self.name, self.names = name, tuple(names)
        super().__init__(f"{name!r} may be any of {', '.join(names)}; use one of these names")


class SourceUnclear(LibraryError):
    """What is to be pulled cannot be read."""


class HubRefused(LibraryError):
    """The hub does not give what was asked for."""


class NoRoom(LibraryError):
    """The disk is too full."""


class DownloadFailed(LibraryError):
    """The file did not come, or is not what it should be."""


class PullBusy(LibraryError):
    """Another process is fetching the same file."""


class ProbeNotKept(LibraryError):
    """What was found out about a model cannot be written down."""

    def __init__(self, path: Path, problem: str | None) -> None:
        self.path = path
        super().__init__(f"what was found out is not kept: {path} cannot be written: {problem}")
