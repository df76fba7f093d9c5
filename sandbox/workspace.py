"""The files of one agent's workspace, which untrusted code may have made and be changing now.

Everything is opened beneath the folder, without following anything (beneath.py), and only plain
files of the folder's own user are read. Writes appear whole or not at all. Trees are counted and
deleted in workspace_trees.py. It blocks, so it is called on a thread.
"""

import heapq
import os
import secrets
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from sandbox.beneath import CREATE, FOLDER, READ, open_beneath
from sandbox.errors import FileMissing, FileRefused, WorkspaceFull
from sandbox.policy import MIB
from sandbox.workspace_paths import file_names_of, names_of, shown_name
from sandbox.workspace_records import Entry, FilePart, Kind, Listing, WorkspaceLimits
from sandbox.workspace_refusals import told
from sandbox.workspace_trees import Usage, delete_tree, open_closed, used

MAX_READ_BYTES: Final = MIB
PAGE_ENTRIES: Final = 200
_CHUNK_BYTES: Final = MIB


class Workspace:
    """The files of one workspace.

    Args:
        root: its folder. It is made by the first write; its parent must be there, and in it nobody
            else may rename.
        owner: uid and gid that its files have where the server is root; None: the server's own.
        walk: never use openat2 (beneath.py).

    Every method raises FileRefused for a path that cannot be, FileMissing where nothing is there,
    and OSError only where the disk fails.
    """

    def __init__(
        self,
        root: Path,
        limits: WorkspaceLimits | None = None,
        owner: tuple[int, int] | None = None,
        walk: bool = False,
    ) -> None:
        self._root, self.limits = root, limits or WorkspaceLimits()
        self._owner, self._walk = owner, walk

    def listing(
        self, path: str = "", cursor: str | None = None, limit: int = PAGE_ENTRIES
    ) -> Listing:
        """What a folder holds, in the order of names; cursor: as the page before gave it."""
        try:
            after = None if cursor is None else os.fsencode(bytes.fromhex(cursor))
        except ValueError:
            raise FileRefused(
                cursor or "", "is no cursor of a listing; start without one"
            ) from None
        limit = max(1, min(limit, PAGE_ENTRIES))
        names = names_of(path)
        if not names and not self._root.exists():
            return Listing(())
        with self._opened(path, names, FOLDER) as folder:
            with os.scandir(folder) as entries:
                found = (os.fsencode(entry.name) for entry in entries)
                page = heapq.nsmallest(
                    limit + 1, (name for name in found if after is None or name > after)
                )
            shown = [self._entry(folder, name) for name in page[:limit]]
        more = len(page) > limit
        return Listing(
            tuple(entry for entry in shown if entry is not None),
            page[limit - 1].hex() if more else None,
        )

    def read(self, path: str, offset: int = 0, max_bytes: int = MAX_READ_BYTES) -> FilePart:
        """Part of a file; at most MAX_READ_BYTES."""
        if offset < 0 or max_bytes < 0:
            raise FileRefused(path, "is read from an offset and up to a size that are not negative")
        with self._opened(path, file_names_of(path), READ) as file:
            status = self._checked(path, file)
            data = os.pread(file, min(max_bytes, MAX_READ_BYTES), offset)
        return FilePart(data, offset, max(status.st_size, offset + len(data)))

    def write(self, path: str, data: bytes, append: bool = False) -> int:
        """Write a file, with the folders that it is in, and return its size in bytes.

        Raises:
            WorkspaceFull: it would be too much; nothing was written.
        """
        names = file_names_of(path)
        self._make_root()
        with self._opened("", (), FOLDER) as root:
            old = self._size_of(root, path, names)
            size = len(data) + (old or 0 if append else 0)
            missing = 0 if old is not None else 1 + self._missing(root, names[:-1])
            self._check_room(root, size - (old or 0), size, missing)
        with self._parent(path, names) as folder:
            return self._replace(folder, path, names[-1], data, append)

    def delete(self, path: str) -> int:
        """Delete a file, a folder with all that is in it, or "." for everything.

        Returns how many files and folders are gone.
        """
        names = names_of(path)
        if not names:
            if path != ".":
                raise FileRefused(path, 'names nothing; "." deletes everything')
            with self._opened(path, (), FOLDER) as root:
                return delete_tree(root, self._walk)
        with self._opened(path, names[:-1], FOLDER) as parent, told(path):
            status = os.stat(names[-1], dir_fd=parent, follow_symlinks=False)
            if not stat.S_ISDIR(status.st_mode):
                os.unlink(names[-1], dir_fd=parent)
                return 1
            folder = open_closed(parent, names[-1], self._walk)
            try:
                gone = delete_tree(folder, self._walk)
            finally:
                os.close(folder)
            os.rmdir(names[-1], dir_fd=parent)
            return gone + 1

    def usage(self) -> Usage:
        """How much is in it."""
        if not self._root.exists():
            return Usage(0, 0)
        with self._opened("", (), FOLDER) as root:
            return used(root, self._walk, 2 * self.limits.entries)

    @contextmanager
    def _opened(self, path: str, names: Sequence[str], flags: int) -> Iterator[int]:
        with told(path):
            root = os.open(self._root, FOLDER)
        try:
            with self._opened_at(root, path, names, flags) as opened:
                yield opened
        finally:
            os.close(root)

    @contextmanager
    def _opened_at(self, folder: int, path: str, names: Sequence[str], flags: int) -> Iterator[int]:
        with told(path):
            opened = open_beneath(folder, names, flags, self._walk)
        try:
            yield opened
        finally:
            os.close(opened)

    def _entry(self, folder: int, name: bytes) -> Entry | None:
        try:
            status = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:  # gone meanwhile
            return None
        kind: Kind = "other"
        if stat.S_ISREG(status.st_mode):
            kind = "file"
        elif stat.S_ISDIR(status.st_mode):
            kind = "folder"
        size = status.st_size if kind == "file" else 0
        # A program may set any time, also one that no datetime holds.
        seconds = min(max(status.st_mtime, 0), 253_000_000_000)
        return Entry(
            shown_name(os.fsdecode(name)), kind, size, datetime.fromtimestamp(seconds, UTC)
        )

    def _checked(self, path: str, file: int) -> os.stat_result:
        """What an open file is.

        Raises:
            FileRefused: no plain file, or not of this workspace alone.
        """
        status = os.fstat(file)
        if stat.S_ISDIR(status.st_mode):
            raise FileRefused(path, "is a folder")
        if not stat.S_ISREG(status.st_mode):
            raise FileRefused(path, "is no plain file")
        if status.st_nlink > 1:
            raise FileRefused(path, "has another name too (a hard link), so it is not opened")
        owner = os.geteuid() if self._owner is None else self._owner[0]
        if status.st_uid != owner:
            raise FileRefused(path, "belongs to another user, so it is not opened")
        return status

    def _make_root(self) -> None:
        try:
            self._root.mkdir(mode=0o700)
        except FileExistsError:
            return
        if self._owner is not None:
            os.chown(self._root, *self._owner, follow_symlinks=False)

    def _size_of(self, root: int, path: str, names: Sequence[str]) -> int | None:
        """The size of a file; None: there is none yet."""
        try:
            with self._opened_at(root, path, names, READ) as file:
                return self._checked(path, file).st_size
        except FileMissing:
            return None

    def _missing(self, root: int, names: Sequence[str]) -> int:
        """How many of these folders are to be made."""
        for count in range(len(names)):
            try:
                with self._opened_at(root, "/".join(names), names[: count + 1], FOLDER):
                    continue
            except FileMissing:
                return len(names) - count
        return 0

    def _check_room(self, root: int, more_bytes: int, file_bytes: int, more_entries: int) -> None:
        limits = self.limits
        if file_bytes > limits.file_bytes:
            raise WorkspaceFull(
                f"a file has at most {limits.file_bytes} bytes, not {file_bytes}",
                "make several of it",
            )
        now = used(root, self._walk, limits.entries)
        if now.entries > limits.entries:
            raise WorkspaceFull(f"the workspace holds more than {limits.entries} files and folders")
        if not now.complete:
            raise WorkspaceFull(
                "folders of the workspace are nested too deep, or closed, so they cannot be counted"
            )
        if more_bytes > 0 and now.total_bytes + more_bytes > limits.total_bytes:
            raise WorkspaceFull(
                f"the workspace holds {now.total_bytes} of {limits.total_bytes} bytes"
            )
        if more_entries > 0 and now.entries + more_entries > limits.entries:
            raise WorkspaceFull(
                f"the workspace holds {now.entries} of {limits.entries} files and folders"
            )

    @contextmanager
    def _parent(self, path: str, names: Sequence[str]) -> Iterator[int]:
        """The folder that a file is to be in, made with those above it where they are missing."""
        with told(path):
            here = os.open(self._root, FOLDER)
        try:
            for name in names[:-1]:
                with told(path):
                    try:
                        os.mkdir(name, 0o700, dir_fd=here)
                        made = True
                    except FileExistsError:
                        made = False
                    there = open_beneath(here, (name,), FOLDER, self._walk)
                os.close(here)
                here = there
                if made and self._owner is not None:
                    os.fchown(here, *self._owner)
            yield here
        finally:
            os.close(here)

    def _replace(self, folder: int, path: str, name: str, data: bytes, append: bool) -> int:
        temporary = f".mnemon-{secrets.token_hex(8)}.part"
        with told(path):
            file = open_beneath(folder, (temporary,), CREATE, self._walk)
        try:
            size = self._copied(folder, path, name, file) if append else 0
            size += _write_all(file, data)
            if self._owner is not None:
                os.fchown(file, *self._owner)
            with told(path):
                os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            _unlink_if_there(folder, temporary)
            raise
        finally:
            os.close(file)
        return size

    def _copied(self, folder: int, path: str, name: str, to: int) -> int:
        """Copy the file that is there, as far as a file may be large; return its size."""
        try:
            with self._opened_at(folder, path, (name,), READ) as file:
                self._checked(path, file)
                size = 0
                while size < self.limits.file_bytes:
                    chunk = os.read(file, min(_CHUNK_BYTES, self.limits.file_bytes - size))
                    if not chunk:
                        break
                    size += _write_all(to, chunk)
                return size
        except FileMissing:
            return 0


def _write_all(file: int, data: bytes) -> int:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest) :]
    return len(data)


def _unlink_if_there(folder: int, name: str) -> None:
    try:
        os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        return
