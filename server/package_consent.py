"""What of a custom tool needs a person's yes: its packages, once for each lock, and its grants.

A lock is resolved before anything is stored; a yes stores it with the tool and installs it. With a
no, and while nobody answers, nothing is stored or installed. packages.py does the work,
memory/locks.py keeps what was agreed to. Secrets and hosts are asked for as they are granted, and
again when the source that has them is another.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, TypeVar

from memory import locks, tools
from memory.errors import VersionMoved
from memory.locks import AgreedLock
from memory.tools import StoredTool
from memory.transaction import Reader, Transaction
from sandbox.requirements import Lock
from server.approvals import ask_person
from server.consent import Act, Consent
from server.counted import counted
from server.cursors import key_after
from server.custom_tool_models import ToolShown
from server.custom_tool_views import show_tool
from server.errors import NotAllowed
from server.memory_access import MemoryAccess
from server.once import Once
from server.package_models import AskPackages, LockShown, PackagesShown
from server.packages import PackageErrors, Packages, PackagesNotAgreed, with_progress
from server.registry import Call
from server.reply_size import PAGE_BYTES, first_of, fitting, json_bytes
from server.tool_changes import Grants

if TYPE_CHECKING:  # hosts list the tools before DuckDB is imported
    from memory.store import MemoryStore

_LISTED: Final = 50
_NAMES_BYTES: Final = 4_000
_LINE_BYTES: Final = 1_500

Shown = TypeVar("Shown", ToolShown, PackagesShown)


@dataclass(frozen=True, slots=True)
class Keeping:
    """A tool that is to be stored.

    by: the tool of ours that does it. plan: what would be stored, refused where it cannot be, and
    what is granted to it that nobody has agreed to. do: stores it, with the name of a lock if it
    has one. packages: whether nobody was asked yet about its packages.
    """

    by: str
    plan: Callable[[Reader], tuple[StoredTool, Grants]]
    do: Callable[[Transaction, str | None], StoredTool]
    packages: bool


@dataclass(frozen=True, slots=True)
class PackageConsent:
    """Asks for packages, and has them installed."""

    consent: Consent

    @property
    def _access(self) -> MemoryAccess:
        return self.consent.access

    async def keep(self, call: Call, arguments: Once, keeping: Keeping) -> ToolShown:
        """Store a tool, once a person agrees to what needs a yes; or return what waits.

        Raises:
            Declined: the person said no.
            SandboxError: they cannot be resolved.
            VersionMoved: the tool has changed since the person was asked.
        """
        before = await self._access.first_result(call, keeping.by, arguments, ToolShown)
        if before is not None:
            return before
        planned, asked = await self._access.read(call.caller, lambda _, r: keeping.plan(r))
        lock = await self._resolved(call, planned) if keeping.packages else None

        def would(reader: Reader) -> ToolShown:
            asks = [asked.question(planned)] if asked else []
            if lock is not None and locks.find_lock(reader, lock.key) is None:
                asks.insert(0, question(planned.name, lock))
            status = {"status": "waiting", "asks": " ".join(asks)} if asks else {"status": "done"}
            return show_tool(reader, planned).model_copy(update=status)

        def do(transaction: Transaction, _: ToolShown) -> ToolShown:
            now, granted = keeping.plan(transaction)
            # A yes is to what was asked, for the source that was shown.
            if granted != asked or (asked and now.source != planned.source):
                raise VersionMoved(f"tool {now.name!r}", planned.version, now.version)
            if lock is not None:
                locks.agree(transaction, lock.key, lock.text, lock.python)
            return show_tool(
                transaction, keeping.do(transaction, None if lock is None else lock.key)
            )

        return await self._agreed(call, arguments, Act(keeping.by, ToolShown, would, do), lock)

    async def show(self, call: Call, a: AskPackages) -> PackagesShown:
        """tool_packages."""
        if call.caller.agents is not None:
            raise NotAllowed("see packages of tools")
        if a.tool_id is None:
            return await self._all(call, a)
        name = a.tool_id
        tool = await self._access.read(call.caller, lambda _, reader: tools.find_tool(reader, name))
        agreed = await self._fitting(tool)
        if (agreed is not None and not a.upgrade) or not tool.requirements:
            shown = await self._shown(call, [agreed] if agreed else [])
            return PackagesShown(tool=tool.name, locks=shown)
        return await self._agree(call, a, tool)

    async def for_run(self, call: Call, tool: StoredTool) -> StoredTool:
        """A tool with packages that it can be run with: the person is asked where they can be.

        Raises:
            PackagesNotAgreed: nobody could be asked, or not for this caller.
            Declined: the person said no.
            SandboxError: they cannot be resolved or installed.
        """
        if not tool.requirements or await self._fitting(tool) is not None:
            return tool
        if call.caller.agents is not None or call.ask is None:
            raise PackagesNotAgreed(tool)
        lock = await self._resolved(call, tool)
        agreed = await self._access.read(
            call.caller, lambda _, reader: locks.find_lock(reader, lock.key)
        )
        if agreed is None and not await ask_person(call, question(tool.name, lock)):
            raise PackagesNotAgreed(tool)

        def work(_: "MemoryStore", transaction: Transaction) -> ToolShown:
            return show_tool(transaction, _given(transaction, tool, lock))

        # The request is another's, the run's: this is not what a repeat of it gets.
        anew = replace(call, request_key=None)
        await self._access.write(anew, "tool_packages", Once(), ToolShown, work)
        await self._installed(call, lock)
        return await self._access.read(
            call.caller, lambda _, reader: tools.find_tool(reader, tool.id)
        )

    async def tidy(self) -> None:
        """Have folders deleted that no tool has any more."""
        (await self._packages()).tidy()

    async def _agree(self, call: Call, a: AskPackages, tool: StoredTool) -> PackagesShown:
        lock = await self._resolved(call, tool)

        def would(reader: Reader) -> PackagesShown:
            waiting = _waiting(reader, tool, lock)
            return PackagesShown(tool=tool.name, locks=[]).model_copy(update=waiting)

        def do(transaction: Transaction, _: PackagesShown) -> PackagesShown:
            now = _given(transaction, tool, lock)
            agreed = locks.find_lock(transaction, lock.key)
            shown = [] if agreed is None else [lock_shown(transaction, agreed)]
            return PackagesShown(tool=now.name, locks=shown)

        act = Act("tool_packages", PackagesShown, would, do)
        return await self._agreed(call, a, act, lock)

    async def _agreed(
        self, call: Call, arguments: Once, act: Act[Shown], lock: Lock | None
    ) -> Shown:
        """Ask, store, then install; what fails then is told and tried again at the first use."""
        if lock is None:
            return await self.consent.once_agreed(call, arguments, act)

        async def install(asked: Call, done: Shown) -> Shown:
            try:
                await self._installed(asked, lock)
            except PackageErrors as error:
                return done.model_copy(update={"problem": f"{error}."})
            return done

        done = await self.consent.once_agreed(call, arguments, replace(act, then=install))
        if isinstance(done, PackagesShown) and done.status == "done":
            return done.model_copy(update={"locks": await self._sized(done.locks)})
        return done

    async def _resolved(self, call: Call, tool: StoredTool) -> Lock:
        packages = await self._packages()
        return await with_progress(
            call.progress, lambda tell: packages.resolve(tool.requirements, tell)
        )

    async def _installed(self, call: Call, lock: Lock) -> None:
        packages = await self._packages()
        packages.forget(lock)
        await with_progress(call.progress, lambda tell: packages.build(lock, tell))
        packages.tidy()

    async def _fitting(self, tool: StoredTool) -> AgreedLock | None:
        """The lock of a tool, if it can be used: agreed to, and for the Python of now."""
        packages = await self._packages()
        agreed = await packages.agreed(tool)
        return agreed if agreed is not None and await packages.fits(agreed) else None

    async def _all(self, call: Call, a: AskPackages) -> PackagesShown:
        after = key_after(a.cursor)
        found = await self._access.read(
            call.caller, lambda _, reader: locks.list_locks(reader, after, _LISTED + 1)
        )
        shown = await self._shown(call, found[:_LISTED])
        count = fitting([json_bytes(lock.model_dump()) + 1 for lock in shown], PAGE_BYTES)
        more = count < len(found)
        return PackagesShown(
            locks=shown[:count], next_cursor=str(found[count - 1].key) if more else None
        )

    async def _shown(self, call: Call, found: list[AgreedLock]) -> list[LockShown]:
        shown = await self._access.read(
            call.caller, lambda _, reader: [lock_shown(reader, agreed) for agreed in found]
        )
        return await self._sized(shown)

    async def _sized(self, shown: list[LockShown]) -> list[LockShown]:
        sizes = await (await self._packages()).sizes([lock.lock for lock in shown])
        return [
            lock.model_copy(update={"size_bytes": size})
            for lock, size in zip(shown, sizes, strict=True)
        ]

    async def _packages(self) -> Packages:
        return (await self._access.runtime()).outside.packages


def question(tool: str, lock: Lock) -> str:
    """What a person is asked about a lock; it names each package, and what tells it from others."""
    names = ", ".join(first_of(lock.packages, _NAMES_BYTES))
    sources = f" from {', '.join(first_of(lock.sources, 300))}" if lock.sources else ""
    count = sum(len(hashes) for _, hashes in lock.pins)
    return (
        f"Install {names} for tool {tool}{sources}? {counted(len(lock.pins), 'package')}, held to"
        f" {count} hashes (lock {lock.key[:12]}); their code runs in the sandbox, with what the"
        " tool may do."
    )


def lock_shown(reader: Reader, agreed: AgreedLock) -> LockShown:
    """A lock as hosts see it."""
    return LockShown(
        lock=agreed.lock,
        packages=first_of(agreed.packages, _LINE_BYTES),
        python=agreed.python,
        tools=first_of(locks.tools_with_lock(reader, agreed.lock), _LINE_BYTES // 3),
        agreed_by=agreed.agreed_by,
        agreed_at=agreed.agreed_at.isoformat("T", "seconds"),
    )


def packages_text(shown: PackagesShown) -> str:
    """Packages as a model reads them."""
    if shown.status == "waiting":
        return shown.said()
    lines = [lock_line(lock) for lock in shown.locks]
    none = f"Tool {shown.tool} imports no packages." if shown.tool else "No tool has packages."
    lines += [f"Not installed yet: {shown.problem}"] if shown.problem else []
    return "\n".join(lines) or none


def lock_line(lock: LockShown) -> str:
    """A lock in a line."""
    size = "not installed now" if lock.size_bytes is None else f"{lock.size_bytes / 1e6:.1f} MB"
    return (
        f"- {lock.lock[:12]}: {', '.join(lock.packages)}; {size}; for"
        f" {', '.join(lock.tools) or 'no tool'}; Python {' '.join(lock.python.split()[1:2])};"
        f" agreed {lock.agreed_at} through {lock.agreed_by}"
    )


def _waiting(reader: Reader, tool: StoredTool, lock: Lock) -> dict[str, str]:
    """What is to be asked; nothing where somebody agreed to the same before."""
    if locks.find_lock(reader, lock.key) is not None:
        return {"status": "done"}
    return {"status": "waiting", "asks": question(tool.name, lock)}


def _given(transaction: Transaction, tool: StoredTool, lock: Lock) -> StoredTool:
    """Give a tool its lock, which is agreed to now.

    tool: as it was when the person was asked.

    Raises:
        VersionMoved: it has changed since.
    """
    now = tools.find_tool(transaction, tool.id)
    locks.agree(transaction, lock.key, lock.text, lock.python)
    if (now.requirements, now.package_lock) == (tool.requirements, lock.key):
        return now  # two calls asked at once
    return tools.update_tool(transaction, now, {"package_lock": lock.key}, tool.version)
