"""What can go wrong with an embedder; each message says what to do.

EmbedderError (a MemoryStoreError)
├── UnknownEmbedder          the configuration names one we do not have
├── EmbedderLibraryMissing   it needs a library that is not installed
├── EmbedderModelMissing     it names a model that is not on this machine
└── EmbedderInvalid          the files of the model are missing, altered or of no use
"""

from collections.abc import Sequence
from pathlib import Path

from memory.errors import MemoryStoreError


class EmbedderError(MemoryStoreError):
    """An embedder cannot be had; the operator can change that, a retry cannot."""


class UnknownEmbedder(EmbedderError):
    """The specification names no embedder."""

    def __init__(self, spec: str, known: Sequence[str]) -> None:
        self.spec, self.known = spec, tuple(known)
        super().__init__(f"unknown embedder {spec!r}; it can be {' or '.join(known)}")


class EmbedderLibraryMissing(EmbedderError):
    """The embedder needs a library that is not installed."""

    def __init__(self, spec: str, library: str, install: str) -> None:
        self.spec, self.library, self.install = spec, library, install
        super().__init__(
            f"embedder {spec!r} needs {library}, which is not installed; install it with: {install}"
        )


class EmbedderModelMissing(EmbedderError):
    """The model is neither a folder nor in the local cache, and nothing is ever fetched."""

    def __init__(self, model: str) -> None:
        self.model = model
        super().__init__(
            f"the embedding model {model!r} is not on this machine, and mnemon never fetches one; "
            "download it first (hf download ORGANISATION/MODEL), or give the path of its folder"
        )


class EmbedderInvalid(EmbedderError):
    """A file of the model is missing, altered or of no use."""

    def __init__(self, path: Path, problem: str, remedy: str) -> None:
        self.path, self.problem, self.remedy = path, problem, remedy
        super().__init__(f"{path}: {problem}; {remedy}")
