"""Files that may be models, as the modules of each cache find them; nobody has opened them yet."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

Origin = Literal["mnemon", "huggingface", "lm-studio", "ollama"]

TITLES: Final[dict[Origin, str]] = {
    "mnemon": "mnemon",
    "huggingface": "Hugging Face",
    "lm-studio": "LM Studio",
    "ollama": "Ollama",
}

MAX_DEPTH: Final = 6
MAX_ENTRIES: Final = 100_000
"""Of one directory of models, with all below it; what is more is no directory of models."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file that may be a model, or one part of one.

    source: what its program calls the place it came from, as ORG/REPO; may be empty.
    name: its short name when the program has one of its own; empty: that of the file.
    """

    path: Path
    origin: Origin
    source: str = ""
    name: str = ""


def gguf_files(root: Path) -> Iterator[Path]:
    """Every GGUF file below a directory, in the order of the names.

    Links to files are followed, for people keep models elsewhere; links to directories are not, for
    they may lead in circles.
    """
    budget = MAX_ENTRIES
    stack = [(root, 0)]
    while stack:
        directory, depth = stack.pop()
        entries = sorted_entries(directory, budget)
        budget -= len(entries)
        deeper = []
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if depth < MAX_DEPTH:
                    deeper.append((Path(entry.path), depth + 1))
            elif entry.name.lower().endswith(".gguf") and is_plain_file(Path(entry.path)):
                yield Path(entry.path)
        stack += reversed(deeper)


def sorted_entries(directory: Path, most: int = MAX_ENTRIES) -> "list[os.DirEntry[str]]":
    """What is in a directory, by name, at most so many; nothing when it cannot be read."""
    found = list[os.DirEntry[str]]()
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                if len(found) >= most:
                    break
                found.append(entry)
    except OSError:
        return []
    return sorted(found, key=lambda entry: entry.name)


def is_plain_file(path: Path) -> bool:
    """Whether it is, or leads to, a plain file."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except (OSError, ValueError):
        return False
