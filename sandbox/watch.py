"""Watching a running call from outside: limits that the kernel does not keep for us.

A folder that is mounted has no quota, a limit on memory is for each process and not for all of
them, and files without a byte fill a file system in memory. What a look finds ends the call.
"""

import os
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread

from sandbox.policy import MIB

POLL_S: Final = 0.05
# A look at a large workspace takes long: it may take this share of the time at most.
_SHARE: Final = 0.25
# Beyond what one process may allocate: the interpreter, libraries, shared pages counted twice.
MEMORY_MARGIN_BYTES: Final = 96 * MIB
MEMORY_FOLDERS: Final = ("tmp", "dev/shm")
WORKSPACE: Final = "workspace"
_PS: Final = "/bin/ps"
_HAS_PROC: Final = Path("/proc/self/statm").exists()
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Bounds:
    """What is watched.

    folders: on disk, by what a tool calls them. folder_bytes, entries: of each of them; entries
    also of each folder in memory, of which in_memory names those of a namespace. memory_bytes:
    resident, of all processes together.
    """

    folders: Mapping[str, Path]
    folder_bytes: int
    entries: int
    memory_bytes: int
    in_memory: Sequence[str] = MEMORY_FOLDERS


@dataclass(frozen=True, slots=True)
class Usage:
    """How large a folder is: bytes that its files take, and how many names there are."""

    bytes: int
    entries: int


async def watch(bounds: Bounds, process: int, init: int, pause_s: float = POLL_S) -> str:
    """Return as soon as a bound is passed, with the words that say which; else never.

    process: the parent of all processes of the call. init: the first process in its namespace, by
    the server's number; 0: there is none. pause_s: between looks, or longer where they are slow.
    """
    pause = pause_s
    while True:
        await anyio.sleep(pause)
        started = time.monotonic()
        passed = await anyio.to_thread.run_sync(look, bounds, process, init)
        if passed:
            return passed
        pause = max(pause_s, (time.monotonic() - started) / _SHARE)


def look(bounds: Bounds, process: int, init: int) -> str:
    """Which bound is passed now, in words; empty: none."""
    enough = bounds.memory_bytes + MEMORY_MARGIN_BYTES
    resident = resident_bytes(process, enough)
    if resident > enough:
        limit = bounds.memory_bytes // MIB
        used = f"its processes used {resident // MIB} MiB of memory together"
        return f"{used}, of at most {limit} MiB"
    for folder in bounds.in_memory if init else ():
        # A quick bomb of empty files costs the kernel memory that no limit counts.
        with suppress(OSError):
            found = os.statvfs(f"/proc/{init}/root/{folder}")
            if found.f_files - found.f_ffree > bounds.entries:
                return f"it made more than {bounds.entries:,} files in /{folder}"
    return too_large(bounds)


def too_large(bounds: Bounds) -> str:
    """Which of the folders on disk is too large, in words; empty: none."""
    for name, folder in bounds.folders.items():
        if passed := over_quota(name, bounds, measure(folder, bounds)):
            return passed
    return ""


def over_quota(name: str, bounds: Bounds, usage: Usage) -> str:
    """In what way a folder is too large; empty: it is not."""
    if usage.bytes > bounds.folder_bytes:
        limit = bounds.folder_bytes // MIB
        return f"its {name} holds {usage.bytes // MIB} MiB, of at most {limit} MiB"
    if usage.entries > bounds.entries:
        return f"its {name} holds more than {bounds.entries:,} files"
    return ""


def measure(folder: Path, bounds: Bounds) -> Usage:
    """How large a folder is; counting stops where a bound is passed. No link is followed."""
    size = entries = 0
    for found in walk(folder):
        entries += 1
        with suppress(OSError):
            size += found.stat(follow_symlinks=False).st_blocks * 512
        if size > bounds.folder_bytes or entries > bounds.entries:
            break
    return Usage(size, entries)


def walk(folder: Path) -> Iterator[os.DirEntry[str]]:
    """All that is below a folder, a folder before what is in it; no link is followed."""
    waiting = [os.fspath(folder)]
    while waiting:
        # Names come and go while we look, and a folder may be closed to us.
        with suppress(OSError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                yield entry
                with suppress(OSError):
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)


def resident_bytes(process: int, enough: int) -> int:
    """Memory in use by a process and all that descend from it, pages of files not counted.

    Shared pages are counted once, which is slow to find out, so only where a quick sum that counts
    them for each process is above `enough`.
    """
    found = descendants(process)
    quick = sum(map(_resident, found))
    if quick <= enough or not _HAS_PROC:
        return quick
    return sum(map(_proportional, found))


def _resident(process: int) -> int:
    with suppress(OSError, ValueError, IndexError):
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * _PAGE
    return 0 if _HAS_PROC else resident_by_ps(process)


def resident_by_ps(process: int) -> int:
    """Memory in use by a process where there is no /proc, as on macOS; 0: it is gone."""
    command = [_PS, "-o", "rss=", "-p", str(process)]
    with suppress(OSError, ValueError, subprocess.SubprocessError):
        said = subprocess.run(command, capture_output=True, timeout=5, env={}, check=False)  # noqa: S603
        return int(said.stdout) * 1024
    return 0


def _proportional(process: int) -> int:
    total = 0
    with suppress(OSError):
        for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            if line.startswith(("Pss_Anon:", "Pss_Shmem:")):
                total += int(line.split()[1]) * 1024
    return total


def descendants(process: int) -> list[int]:
    """The process and everything that it started, as far as still there."""
    found = [process]
    for pid in found:
        with suppress(OSError):
            for task in Path(f"/proc/{pid}/task").iterdir():
                found += map(int, (task / "children").read_text().split())
    return found
