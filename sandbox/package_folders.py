"""Folders of packages that tools may import: resolved, installed, published, thrown away.

Two steps, so that a person can be asked between them: resolve() says exactly what would be
installed, build() installs it into a folder of its own, named by the lock (requirements.py). The
folder appears by one rename, complete and read-only, and is mounted read-only at /venv. Tools have
it on sys.path and no more: its .pth files are never read, so nothing in it runs before it is
imported. Wheels only, since a source distribution runs its code to be built (installers.py).
"""

import json
import os
import re
import stat
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import anyio

from sandbox.errors import PackagesUnavailable
from sandbox.install_process import Bounds, Installation, Progress, install
from sandbox.installers import LOCKED, WANTED, Installer, explain_failure
from sandbox.interpreter import ToolPython
from sandbox.lending import Lending
from sandbox.places import remove_tree
from sandbox.policy import MIB
from sandbox.requirements import Lock, parse_requirements
from sandbox.watch import walk

_KEY: Final = re.compile(r"[0-9a-f]{64}")
_BUILDING, _WORK, _REMOVING = ".building-", ".work-", ".removing-"
_LEFT_BEHIND_S: Final = 24 * 3600.0  # far beyond any deadline here: whoever made it is dead
_ASKING_S: Final = 30.0
_IDENTITY: Final = (
    "import json, platform, sys, sysconfig as s; print(json.dumps([s.get_config_var('SOABI') or"
    " sys.implementation.cache_tag, platform.python_version(), s.get_platform()]))"
)


@dataclass(frozen=True, slots=True)
class PackageLimits:
    """resolve_s, build_s: until they must be done. max_bytes, max_files: of one folder."""

    resolve_s: float = 120.0
    build_s: float = 600.0
    max_bytes: int = 1024 * MIB
    max_files: int = 50_000


def _tell_nobody(_: str) -> None:
    """The progress of whoever does not ask for it."""


class PackageFolders:
    """The folders below one root.

    python: the interpreter that runs tools, and as whom, which installs as well. environment: of
    the installer, with the operator's index and proxy in it.
    """

    def __init__(
        self,
        root: Path,
        python: ToolPython,
        installer: Installer,
        environment: Mapping[str, str],
        limits: PackageLimits | None = None,
    ) -> None:
        self._root, self._installer = root, installer
        self._python, self._child = python.path, python.child
        self._environment = {
            name: value for name, value in environment.items() if not name.startswith("PYTHON")
        }
        self._limits = limits or PackageLimits()
        self._identity = ""

    async def resolve(self, requirements: Sequence[str], progress: Progress = _tell_nobody) -> Lock:
        """Say exactly what a list would install. Nothing is installed.

        Raises:
            InvalidRequirements: the list, or what it leads to, may not be installed.
            PackagesUnavailable: it cannot be resolved; the message says why.
        """
        wanted = parse_requirements(requirements)
        identity = await self.python()
        if not wanted:
            return Lock((), identity)
        async with self._temporary(_WORK) as work:
            _leave(work / WANTED, "".join(f"{line}\n" for line in wanted))
            await self._run(
                f"resolving {', '.join(wanted)}",
                lambda installer: installer.resolve_command(self._python, work),
                [work], self._limits.resolve_s, progress,
            )  # fmt: skip
            return self._installer.read_lock(work, identity)

    async def build(self, lock: Lock, progress: Progress = _tell_nobody) -> Path:
        """Install a lock, unless it is there already, and return its folder.

        Raises:
            PackagesUnavailable: it cannot be installed, or is for another interpreter.
        """
        if lock.python != await self.python():
            raise PackagesUnavailable(
                f"the packages were resolved for {lock.python}, and tools are now run by "
                f"{self._identity}; resolve them again"
            )
        folder = self._root / lock.key
        if not await anyio.Path(folder).is_dir():
            async with self._temporary(_WORK) as work, self._temporary(_BUILDING) as target:
                if lock.pins:
                    _leave(work / LOCKED, lock.text)
                    await self._install(work, target, progress)
                await anyio.to_thread.run_sync(publish, target, folder)
        self.touch(lock)
        return folder

    def touch(self, lock: Lock) -> None:
        """Note that a folder is used now; the note beside it is its lock, to be read by people."""
        _note(self._root, lock.key).write_text(lock.text, "utf-8")

    async def python(self) -> str:
        """The interpreter that locks are for, as they name it.

        Raises:
            PackagesUnavailable: it does not run.
        """
        if not self._identity:
            command = [str(self._python), "-I", "-S", "-c", _IDENTITY]
            ask = partial(
                subprocess.run, command, stdin=subprocess.DEVNULL, capture_output=True,
                timeout=_ASKING_S, check=True, cwd="/", env={}, **self._child.spawn_arguments(),
            )  # fmt: skip
            try:
                answer = await anyio.to_thread.run_sync(ask)
            except (OSError, subprocess.SubprocessError) as error:
                raise PackagesUnavailable(f"{self._python} does not run: {error}") from error
            self._identity = " ".join(json.loads(answer.stdout))
        return self._identity

    @asynccontextmanager
    async def _temporary(self, prefix: str) -> AsyncIterator[Path]:
        """A folder beside the finished ones, so that a rename makes it one; gone at the end."""
        self._root.mkdir(mode=0o711, parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=self._root))
        try:
            self._child.give(folder)
            yield folder
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(remove_tree, folder)

    async def _install(self, work: Path, target: Path, progress: Progress) -> None:
        await self._run(
            "installing packages",
            lambda installer: installer.install_command(self._python, work, target),
            [work, target], self._limits.build_s, progress,
        )  # fmt: skip

    async def _run(
        self,
        what: str,
        command: Callable[[Installer], Sequence[str]],
        folders: Sequence[Path],
        seconds: float,
        progress: Progress,
    ) -> None:
        work = str(folders[0])
        bounds = Bounds(seconds, self._limits.max_bytes, self._limits.max_files)
        async with self._temporary(_WORK) as lent:
            installer, environment = await anyio.to_thread.run_sync(self._lent, lent)
            environment = {"HOME": work, **environment, "TMPDIR": work}
            installation = Installation(what, command(installer), folders, environment, self._child)
            code, lines = await install(installation, bounds, progress)
        if code != 0:
            raise PackagesUnavailable(explain_failure(what, lines, self._installer))

    def _lent(self, folder: Path) -> tuple[Installer, dict[str, str]]:
        """The installer and its environment, as its user can read them."""
        lending = Lending(self._child, folder)
        try:
            return self._installer.lent(lending.lend), lending.environment(self._environment)
        except OSError as error:
            raise PackagesUnavailable(f"the installer cannot be copied: {error}") from error


def _leave(file: Path, text: str) -> None:
    """Write a file that other users may read, whatever the umask; its folder is closed to them."""
    file.write_text(text, "utf-8")
    file.chmod(0o644)


def collect(root: Path, used: Collection[str], unused_s: float) -> list[str]:
    """Delete what nobody needs, and what was left behind half done. Blocks.

    Args:
        root: of the folders; it need not exist.
        used: keys of locks that tools have; their folders stay.
        unused_s: a folder that was used more recently stays too.

    Returns:
        The keys whose folders were deleted.
    """
    deleted, now = [], time.time()
    for folder in sorted(root.iterdir()) if root.is_dir() else ():
        if folder.name.startswith((_BUILDING, _WORK, _REMOVING)):
            if now - folder.lstat().st_mtime > _LEFT_BEHIND_S:
                remove_tree(folder)
        elif _KEY.fullmatch(folder.name) and folder.name not in used:
            note = _note(root, folder.name)
            stamp = note if note.exists() else folder
            if now - stamp.stat().st_mtime >= unused_s:
                doomed = root / f"{_REMOVING}{folder.name}"
                folder.rename(doomed)
                remove_tree(doomed)
                note.unlink(missing_ok=True)
                deleted.append(folder.name)
    return deleted


def size_of(root: Path, key: str) -> int | None:
    """Bytes that an installed lock takes; None: it is not installed. Blocks."""
    folder = root / key
    if not folder.is_dir():
        return None
    sizes = (entry.stat(follow_symlinks=False) for entry in walk(folder))
    return sum(found.st_size for found in sizes if stat.S_ISREG(found.st_mode))


def _note(root: Path, key: str) -> Path:
    return root / f"{key}.lock"


def _take_over(path: Path) -> None:
    # Its owner could change its mode back: the user who has installed it is that of tools.
    if os.geteuid() == 0:
        os.chown(path, 0, 0, follow_symlinks=False)


def publish(built: Path, folder: Path) -> None:
    """Make what was built read-only and ours, and give it its name.

    Of two that do so at once one wins.
    """
    folders = [built]
    for path in [Path(entry.path) for entry in walk(built)]:
        if path.is_symlink():
            path.unlink()  # wheels hold none
        elif path.is_dir():
            folders.append(path)
        else:
            _take_over(path)
            runs = path.stat().st_mode & stat.S_IXUSR
            path.chmod(0o555 if runs else 0o444)
    for path in folders:
        _take_over(path)
        path.chmod(0o555)
    try:
        built.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise
        # The other one has installed the same files: their hashes stand in the lock.
