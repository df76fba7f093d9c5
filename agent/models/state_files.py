"""Saved states of agents on disk, so that a restart is warm: a directory of bounded size.

A file holds the tokens an agent's window had and the keys and values computed for them; tokens are
the conversation, so files are for their owner only. llama.cpp trusts what it is given and may end
the process over a damaged state: a file counts only when its checksum is right and it was written
for this model by this version. Any other is removed. Nothing here raises for a bad file or a full
disk: it is a cache.

Layout, little endian: magic, length of the header, header (JSON), tokens (int32), state, CRC-32 of
everything before. prefixes.py decides what is written and when.
"""

import hashlib
import json
import os
import re
import struct
import sys
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

_MAGIC: Final = b"mnemonkv"
_PREFIX: Final = struct.Struct("<8sI")
_CHECKSUM: Final = struct.Struct("<I")
_MAX_HEADER_BYTES: Final = 4096
_PIECE_BYTES: Final = 8 * 1024 * 1024  # written at once; after each it is asked whether to go on
_SUFFIX: Final = ".kv"
_TRIED: Final = ".tried"  # being given to the engine; still so named after a crash
_PART: Final = re.compile(r"-00001-of-(\d{5})\.gguf$")
_FINGERPRINTED_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class StateFile:
    """A file whose header is right; its state was not read yet."""

    path: Path
    tokens: tuple[int, ...]
    state_bytes: int


class StateFiles:
    """The states of one model's agents in a directory that holds other models' too.

    Args:
        directory: made when it is missing.
        limit_bytes: of all files together; the ones longest unused go first.
        fingerprint: of the model, and of all else a state depends on; see model_fingerprint.
    """

    def __init__(self, directory: Path, limit_bytes: int, fingerprint: str) -> None:
        self._directory, self._limit, self._fingerprint = directory, limit_bytes, fingerprint
        for left_over in (*directory.glob("*.tmp"), *directory.glob(f"*{_TRIED}")):
            left_over.unlink(missing_ok=True)
        self._make_room(0)

    def find(self, agent_id: str, window: int) -> StateFile | None:
        """Give the agent's file when it is one for this model and fits the window."""
        path = self._path(agent_id)
        try:
            with path.open("rb") as file:
                header, start = _read_header(file.read(_MAX_HEADER_BYTES))
                whole = start + 4 * header["tokens"] + header["bytes"] + _CHECKSUM.size
                if os.fstat(file.fileno()).st_size != whole or header["model"] != self._fingerprint:
                    raise _Damaged
                file.seek(start)
                tokens = struct.unpack(f"<{header['tokens']}i", file.read(4 * header["tokens"]))
        except FileNotFoundError:
            return None
        except (OSError, struct.error, _Damaged):
            self._remove(path)
            return None
        return StateFile(path, tokens, header["bytes"]) if len(tokens) <= window else None

    def load(self, file: StateFile, room: memoryview, give: Callable[[], bool]) -> bool:
        """Read a state and give it to the engine; a file that is damaged or not taken is removed.

        Args:
            room: of file.state_bytes, read into.
            give: gives the room to the engine; says whether it took it.
        """
        tried = file.path.with_suffix(_TRIED)
        try:
            if not _read_whole(file, room):
                raise _Damaged
            file.path.rename(tried)
            if not give():
                raise _Damaged
            tried.rename(file.path)
            os.utime(file.path)
        except (OSError, _Damaged):
            self._remove(file.path)
            self._remove(tried)
            return False
        return True

    def write(
        self, agent_id: str, tokens: Sequence[int], state: memoryview, go_on: Callable[[], bool]
    ) -> bool:
        """Write an agent's state in place of its last one; False: too large, told not to go on.

        Atomic: whoever reads finds the old file or the new one.
        """
        path = self._path(agent_id)
        temporary = path.with_suffix(".tmp")
        head = _header(self._fingerprint, tokens, state)
        size = len(head) + state.nbytes + _CHECKSUM.size
        replaced = path.stat().st_size if path.exists() else 0
        if size > self._limit:
            return False
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._make_room(size - replaced, keep=path)
            done = _write_whole(temporary, head, state, go_on)
            if done:
                temporary.replace(path)
        except OSError as error:
            sys.stderr.write(f"the key-value cache cannot be written: {error}\n")
            done = False
        if not done:
            self._remove(temporary)
        return done

    def forget(self, agent_id: str) -> None:
        """Remove what is kept of an agent."""
        self._remove(self._path(agent_id))

    def _path(self, agent_id: str) -> Path:
        """Agent first, so that all of an agent's can be found; hashed, so that any id is a name."""
        names = (
            _hash(agent_id.encode("utf-8", "surrogatepass")),
            _hash(self._fingerprint.encode()),
        )
        return self._directory / f"{names[0]}-{names[1]}{_SUFFIX}"

    def _make_room(self, wanted: int, keep: Path | None = None) -> None:
        files = []
        for path in self._directory.glob(f"*{_SUFFIX}"):
            with suppress(OSError):
                status = path.stat()
                files.append((status.st_mtime_ns, status.st_size, path))
        used = sum(size for _, size, _ in files)
        for _, size, path in sorted(files):
            if used + wanted <= self._limit:
                break
            if path != keep:
                self._remove(path)
                used -= size

    def _remove(self, path: Path) -> None:
        with suppress(OSError):
            path.unlink(missing_ok=True)


def forget_agent(directory: Path, agent_id: str) -> None:
    """Remove an agent's files of all models."""
    name = _hash(agent_id.encode("utf-8", "surrogatepass"))
    for path in directory.glob(f"{name}-*"):
        path.unlink(missing_ok=True)


def model_fingerprint(path: Path, *kinds: str) -> str:
    """Tell models apart without reading gigabytes: sizes, times, and the first part's metadata.

    Args:
        path: of a split model, the first part.
        kinds: what else makes states differ.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        digest.update(file.read(_FINGERPRINTED_BYTES))
    for part in model_parts(path):
        status = part.stat()
        digest.update(f"{status.st_size} {status.st_mtime_ns}\n".encode())
    for kind in kinds:
        digest.update(kind.encode() + b"\0")
    return digest.hexdigest()


def model_parts(path: Path) -> list[Path]:
    """All files of a model, the given one first."""
    match = _PART.search(path.name)
    if match is None:
        return [path]
    stem, count = path.name[: match.start()], int(match[1])
    parts = [path.with_name(f"{stem}-{n:05}-of-{count:05}.gguf") for n in range(2, count + 1)]
    return [path, *(part for part in parts if part.exists())]


class _Damaged(Exception):
    """The file is not what it should be."""


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:24]


def _header(fingerprint: str, tokens: Sequence[int], state: memoryview) -> bytes:
    members = {"model": fingerprint, "tokens": len(tokens), "bytes": state.nbytes}
    text = json.dumps(members).encode("ascii")
    return _PREFIX.pack(_MAGIC, len(text)) + text + struct.pack(f"<{len(tokens)}i", *tokens)


def _read_header(data: bytes) -> tuple[dict[str, Any], int]:
    """Give the header and where the tokens start."""
    try:
        magic, length = _PREFIX.unpack_from(data)
        start = _PREFIX.size + length
        header = json.loads(data[_PREFIX.size : start])
        sizes = (header["tokens"], header["bytes"])
        well_formed = isinstance(header["model"], str) and all(type(n) is int for n in sizes)
    except (struct.error, ValueError, RecursionError, KeyError, TypeError):
        raise _Damaged from None
    if magic != _MAGIC or not well_formed or min(sizes) < 0 or start > len(data):
        raise _Damaged
    return header, start


def _read_whole(file: StateFile, room: memoryview) -> bool:
    """Read the state into room; says whether all of the file is as it was written."""
    with file.path.open("rb", buffering=0) as source:
        before = os.fstat(source.fileno()).st_size - file.state_bytes - _CHECKSUM.size
        checksum = zlib.crc32(source.read(before))
        view = room[: file.state_bytes]
        while view and (count := source.readinto(view)):
            checksum = zlib.crc32(view[:count], checksum)
            view = view[count:]
        return not view and source.read() == _CHECKSUM.pack(checksum)


def _write_whole(path: Path, head: bytes, state: memoryview, go_on: Callable[[], bool]) -> bool:
    checksum = zlib.crc32(head)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb", buffering=0) as file:
        file.write(head)
        for start in range(0, state.nbytes, _PIECE_BYTES):
            if not go_on():
                return False
            piece = state[start : start + _PIECE_BYTES]
            checksum = zlib.crc32(piece, checksum)
            while piece:
                piece = piece[file.write(piece) :]
        file.write(_CHECKSUM.pack(checksum))
    return True
