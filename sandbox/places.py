"""Where the sandbox keeps files: workspaces of agents, packages of tools, folders of one call.

A server that is root keeps them outside of its data directory, because the unprivileged process
must reach them by name and must not reach the database.
"""

import hashlib
import os
import re
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread

from sandbox.errors import InvalidRun
from sandbox.unprivileged import Child
from sandbox.workspace_trees import delete_tree, open_closed

ROOT_OF_ROOT: Final = Path("/var/lib/mnemon")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
# Others may walk through and see no names.
_PASSABLE: Final = 0o711


@dataclass(frozen=True, slots=True)
class SandboxPlaces:
    """The folders below one root; none exists before it is asked for."""

    root: Path

    @property
    def packages(self) -> Path:
        """Where installed packages lie, one folder for each list of requirements."""
        return self.root / "packages"

    def workspace(self, owner: str) -> Path:
        """The workspace of an agent, which may not exist yet.

        Raises:
            InvalidRun: the id could not be a folder's name.
        """
        if _NAME.fullmatch(owner) is None:
            raise InvalidRun(f"{owner[:80]!a} cannot be the name of a workspace")
        return self.root / "workspaces" / owner

    def make_workspace(self, owner: str, child: Child) -> Path:
        """The workspace of an agent, made where there is none; only the child's user gets in.

        Raises:
            InvalidRun: the id could not be a folder's name.
            OSError: it cannot be made.
        """
        path = self.workspace(owner)
        self._make(path.parent)
        path.mkdir(mode=0o700, exist_ok=True)
        child.give(path)
        return path

    def make_packages(self) -> Path:
        """The folder of packages, made where there is none; the child may read, not write."""
        self._make(self.packages)
        return self.packages

    def _make(self, folder: Path) -> None:
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(exist_ok=True)
        for path in (self.root, folder):
            path.chmod(_PASSABLE)


def places_beside(data: Path, *, is_root: bool) -> SandboxPlaces:
    """The places that belong to a data directory; a pure function of its path."""
    if not is_root:
        return SandboxPlaces(data / "sandbox")
    name = hashlib.sha256(str(data).encode("utf-8", "surrogateescape")).hexdigest()[:16]
    return SandboxPlaces(ROOT_OF_ROOT / name)


@contextmanager
def temporary_places() -> Iterator[SandboxPlaces]:
    """Places that are gone afterwards, for a database that is not kept."""
    root = Path(tempfile.mkdtemp(prefix="mnemon-sandbox-"))
    root.chmod(_PASSABLE)
    try:
        yield SandboxPlaces(root)
    finally:
        remove_tree(root)


@asynccontextmanager
async def scratch_folders(child: Child) -> AsyncIterator[Path]:
    """Folders of one call: "work" and "tmp", the child's own; gone with it."""
    scratch = await anyio.to_thread.run_sync(_make_scratch, child)
    try:
        yield scratch
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(remove_tree, scratch)


def _make_scratch(child: Child) -> Path:
    # Its real name: macOS has a link in the way to it, and what isolates there goes by real names.
    scratch = Path(tempfile.mkdtemp(prefix="mnemon-run-")).resolve()
    scratch.chmod(0o711)
    for name in ("work", "tmp"):
        (scratch / name).mkdir(mode=0o700)
        child.give(scratch / name)
    return scratch


def remove_tree(folder: Path) -> None:
    """Delete a folder, read-only or not, as far as it can be; it may be gone already.

    A program that changes it meanwhile leads nowhere else: by names, as shutil has it, the modes of
    what a link leads to were changed, and deep trees stayed.
    """
    with suppress(OSError), ExitStack() as opened:
        parent = os.open(folder.parent, os.O_RDONLY | os.O_DIRECTORY)
        opened.callback(os.close, parent)
        inner = open_closed(parent, folder.name, walk=False)
        opened.callback(os.close, inner)
        delete_tree(inner, walk=False)
        os.rmdir(folder.name, dir_fd=parent)
