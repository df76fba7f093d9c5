"""One untrusted process: started behind bubblewrap, and ended with everything it started.

Not here: what is said to it (worker.py), and what isolates it (bubblewrap.py).
"""

import json
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import anyio
import anyio.lowlevel
import anyio.to_thread

from sandbox.bubblewrap import Descriptors
from sandbox.unprivileged import Child
from sandbox.watch import descendants


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where a process starts, and its environment; bubblewrap sets its own inside.

    portable: do without handles of processes, which only Linux has.
    """

    folder: str = "/"
    environment: Mapping[str, str] = field(default_factory=dict)
    portable: bool = False


Command = Callable[[Descriptors], Sequence[str]]
"""The command line, once the numbers of the open files are known."""


_PIPE_BYTES: Final = 65_536


@dataclass(slots=True)
class Spawned:
    """A process that runs. channel: our end. stdout, stderr: pipes that somebody must drain."""

    popen: subprocess.Popen[bytes]
    channel: socket.socket
    stdout: int
    stderr: int
    _info: int
    _exit: int
    init: int = 0
    _init_exit: int = -1
    _struck: bool = False

    @property
    def pid(self) -> int:
        """Of the process that we started; its descendants are the call's."""
        return self.popen.pid

    def find_init(self) -> None:
        """Learn the first process of the namespace, when something inside has answered."""
        with suppress(OSError, ValueError, KeyError, IndexError):
            number = int(json.loads(os.read(self._info, 4096))["child-pid"])
            self._init_exit = os.pidfd_open(number)
            # A number that was taken anew in between would be another process.
            if int(Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[1]) == (
                self.pid
            ):
                self.init = number

    def strike(self) -> None:
        """Send SIGKILL to all of it, once; kill waits until it is gone."""
        if self._struck or self.popen.returncode is not None:
            return
        self._struck = True
        if self.init:
            # The kernel ends a process namespace with its first process.
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._init_exit, signal.SIGKILL)
        else:
            for process in descendants(self.pid):
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(process, signal.SIGKILL)
        # The group is there from the start; dying with the parent is arranged a little later.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    async def kill(self) -> None:
        """Kill it, and wait until nothing of it is left. Cancelling does not stop this."""
        with anyio.CancelScope(shield=True):
            self.strike()
            if self.init:
                # This one is gone only after all others of its namespace are.
                await anyio.wait_readable(self._init_exit)
            await self._ended()
            self.popen.wait()
            self._collect_init()

    def _collect_init(self) -> None:
        # bubblewrap ends without waiting for it. It is then a child of process 1, which in a
        # container may be this one; anywhere else it is not ours to wait for.
        if self.init:
            with suppress(ChildProcessError):
                os.waitid(os.P_PIDFD, self._init_exit, os.WEXITED | os.WNOHANG)

    async def exit_code(self) -> int:
        """Wait until it has ended by itself; 128 and the signal's number where one ended it."""
        await self._ended()
        code = self.popen.wait()
        return code if code >= 0 else 128 - code

    async def _ended(self) -> None:
        if self._exit >= 0:
            await anyio.wait_readable(self._exit)
        else:
            await anyio.to_thread.run_sync(self.popen.wait, abandon_on_cancel=True)

    def close(self) -> None:
        """Close what is open; after kill."""
        self.channel.close()
        for number in (self.stdout, self.stderr, self._info, self._exit, self._init_exit):
            if number >= 0:
                os.close(number)
        self.stdout = self.stderr = self._info = self._exit = self._init_exit = -1

    async def end(self) -> None:
        """Kill it and close what is open."""
        try:
            await self.kill()
        finally:
            self.close()


def spawn(
    command: Command, files: tuple[bytes, bytes], child: Child, around: Surroundings | None = None
) -> Spawned:
    """Start a process. files: the program that speaks to us, and the system call filter, or b"".

    To be called on the event loop's own thread: bubblewrap dies with the *thread* that started it.

    Raises:
        OSError: it cannot be started.
    """
    around = around or Surroundings()
    with ExitStack() as ours, ExitStack() as theirs:
        channel, inner = socket.socketpair()
        ours.callback(channel.close)
        theirs.callback(inner.close)
        boot, seccomp = (in_memory(data, theirs) if data else -1 for data in files)
        info, info_inner = _pipe(ours, theirs)
        stdout, stdout_inner = _pipe(ours, theirs)
        stderr, stderr_inner = _pipe(ours, theirs)
        given = Descriptors(boot, seccomp, info_inner, inner.fileno())
        popen = subprocess.Popen(  # noqa: S603 - an absolute path, no shell
            list(command(given)), stdin=subprocess.DEVNULL, stdout=stdout_inner,
            stderr=stderr_inner, cwd=around.folder, env=around.environment, close_fds=True,
            pass_fds=given.all(), start_new_session=True, **child.spawn_arguments(),
        )  # fmt: skip
        try:
            exit_descriptor = -1 if around.portable else os.pidfd_open(popen.pid)
        except OSError:
            popen.kill()
            popen.wait()
            raise
        channel.setblocking(False)
        ours.pop_all()
        return Spawned(popen, channel, stdout, stderr, info, exit_descriptor)


def _pipe(ours: ExitStack, theirs: ExitStack) -> tuple[int, int]:
    read, write = os.pipe()
    ours.callback(os.close, read)
    theirs.callback(os.close, write)
    os.set_blocking(read, False)
    return read, write


def in_memory(data: bytes, closing: ExitStack) -> int:
    """A descriptor to read the bytes from; of its own, because readers move its position."""
    number = os.memfd_create("mnemon")
    closing.callback(os.close, number)
    os.write(number, data)
    os.lseek(number, 0, os.SEEK_SET)
    return number


async def drain(number: int, keep: Callable[[bytes], None]) -> None:
    """Read a pipe until its other ends are closed, handing on what came."""
    while True:
        try:
            data = os.read(number, 65_536)
        except BlockingIOError:
            await anyio.wait_readable(number)
            continue
        if not data:
            return
        keep(data)
        # A writer that never rests must not keep the loop for itself.
        await anyio.lowlevel.checkpoint()


def last_words(number: int, keep: Callable[[bytes], None]) -> None:
    """Read what is left in a pipe whose writers were killed; no more than it can hold."""
    left = _PIPE_BYTES
    while left > 0:
        try:
            data = os.read(number, left)
        except BlockingIOError:
            return
        if not data:
            return
        keep(data)
        left -= len(data)
