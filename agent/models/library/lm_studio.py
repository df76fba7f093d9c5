"""LM Studio's models: MODELS/PUBLISHER/REPO/*.gguf, in its own folder or in one that was chosen."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from agent.models.library.candidates import Candidate, gguf_files

MAX_SETTINGS_BYTES: Final = 1 << 20


def find(home: Path) -> Iterator[Candidate]:
    """Every GGUF file of one installation.

    Args:
        home: LM Studio's own directory; its settings.json may name another one for models.
    """
    for root in dict.fromkeys((_chosen(home / "settings.json"), home / "models")):
        if root is not None:
            for path in gguf_files(root):
                source = path.parent.relative_to(root).as_posix()
                yield Candidate(path, "lm-studio", "" if source == "." else source)


def _chosen(settings: Path) -> Path | None:
    """The folder a person chose, when there is one that can be."""
    try:
        with settings.open("rb") as file:
            content = json.loads(file.read(MAX_SETTINGS_BYTES))
        folder = Path(content["downloadsFolder"])
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    return folder if folder.is_absolute() else None
