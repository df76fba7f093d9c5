"""`mnemon serve`: streamable HTTP on this machine, and the socket that local hosts' fronts use.

With --background, as a front starts it, the socket only, until nobody has used it for a while.
"""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final

import anyio

from server import owner_files, owner_listener
from server.app import App, open_app
from server.config import Settings
from server.console import Console
from server.errors import OperatorError
from server.http import HttpAddress, serve_http
from server.owner import Owner
from server.owner_listener import Listener, listen_on_loopback
from server.owner_questions import ask_owner, refuse_while_owned
from server.principals import Principals
from server.protocol import RegistryServer
from server.shutdown import exit_after, wait_for_stop_signal
from server.token_file import TOKEN_FILE, new_token, read_or_create_token

_TAKE_OVER_TRIES: Final = 3
"""A front may start the next owner before this process has the lock."""


class AlreadyOwned(OperatorError):
    """Another process served this directory a moment ago."""


class UnusableDirectory(OperatorError):
    """Nothing can be kept in this directory."""


def run(settings: Settings, options: dict[str, Any], console: Console) -> int:
    """Serve until a signal comes, or `mnemon stop`."""
    lock_fd = options["background"]
    listen = listen_on_loopback if options["loopback"] else owner_listener.listen
    if lock_fd is not None:
        lock = _background_lock(settings.data, lock_fd)
        if lock is not None:
            anyio.run(partial(_serve_background, settings, lock, listen))
    elif settings.directory is None:
        anyio.run(partial(_serve_web_alone, settings, console))
    else:
        anyio.run(partial(_serve_both, settings, _take_lock(settings.data), console))
    return 0


async def _serve_background(
    settings: Settings, lock: owner_files.OwnerLock, listen: Callable[[str], Listener]
) -> None:
    idle_s = settings.idle_minutes * 60 or None
    async with open_app(settings) as app:
        owner = Owner(settings, app.server(), idle_s, listen, background=True)
        owner.note_runs(app.count_runs)
        owner.note_sandbox(app.sandbox_found)

        async def watch_signals() -> None:
            owner.stop(await wait_for_stop_signal())

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watch_signals)
            await owner.serve(exit_after())
            tasks.cancel_scope.cancel()
    lock.release()


async def _serve_both(settings: Settings, lock: owner_files.OwnerLock, console: Console) -> None:
    failed: list[OperatorError] = []
    async with _open_app(settings) as app:
        server = app.server()
        owner = Owner(settings, server)
        owner.note_runs(app.count_runs)
        owner.note_sandbox(app.sandbox_found)

        async def serve_web() -> None:
            try:
                await _serve_web(settings, server, console, owner.note_url)
            except OperatorError as error:
                failed.append(error)  # raised below: here it would come out in a group
            owner.stop("the web server has ended")

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(serve_web)
            await owner.serve(exit_after())
            tasks.cancel_scope.cancel()
    lock.release()
    if failed:
        raise failed[0]


async def _serve_web_alone(settings: Settings, console: Console) -> None:
    async with _open_app(settings) as app:
        await _serve_web(settings, app.server(), console)


@asynccontextmanager
async def _open_app(settings: Settings) -> AsyncIterator[App]:
    """An app with everything open before success is announced: nobody waits for an answer yet."""
    async with open_app(settings) as app:
        await app.runtime()
        yield app


async def _serve_web(
    settings: Settings,
    server: RegistryServer,
    console: Console,
    note_url: Callable[[str], None] = lambda url: None,
) -> None:
    address = HttpAddress(
        settings.http_host, settings.http_port, frozenset(settings.http_allowed_hosts)
    )
    directory = settings.directory
    token = read_or_create_token(directory) if directory else new_token()
    # In memory there is no directory for the file, so the token itself must be told.
    where = directory and directory / TOKEN_FILE

    def started(host: str, port: int) -> None:
        url = f"http://{f'[{host}]' if ':' in host else host}:{port}/mcp"
        note_url(url)
        value = {"url": url, "token_file": where and str(where)}
        secret = f"the content of {where}" if where else token
        console.show(
            value if where else {**value, "token": token},
            f"mnemon serves {url}\nheader: Authorization: Bearer TOKEN; TOKEN is {secret}",
        )

    principals = Principals(token, directory)
    await serve_http(server, address, principals, started, exit_after())


def _background_lock(directory: str, lock_fd: int) -> owner_files.OwnerLock | None:
    """The lock from whoever started this; None: it was to be taken here, and another has it."""
    if lock_fd != owner_files.TAKES_LOCK:
        return owner_files.OwnerLock(lock_fd)
    lock = owner_files.OwnerLock.take(directory)
    if lock is not None:
        lock.note_holder(os.getpid())
    return lock


def _take_lock(directory: str) -> owner_files.OwnerLock:
    try:
        lock = owner_files.OwnerLock.take(directory)
    except OSError as error:
        raise UnusableDirectory(f"{directory} cannot be used: {error.strerror}") from error
    tries = _TAKE_OVER_TRIES
    while lock is None and tries:
        tries -= 1
        status = ask_owner(directory, "status")
        if status is not None and not status["background"]:
            break
        # A front started it and nobody watches it: its hosts go on with this one.
        ask_owner(directory, "stop")
        lock = owner_files.OwnerLock.take(directory)
    if lock is None:
        refuse_while_owned(directory)
        raise AlreadyOwned(f"another process began to serve {directory}; start this again")
    lock.note_holder(os.getpid())
    return lock
