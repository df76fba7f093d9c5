"""One run of an installer: its lines, its time, its space, and its end.

Whatever ends it (its own end, a limit, being cancelled), its whole process group is gone after.
"""

import os
import re
import signal
import subprocess
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import anyio
from anyio.abc import ByteReceiveStream, Process

from sandbox.errors import PackagesUnavailable
from sandbox.unprivileged import Child
from sandbox.watch import walk

Progress = Callable[[str], None]
"""Told each line that the installer writes."""

_LOOK_EVERY_S: Final = 0.2
_MAX_LINE_CHARS: Final = 500
_KEPT_LINES: Final = 40
_CREDENTIALS: Final = re.compile(r"//[^/\s@]+@")


@dataclass(frozen=True, slots=True)
class Installation:
    """What is run, where, and as whom. what: of it, for messages. folders: whose files count."""

    what: str
    command: Sequence[str]
    folders: Sequence[Path]
    environment: Mapping[str, str]
    child: Child


@dataclass(frozen=True, slots=True)
class Bounds:
    """seconds: until it must be done. max_bytes, max_files: of all its folders together."""

    seconds: float
    max_bytes: int
    max_files: int


async def install(
    installation: Installation, bounds: Bounds, progress: Progress
) -> tuple[int, list[str]]:
    """Run an installer in the first of its folders; return its exit code and last lines.

    Raises:
        PackagesUnavailable: it cannot be started, took too long or wrote too much.
    """
    lines: deque[str] = deque(maxlen=_KEPT_LINES)
    what = installation.what
    full = ""
    with anyio.move_on_after(bounds.seconds):
        async with _started(installation) as process, anyio.create_task_group() as group:

            async def stop_when_full() -> None:
                nonlocal full
                full = await _until_full(installation.folders, bounds)
                group.cancel_scope.cancel()

            group.start_soon(stop_when_full)
            assert process.stdout is not None  # noqa: S101 - it was asked for
            async for line in _lines(process.stdout):
                lines.append(line)
                progress(line)
            code = await process.wait()
            group.cancel_scope.cancel()
        # What was written in the last moment counts too.
        full = full or await anyio.to_thread.run_sync(_excess, installation.folders, bounds)
        if full:
            raise PackagesUnavailable(f"{what} was stopped: {full}")
        return code, list(lines)
    raise PackagesUnavailable(f"{what} was stopped: it took more than {bounds.seconds:g} seconds")


@asynccontextmanager
async def _started(installation: Installation) -> AsyncIterator[Process]:
    try:
        # Shielded: cancelled in mid-start, a process would be left that nobody knows.
        with anyio.CancelScope(shield=True):
            process = await anyio.open_process(
                list(installation.command),
                stdin=subprocess.DEVNULL,
                stderr=subprocess.STDOUT,
                cwd=installation.folders[0],
                env=installation.environment,
                start_new_session=True,
                **installation.child.spawn_arguments(),
            )
    except OSError as error:
        raise PackagesUnavailable(
            f"{installation.command[0]} could not be started: {error.strerror}"
        ) from error
    try:
        yield process
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        with anyio.CancelScope(shield=True):
            await process.aclose()


async def _lines(stream: ByteReceiveStream) -> AsyncIterator[str]:
    """Lines as they come, without control characters and passwords, cut where they are long."""
    rest = b""
    async for data in stream:
        *complete, rest = (rest + data).replace(b"\r", b"\n").split(b"\n")
        for line in complete:
            if line.strip():
                yield _shown(line)
        rest = rest[: 4 * _MAX_LINE_CHARS]
    if rest.strip():
        yield _shown(rest)


def _shown(line: bytes) -> str:
    text = line[: 4 * _MAX_LINE_CHARS].decode("utf-8", "replace")
    # Before it is cut: pip hides the password of an index, old versions of uv do not.
    text = _CREDENTIALS.sub("//***@", text)
    return "".join(c if c.isprintable() else " " for c in text)[:_MAX_LINE_CHARS].rstrip()


async def _until_full(folders: Sequence[Path], bounds: Bounds) -> str:
    while True:
        excess = await anyio.to_thread.run_sync(_excess, folders, bounds)
        if excess:
            return excess
        await anyio.sleep(_LOOK_EVERY_S)


def _excess(folders: Sequence[Path], bounds: Bounds) -> str:
    """Which bound the files exceed; empty: none."""
    size = files = 0
    for folder in folders:
        for entry in walk(folder):
            files += 1
            with suppress(OSError):
                size += entry.stat(follow_symlinks=False).st_size
    if size > bounds.max_bytes:
        return f"the packages take more than {bounds.max_bytes} bytes"
    return (
        f"the packages have more than {bounds.max_files} files" if files > bounds.max_files else ""
    )
