"""A file that is on its way: NAME.gguf.part with what came, NAME.gguf.part.json with whence.

One process at a time writes it. What is there is taken up again only when it is of the same file:
by the SHA-256 that it shall have, or else by the server's own mark of this version (ETag).
"""

import hashlib
import os
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from pydantic import BaseModel, ValidationError

from agent.models.library.errors import PullBusy

if sys.platform != "win32":
    import fcntl

_READ_BYTES: Final = 1 << 20
_MAX_NOTE_BYTES: Final = 1 << 16


class Note(BaseModel):
    """What a part is a part of. source: what to pull to go on with it."""

    source: str
    url: str
    size_bytes: int | None = None
    sha256: str | None = None
    etag: str | None = None

    def is_of(self, other: "Note") -> bool:
        """Whether both are of the same bytes."""
        if self.sha256 or other.sha256:
            return self.sha256 == other.sha256
        return self.url == other.url and self.etag is not None


def part_path(target: Path) -> Path:
    """Where the part of a file is."""
    return target.with_name(target.name + ".part")


def note_path(target: Path) -> Path:
    """Where it says what it is a part of."""
    return target.with_name(target.name + ".part.json")


def read_note(target: Path) -> Note | None:
    """What is said of a part; None: nothing that can be read."""
    try:
        with note_path(target).open("rb") as file:
            return Note.model_validate_json(file.read(_MAX_NOTE_BYTES))
    except (OSError, ValidationError):
        return None


class PartFile:
    """An open part, for one process alone. Use it as a context manager."""

    def __init__(self, target: Path) -> None:
        """Open or make it.

        Raises:
            PullBusy: another process has it.
            OSError: it cannot be made.
        """
        self.target, self.path = target, part_path(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
        # Unbuffered: what came is in the file, whatever ends this process.
        self._file = os.fdopen(os.open(self.path, flags, 0o644), "r+b", buffering=0)
        try:
            self._lock()
        except BaseException:
            self._file.close()
            raise
        self.size_bytes = os.fstat(self._file.fileno()).st_size
        self._digest = hashlib.sha256()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()
        if self.size_bytes == 0:  # nothing to go on with
            self.discard()

    @property
    def sha256(self) -> str:
        """Of everything that is there."""
        return self._digest.hexdigest()

    def take_up(self, wanted: Note) -> Note:
        """Keep what is there when it is of the wanted file, and read it for its digest.

        Returns what is known of it now.
        """
        note = read_note(self.target)
        too_long = wanted.size_bytes is not None and self.size_bytes > wanted.size_bytes
        if note is None or not note.is_of(wanted) or too_long:
            self.restart()
            return wanted
        self._file.seek(0)
        while data := self._file.read(_READ_BYTES):
            self._digest.update(data)
        return note

    def restart(self) -> None:
        """Drop what is there."""
        self._file.truncate(0)
        self._file.seek(0)
        self.size_bytes, self._digest = 0, hashlib.sha256()

    def describe(self, note: Note) -> None:
        """Write down what it is a part of."""
        note_path(self.target).write_text(note.model_dump_json() + "\n", encoding="utf-8")

    def append(self, data: bytes) -> None:
        """Add what came."""
        left = memoryview(data)
        while left:  # a raw file may take less than it is given
            written = self._file.write(left) or 0
            left = left[written:]
        self._digest.update(data)
        self.size_bytes += len(data)

    def finish(self) -> None:
        """Give it its name: from now on the file is there, whole."""
        os.fsync(self._file.fileno())
        if sys.platform == "win32":  # which renames no open file, and has no lock to keep
            self._file.close()
        self.path.replace(self.target)
        note_path(self.target).unlink(missing_ok=True)

    def discard(self) -> None:
        """Delete it."""
        for path in (self.path, note_path(self.target)):
            with suppress(OSError):
                path.unlink()

    def _lock(self) -> None:
        if sys.platform == "win32":
            return
        busy = PullBusy(f"another mnemon is fetching {self.target.name} right now; wait for it")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise busy from None
        # Between opening and locking another process may have given it its final name.
        if not self.path.exists() or not os.path.samestat(
            os.fstat(self._file.fileno()), self.path.stat()
        ):
            raise busy
