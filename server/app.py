"""The composition root: settings in, a server out.

The registry is light and complete at once; what its tools need is opened on a thread when the
client sends its second message, or when the first call needs it.
"""

import base64
import importlib
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from importlib.metadata import version
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import anyio
import anyio.abc
import anyio.to_thread

from memory.errors import MemoryStoreError
from server.agent_finding import finding_tools
from server.approvals import Approvals
from server.config import Settings
from server.errors import describe_error, explain_for
from server.memory_access import MemoryAccess
from server.memory_resources import MemoryResources, changes_a_list, events_of
from server.memory_tools import memory_tools
from server.notices import Notices
from server.prompts import memory_prompts
from server.protocol import RegistryServer, build_server
from server.registry import Registry, Tool
from server.search_tools import search_tools

if TYPE_CHECKING:
    from memory.transaction import Change
    from server.runtime import Runtime


class App:
    """The parts of one process, opened when first needed and closed together."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.notices = Notices()
        self._approvals = Approvals()
        self._opening = threading.Lock()
        self._runtime: Runtime | None = None
        self._closed = False
        self.tasks: anyio.abc.TaskGroup | None = None

    def warm_up(self) -> None:
        """Begin to open everything, in the background; a failure is told to the first call."""
        if self.tasks is None:
            threading.Thread(target=self._try_open, name="mnemon-open", daemon=True).start()
        else:
            self.tasks.start_soon(self._warm_up)

    async def _warm_up(self) -> None:
        """Open everything, and go on with the runs that an earlier process left."""
        await anyio.to_thread.run_sync(self._try_open, abandon_on_cancel=True)
        if self._runtime is not None and self.tasks is not None:
            with suppress(MemoryStoreError):  # the first call begins them again
                await self._runtime.begin(self.tasks)

    async def runtime(self) -> "Runtime":
        """Return the open parts, opening them when they are not.

        Raises:
            DatabaseError: the file is locked, damaged, too new or cannot be opened; a later call
                tries again.
        """
        runtime = self._runtime
        if runtime is None:
            runtime = await anyio.to_thread.run_sync(self._open)
        if self.tasks is not None:
            await runtime.begin(self.tasks)
        return runtime

    def count_runs(self) -> dict[str, int] | None:
        """How many runs are in work, and how many wait for a person; None: nobody knows yet."""
        if self._runtime is None:
            return None
        waiting = [live.is_finished for live in self._runtime.runs.all()]
        return {"in_work": waiting.count(False), "waiting": waiting.count(True)}

    def sandbox_found(self) -> dict[str, str | None] | None:
        """What isolates tools, if it was found out already; asking starts nothing."""
        found = self._runtime.outside.sandbox.found() if self._runtime is not None else None
        if found is None:
            return None
        return {"tier": found.tier, "cause": found.cause, "cure": found.cure}

    async def aclose(self) -> None:
        """Close what was opened."""
        with anyio.CancelScope(shield=True):
            runtime = await anyio.to_thread.run_sync(self._take)
            if runtime is not None:
                await runtime.aclose()

    def server(self) -> RegistryServer:
        """A server of everything here, for any number of connections."""
        return build_server(self.registry(), self.notices)

    def registry(self) -> Registry:
        """Everything the server offers, backed by this app."""
        access = MemoryAccess(self.runtime)
        resources = MemoryResources(access)
        return Registry(
            name="mnemon",
            version=version("mnemon"),
            title="mnemon",
            instructions=files("server").joinpath("instructions.md").read_text(encoding="utf-8"),
            tools=(
                *memory_tools(access),
                *search_tools(access),
                *finding_tools(access, self.settings.templates),
            ),
            more_tools=partial(_further_tools, access, self._approvals),
            resources=resources,
            prompts=memory_prompts(access),
            complete=resources.complete,
            describe_error=describe_error,
            explain_for=explain_for,
            on_second_message=self.warm_up,
            icon=_icon(),
            toolset=self.settings.toolset,
            agent=self.settings.agent or None,
        )

    def _open(self) -> "Runtime":
        with self._opening:
            if self._runtime is None:
                if self._closed:
                    raise RuntimeError("the app is closed")
                module = importlib.import_module("server.runtime")
                make: Callable[[Settings], Any] = module.Runtime
                runtime = make(self.settings)
                runtime.store.watch(self._announce)
                self._runtime = runtime
            return self._runtime

    def _announce(self, changes: "Sequence[Change]") -> None:
        """Tell subscribers of what a transaction changed; on the thread that wrote it."""
        runtime = self._runtime
        if runtime is None or not self.notices.heard:
            return
        if self.notices.subscribed or changes_a_list(changes):
            with runtime.store.read() as reader:
                self.notices.post(events_of(changes, reader))

    def _try_open(self) -> None:
        # The first call opens again and tells whoever called what is wrong.
        try:
            self._open()
        except Exception as error:
            if describe_error(error) is None and not self._closed:
                raise

    def _take(self) -> "Runtime | None":
        with self._opening:
            runtime, self._runtime, self._closed = self._runtime, None, True
            return runtime


def _further_tools(access: MemoryAccess, approvals: Approvals) -> tuple[Tool, ...]:
    from server.further_tools import further_tools  # noqa: PLC0415 - 100 modules few hosts ask for

    return further_tools(access, approvals)


def _icon() -> str:
    """The icon as a data URI: hosts show it without asking anybody on the net."""
    drawing = files("server").joinpath("icon.svg").read_bytes().strip()
    return f"data:image/svg+xml;base64,{base64.b64encode(drawing).decode()}"


@asynccontextmanager
async def open_app(settings: Settings) -> AsyncIterator[App]:
    """An app, which is closed at the end, after the runs in its background were stopped."""
    app, failure = App(settings), None
    try:
        async with anyio.create_task_group() as app.tasks:
            try:
                yield app
            except BaseException as error:  # raised below: a task group would wrap it
                failure = error
            app.tasks.cancel_scope.cancel()
    finally:
        await app.aclose()
    if failure is not None:
        raise failure


@asynccontextmanager
async def open_server(settings: Settings) -> AsyncIterator[RegistryServer]:
    """A server over an app of its own, which is closed at the end."""
    async with open_app(settings) as app:
        yield app.server()


def server_opener(settings: Settings) -> Callable[[], Any]:
    """open_server for these settings, to be called later."""
    return partial(open_server, settings)
