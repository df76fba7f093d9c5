"""Counting and deleting whole trees of a workspace, however they are nested.

Untrusted code made them: a tree may be deeper than descriptors or paths go, and may grow while it
is deleted. So both are bounded: counting says when it saw less than all, deleting gives up.
"""

import errno
import os
import secrets
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from sandbox.beneath import FOLDER, open_beneath

_COUNTED_DEPTH: Final = 64
_DELETED_DEPTH: Final = 32
_MAX_TRIES: Final = 1_000_000
_AT_ONCE: Final = 1_000


@dataclass(frozen=True, slots=True)
class Usage:
    """How much a workspace holds. complete: False: at least that much; not all was counted."""

    total_bytes: int
    entries: int
    complete: bool = True


def used(root: int, walk: bool, max_entries: int) -> Usage:
    """Count what is in an open folder, up to a number of entries and a depth."""
    counting = _Counting(walk, max_entries)
    counting.add(root, 0)
    return Usage(counting.size, counting.entries, counting.complete)


def delete_tree(folder: int, walk: bool) -> int:
    """Delete what is in an open folder, not the folder itself; return how much is gone.

    Raises:
        OSError: something cannot be deleted, or there is more as fast as it goes.
    """
    deleting = _Deleting(folder, walk)
    deleting.empty(folder, 0)
    return deleting.gone


class _Counting:
    def __init__(self, walk: bool, max_entries: int) -> None:
        self.walk, self.max_entries = walk, max_entries
        self.size, self.entries, self.complete = 0, 0, True

    def add(self, folder: int, depth: int) -> None:
        inner: list[str] = []
        for name, status in _statuses(folder):
            if self.entries > self.max_entries:
                self.complete = False
                return
            self.entries += 1
            # What was written and what was reserved differ both ways.
            self.size += max(status.st_size, status.st_blocks * 512)
            if stat.S_ISDIR(status.st_mode):
                inner.append(name)
        for name in inner:
            if depth == _COUNTED_DEPTH or self.entries > self.max_entries:
                self.complete = False
                return
            try:
                opened = open_beneath(folder, (name,), FOLDER, self.walk)
            except OSError as error:
                gone = error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
                self.complete = self.complete and gone
                continue
            try:
                self.add(opened, depth + 1)
            finally:
                os.close(opened)


class _Deleting:
    def __init__(self, top: int, walk: bool) -> None:
        self.top, self.walk = top, walk
        self.gone, self.tries = 0, 0

    def empty(self, folder: int, depth: int) -> None:
        # Without this, a folder that was made read-only keeps what it holds.
        os.fchmod(folder, 0o700)
        while names := [name for name, _ in islice(_statuses(folder), _AT_ONCE)]:
            for name in names:
                self.tries += 1
                if self.tries > _MAX_TRIES:
                    raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY))
                try:
                    self._remove(folder, name, depth)
                except FileNotFoundError:
                    continue

    def _remove(self, folder: int, name: str, depth: int) -> None:
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if not stat.S_ISDIR(status.st_mode):
            os.unlink(name, dir_fd=folder)
        elif depth >= _DELETED_DEPTH:
            # Up to where its turn comes again, so that no depth needs more descriptors than this.
            os.rename(name, secrets.token_hex(16), src_dir_fd=folder, dst_dir_fd=self.top)
            return
        else:
            inner = open_closed(folder, name, self.walk)
            try:
                self.empty(inner, depth + 1)
            finally:
                os.close(inner)
            try:
                os.rmdir(name, dir_fd=folder)
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.ENOTDIR):
                    raise
                return  # filled or replaced meanwhile: its turn comes again
        self.gone += 1


def open_closed(folder: int, name: str, walk: bool) -> int:
    """Open a folder that is to be deleted, also one that was closed to its own user.

    Raises:
        OSError: it is none, or not ours.
    """
    try:
        return open_beneath(folder, (name,), FOLDER, walk)
    except PermissionError:
        if sys.platform != "linux":
            raise
    # openat2 takes no O_NONBLOCK with O_PATH, which opens nothing that could block.
    place = open_beneath(folder, (name,), (FOLDER & ~os.O_NONBLOCK) | os.O_PATH, walk)
    try:
        # A descriptor of a path, so that what is changed is what was opened.
        Path(f"/proc/self/fd/{place}").chmod(0o700)
    finally:
        os.close(place)
    return open_beneath(folder, (name,), FOLDER, walk)


def _statuses(folder: int) -> Iterator[tuple[str, os.stat_result]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            try:
                yield entry.name, entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
