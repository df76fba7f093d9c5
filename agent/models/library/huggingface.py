"""The cache of the Hugging Face hub: models--ORG--REPO/snapshots/REVISION/FILE -> ../../blobs/HASH.

A file of a snapshot is a link into blobs of the same repository, or a plain file where the system
has no links. A link that leads anywhere else was not made by the hub and is left alone.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from agent.models.library.candidates import Candidate, gguf_files, sorted_entries

_PREFIX: Final = "models--"


def find(root: Path) -> Iterator[Candidate]:
    """Every GGUF file of every repository, of its newest snapshot first."""
    for entry in sorted_entries(root):
        if entry.name.startswith(_PREFIX) and entry.is_dir(follow_symlinks=False):
            repository = Path(entry.path)
            source = entry.name.removeprefix(_PREFIX).replace("--", "/")
            for path in _files(repository):
                yield Candidate(path, "huggingface", source)


def _files(repository: Path) -> Iterator[Path]:
    # Links of a link's target are resolved on both sides: the cache itself may be one.
    inside = os.path.realpath(repository) + os.sep
    snapshots = [e for e in sorted_entries(repository / "snapshots") if e.is_dir()]
    for snapshot in sorted(snapshots, key=lambda e: e.stat().st_mtime, reverse=True):
        for path in gguf_files(Path(snapshot.path)):
            if os.path.realpath(path).startswith(inside):
                yield path
