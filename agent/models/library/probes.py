"""What probing found out about each model, in one file, models.json of the data directory.

Kept by a fingerprint of the model's file, so that a file that was replaced is a model nobody knows,
and one that was moved is the same. The file is a cache: unreadable, it counts as empty.
"""

import hashlib
import secrets
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from agent.errors import ModelFileInvalid
from agent.models.library.catalogue import FoundModel, open_model
from agent.models.library.errors import ProbeNotKept
from agent.models.transcript import CallStyle

FILE_NAME: Final = "models.json"
MAX_BYTES: Final = 4 << 20

CallsTools = Literal["by itself", "when held to it", "no"]
WindowLimit = Literal["setting", "default", "training", "memory"]


class Probe(BaseModel):
    """What a model can, as it was tried on this machine.

    mode: how its calls are to be written; None: it does not load. problem: why it does not load, or
    what went wrong in the trial. window_limit: what kept the window from being larger.
    """

    model_config = ConfigDict(frozen=True)

    loads: bool
    problem: str = ""
    mode: CallStyle | None = None
    window_tokens: int | None = None
    window_limit: WindowLimit | None = None
    calls_tools: CallsTools | None = None
    answers_after_call: bool | None = None
    prefill_tokens_per_s: float | None = None
    generation_tokens_per_s: float | None = None
    memory_bytes: int | None = None
    probed_at: str = ""

    @property
    def works(self) -> bool:
        """Whether an agent can think with it."""
        return self.loads and self.calls_tools != "no" and bool(self.answers_after_call)


class _Stored(BaseModel):
    version: Literal[1] = 1
    probes: dict[str, Probe] = {}


class ProbeStore:
    """The probes of one data directory."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE_NAME

    def all(self) -> Mapping[str, Probe]:
        """Every probe, by fingerprint."""
        return self._read().probes

    def get(self, model: FoundModel) -> Probe | None:
        """What is known of a model; None: it was not probed, or its file is another one now."""
        return self.all().get(fingerprint(model))

    def put(self, model: FoundModel, probe: Probe) -> None:
        """Keep what was found out.

        Raises:
            ProbeNotKept: the file cannot be written.
        """
        stored = self._read()
        stored.probes[fingerprint(model)] = probe
        self._write(stored)

    def forget(self, stale: str) -> None:
        """Drop what is known of a fingerprint."""
        stored = self._read()
        if stored.probes.pop(stale, None) is not None:
            self._write(stored)

    def _read(self) -> _Stored:
        try:
            with self._path.open("rb") as file:
                return _Stored.model_validate_json(file.read(MAX_BYTES))
        except (OSError, ValidationError):
            return _Stored()

    def _write(self, stored: _Stored) -> None:
        draft = self._path.with_name(f".{FILE_NAME}.{secrets.token_hex(8)}")
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            draft.write_text(stored.model_dump_json(indent=1) + "\n", encoding="utf-8")
            draft.replace(self._path)  # whole or not at all
        except OSError as error:
            raise ProbeNotKept(self._path, error.strerror) from error
        finally:
            with suppress(OSError):
                draft.unlink()


def fingerprint(model: FoundModel) -> str:
    """Stands for a model's files as they are: sizes, times of change, and what the headers say."""
    parts = [model.facts.digest]
    for file in model.files:
        found = file.stat()
        parts.append(f"{found.st_size} {found.st_mtime_ns}")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def stored_mode(directory: Path, path: Path) -> CallStyle | None:
    """The style of calls that probing chose for a file; None: ask the model itself.

    Args:
        directory: the data directory.
        path: the model's file, of a split one the first part.
    """
    if not (directory / FILE_NAME).exists():
        return None
    try:
        probe = ProbeStore(directory).get(open_model(path))
    except (ModelFileInvalid, OSError):
        return None  # whoever loads it will say
    return probe.mode if probe else None
