"""Packages of custom tools in this process: resolved, installed, found again, thrown away.

What may be installed is what a person agreed to: locks in the database (memory/locks.py). Nobody is
asked here; package_consent.py asks. A folder that is gone is made again from its lock, which
installs the same files or fails. Resolving takes seconds and the network, so it is done when a tool
is stored or changed, before its transaction, and never in the middle of an agent's run.
"""

import importlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import anyio
import anyio.abc
import anyio.to_thread

from memory.errors import InvalidValue
from memory.locks import AgreedLock, find_lock, locks_in_use
from memory.tools import StoredTool
from sandbox.errors import InvalidRequirements, PackagesUnavailable, SandboxUnavailable
from sandbox.installers import find_installer
from sandbox.requirements import Lock, parse_lock
from server.registry import ReportProgress
from server.sandboxes import ProcessSandbox

if TYPE_CHECKING:
    from memory.store import MemoryStore  # hosts list the tools before DuckDB is imported
    from sandbox.interpreter import ToolPython
    from sandbox.package_folders import PackageFolders  # it is POSIX from its imports on

T = TypeVar("T")
Progress = Callable[[str], None]

UNUSED_S: Final = 3600.0
"""A folder that no tool has any more stays so long after its last use: longer than any run."""

_REMEMBERED_S: Final = 600.0
_REMEMBERED: Final = 50
_LINES_WAITING: Final = 100

logger = logging.getLogger(__name__)


class PackagesNotAgreed(InvalidValue):
    """A tool imports packages that no person agreed to have installed."""

    def __init__(self, tool: StoredTool, why: str = "no person has agreed to them yet") -> None:
        wanted = ", ".join(tool.requirements)[:200]
        super().__init__(
            f"tool {tool.name!r} imports packages ({wanted}), and {why};"
            f" a person can with `mnemon tools packages {tool.name}`, or a host with tool_packages"
        )


class Packages:
    """The packages of all tools. environment: of the installer."""

    def __init__(
        self, store: "MemoryStore", sandbox: ProcessSandbox, environment: Mapping[str, str]
    ) -> None:
        self._store, self._sandbox, self._environment = store, sandbox, environment
        self._tasks: anyio.abc.TaskGroup | None = None
        self._folders: PackageFolders | None = None
        self._made_for: tuple[Path, ToolPython] | None = None
        self._building: dict[str, anyio.Lock] = {}
        self._resolved: dict[tuple[str, ...], tuple[float, Lock]] = {}

    def begin(self, tasks: anyio.abc.TaskGroup) -> None:
        """Say where background work lives, and throw away what an earlier process left."""
        if self._tasks is None:
            self._tasks = tasks
            self.tidy()

    def tidy(self) -> None:
        """Delete folders that no tool has, in the background; commands leave that to the owner."""
        root = self._sandbox.packages_root()
        if self._tasks is not None and root is not None:
            self._tasks.start_soon(anyio.to_thread.run_sync, self._collect, root)

    async def folder(self, tool: StoredTool) -> Path | None:
        """The folder of a tool's packages, installed again where it is gone; None: it has none.

        Raises:
            PackagesNotAgreed: nobody agreed to them, or only for another Python.
            PackagesUnavailable: they cannot be installed again.
            SandboxUnavailable: nothing is run here.
        """
        if not tool.requirements:
            return None
        agreed = await self.agreed(tool)
        if agreed is None:
            raise PackagesNotAgreed(tool)
        if not await self.fits(agreed):
            python = " ".join(agreed.python.split()[1:2])
            raise PackagesNotAgreed(tool, f"they were agreed to for another Python ({python})")
        return await self.build(parse_lock(agreed.text, agreed.python))

    async def agreed(self, tool: StoredTool) -> AgreedLock | None:
        """The lock that a tool has, if a person agreed to it."""

        def look() -> AgreedLock | None:
            with self._store.read() as reader:
                return find_lock(reader, tool.package_lock or "")

        return await anyio.to_thread.run_sync(look)

    async def fits(self, agreed: AgreedLock) -> bool:
        """Whether a lock is for the Python that runs tools now.

        Raises:
            SandboxUnavailable: nothing is run here.
        """
        return agreed.python == await (await self._opened()).python()

    async def resolve(self, requirements: Sequence[str], progress: Progress) -> Lock:
        """Say exactly what a list comes to; for a while the same, so that who is asked can answer.

        Raises:
            InvalidRequirements: the list, or what it leads to, may not be installed.
            PackagesUnavailable: it cannot be resolved; the message says why.
            SandboxUnavailable: nothing is run here.
        """
        wanted, now = tuple(requirements), time.monotonic()
        since, lock = self._resolved.get(wanted, (0.0, None))
        if lock is None or now - since > _REMEMBERED_S:
            lock = await (await self._opened()).resolve(wanted, progress)
            self._resolved[wanted] = now, lock
            for oldest in list(self._resolved)[:-_REMEMBERED]:
                del self._resolved[oldest]
        return lock

    def forget(self, lock: Lock) -> None:
        """Resolve anew the next time: a person has answered."""
        for wanted in [w for w, (_, found) in self._resolved.items() if found == lock]:
            del self._resolved[wanted]

    async def build(self, lock: Lock, progress: Progress = lambda _: None) -> Path:
        """Install a lock, unless it is there, and return its folder.

        Raises:
            PackagesUnavailable: it cannot be installed.
            SandboxUnavailable: nothing is run here.
        """
        folders = await self._opened()
        # One at a time: who comes second finds it there, in place of fetching all of it again.
        async with self._alone(lock.key):
            return await folders.build(lock, progress)

    @asynccontextmanager
    async def _alone(self, key: str) -> AsyncIterator[None]:
        one = self._building.setdefault(key, anyio.Lock())
        try:
            async with one:
                yield
        finally:
            if not one.locked():  # else whoever waited has it now
                self._building.pop(key, None)

    async def sizes(self, locks: Sequence[str]) -> list[int | None]:
        """Bytes that installed locks take; None: it is not installed."""
        root = self._sandbox.packages_root()
        if root is None:
            return [None] * len(locks)
        size_of = importlib.import_module("sandbox.package_folders").size_of
        return await anyio.to_thread.run_sync(lambda: [size_of(root, lock) for lock in locks])

    async def _opened(self) -> "PackageFolders":
        made_for = await self._sandbox.packages()
        if self._folders is None or self._made_for != made_for:
            folders = importlib.import_module("sandbox.package_folders").PackageFolders
            installer = find_installer(self._environment)
            self._folders = folders(*made_for, installer, self._environment)
            self._made_for = made_for
        return self._folders

    def _collect(self, root: Path) -> None:
        with self._store.read() as reader:
            used = locks_in_use(reader)
        try:
            collect = importlib.import_module("sandbox.package_folders").collect
            for lock in collect(root, used, UNUSED_S):
                logger.info("packages %s were deleted: no tool has them", lock[:12])
        except OSError as error:  # they stay, and that is all
            logger.warning("packages that no tool has cannot be deleted: %s", error)


async def with_progress(report: ReportProgress, work: Callable[[Progress], Awaitable[T]]) -> T:
    """Do something that says how far it is, in lines, and pass these on to who waits for it."""
    send, receive = anyio.create_memory_object_stream[str](_LINES_WAITING)

    def tell(line: str) -> None:
        is_slow = send.statistics().current_buffer_used == _LINES_WAITING  # who waits
        if not is_slow and not _is_of_a_lock(line):
            send.send_nowait(line)

    async def pass_on() -> None:
        count = 0
        async for line in receive:
            count += 1
            await report(count, None, line)

    failure: Exception | None = None
    async with send, receive, anyio.create_task_group() as tasks:
        tasks.start_soon(pass_on)
        try:
            return await work(tell)
        except Exception as error:  # raised below: a task group would wrap it
            failure = error
        finally:
            send.close()
    assert failure is not None  # noqa: S101 - else it has returned
    raise failure


PackageErrors = (InvalidRequirements, PackagesUnavailable, SandboxUnavailable)


def _is_of_a_lock(line: str) -> bool:
    """Whether an installer prints what it resolved, hundreds of hashes, and not how far it is."""
    text = line.strip()
    return text.endswith("\\") or text.startswith(("--hash=", "# from "))
