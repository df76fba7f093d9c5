"""mnemon's own models: DATA/models, by repository as pulled, or as a person put them there."""

from collections.abc import Iterator
from pathlib import Path

from agent.models.library.candidates import Candidate, gguf_files


def find(root: Path) -> Iterator[Candidate]:
    """Every GGUF file there."""
    for path in gguf_files(root):
        source = path.parent.relative_to(root).as_posix()
        yield Candidate(path, "mnemon", "" if source == "." else source)
