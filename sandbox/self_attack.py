"""Trying to get out, through the real launcher: what decides whether anything is run here.

Each probe is a tool that tries one thing, and a look from outside at whether it came about. A
probe that cannot be run, or does not answer, counts as not held: then nothing is known.
"""

import fcntl
import os
import secrets
import socket
import subprocess
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import anyio

from sandbox.errors import SandboxUnavailable
from sandbox.policy import Policy
from sandbox.protocol import Outcome, ToolRun
from sandbox.unprivileged import Child

Run = Callable[[ToolRun], Awaitable[Outcome]]

_WALL_S: Final = 20.0
# Each source defines attack(**given), which returns whether it got through.
_READ: Final = """
def attack(secret, **_):
    try:
        return bool(open(secret).read())
    except OSError:
        return False
"""
_DATABASE: Final = """
import os
def attack(database, **_):
    for flags in (os.O_RDONLY, os.O_RDWR):
        try:
            os.open(database, flags)
            return True
        except OSError:
            pass
    return False
"""
_WRITE: Final = """
def attack(outside, **_):
    try:
        open(outside + "/written", "w").write("x")
        return True
    except OSError:
        return False
"""
_CONNECT: Final = """
def attack(port, **_):
    try:
        import socket
        socket.create_connection(("127.0.0.1", port), 2).close()
        return True
    except OSError:
        return False
"""
# Through the proxy that a grant gives it, to the name of this machine; and past the proxy.
_GRANTED: Final = """
def attack(port, **_):
    import os, socket
    where = os.environ["http_proxy"].rpartition("/")[2].split(":")
    with socket.create_connection((where[0], int(where[1])), 10) as link:
        link.sendall(f"CONNECT localhost:{port} HTTP/1.1\\r\\n\\r\\n".encode())
        if link.recv(100).startswith(b"HTTP/1.1 200"):
            return True
    try:
        socket.create_connection(("127.0.0.1", port), 2).close()
        return True
    except OSError:
        return False
"""
_SIGNAL: Final = """
import os
def attack(process, **_):
    try:
        os.kill(process, 9)
        return True
    except OSError:
        return False
"""
_EXECUTE: Final = """
import os, subprocess
def attack(**_):
    try:
        subprocess.run(["/bin/sh", "-c", ":"])
        return True
    except OSError:
        return False
"""
# macOS shows the arguments of a process by sysctl: KERN_PROCARGS2 is 49.
_PROCESSES: Final = """
import glob, sys
def attack(mark_start, mark_end, process, **_):
    for path in glob.glob("/proc/[0-9]*/cmdline") + glob.glob("/proc/[0-9]*/environ"):
        try:
            if (mark_start + mark_end).encode() in open(path, "rb").read():
                return True
        except OSError:
            pass
    if sys.platform == "darwin":
        import ctypes
        said, size = ctypes.create_string_buffer(65_536), ctypes.c_size_t(65_536)
        asked = (ctypes.c_int * 3)(1, 49, process)
        ctypes.CDLL(None).sysctl(asked, 3, said, ctypes.byref(size), None, ctypes.c_size_t(0))
        return b"read line" in said.raw
    return False
"""
_NAMESPACE: Final = """
import ctypes, sys
def attack(**_):
    return sys.platform == "linux" and ctypes.CDLL(None).unshare(0x10000000) == 0
"""
# It holds a lock that is free as soon as nothing of the call is left.
_DAEMON: Final = """
import fcntl, os, time
def attack(**_):
    file = open("held", "w")
    fcntl.flock(file, fcntl.LOCK_EX)
    try:
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                for number in (0, 1, 2):
                    os.close(number)
                time.sleep(60)
            os._exit(0)
    except OSError:
        pass
    return False
"""


@dataclass(frozen=True, slots=True)
class Probe:
    """One attempt. what: completes "a tool could …". granted: it has a grant of localhost."""

    source: str
    what: str
    subprocesses: bool = False
    granted: bool = False


PROBES: Final[Mapping[str, Probe]] = {
    "read_outside": Probe(_READ, "read a file outside of its workspace"),
    "open_database": Probe(_DATABASE, "open the database"),
    "write_outside": Probe(_WRITE, "write outside of its workspace"),
    "connect": Probe(_CONNECT, "connect to a port of this machine"),
    "connect_by_grant": Probe(_GRANTED, "connect to this machine by a network grant", granted=True),
    "signal": Probe(_SIGNAL, "send a signal to another process"),
    "execute": Probe(_EXECUTE, "start a program"),
    "see_processes": Probe(_PROCESSES, "see other processes"),
    "make_namespace": Probe(_NAMESPACE, "make a user namespace"),
    "leave_daemon": Probe(_DAEMON, "leave a process behind", subprocesses=True),
}


@dataclass(frozen=True, slots=True)
class Scene:
    """What the probes aim at. given: their arguments."""

    given: Mapping[str, Any]
    outside: Path
    workspace: Path
    listener: socket.socket
    target: subprocess.Popen[bytes]

    def untouched(self) -> Mapping[str, bool]:
        """By probe, whether its attempt left no trace out here."""
        try:
            self.listener.accept()[0].close()
            silent = False
        except BlockingIOError:
            silent = True
        return {
            "connect": silent,
            "connect_by_grant": silent,
            "write_outside": not (self.outside / "written").exists(),
            "signal": self.target.poll() is None,
            "leave_daemon": nobody_holds(self.workspace / "held"),
        }


def nobody_holds(path: Path) -> bool:
    """Whether a file is there and nobody has it locked."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


async def attack(
    run: Run, child: Child, database: Path | None = None, *, weaker: bool = False
) -> dict[str, bool]:
    """Try every probe; by name, whether it was held.

    run: of the sandbox in question. child: its user, who can reach what the probes aim at but for
    the sandbox. database: a file that must not be opened. weaker: nothing may be granted that
    only namespaces hold, so probes that need it go without.

    Raises:
        SandboxUnavailable: nothing can be started, so nothing was tried.
    """
    probes = {name: probe for name, probe in PROBES.items() if not (weaker and probe.granted)}
    tried: dict[str, bool] = {}
    refused: list[SandboxUnavailable] = []
    with stage(child, database) as scene:

        async def attempt(name: str, probe: Probe) -> None:
            grants = (f"localhost:{scene.given['port']}",) if probe.granted else ()
            starts = probe.subprocesses and not weaker
            policy = Policy(wall_s=_WALL_S, subprocesses=starts, network=grants)
            workspace = scene.workspace if probe.subprocesses else None
            try:
                outcome = await run(
                    ToolRun(probe.source, "attack", scene.given, policy, workspace=workspace)
                )
            except SandboxUnavailable as problem:
                refused.append(problem)
                attempts.cancel_scope.cancel()
                return
            tried[name] = outcome.status == "ok" and outcome.result is False

        async with anyio.create_task_group() as attempts:
            for name, probe in probes.items():
                attempts.start_soon(attempt, name, probe)
        if refused:
            raise refused[0]
        for name, held in scene.untouched().items():
            if name in tried:
                tried[name] = tried[name] and held
    return {name: tried[name] for name in probes}


@contextmanager
def stage(child: Child, database: Path | None) -> Iterator[Scene]:
    """Set up what the probes aim at: all of it can be reached by the child's user outside."""
    with tempfile.TemporaryDirectory(prefix="mnemon-probe-") as name, socket.socket() as listener:
        folder = Path(name)
        folder.chmod(0o755)
        outside, workspace = folder / "outside", folder / "workspace"
        for path in (outside, workspace):
            path.mkdir()
            child.give(path)
        for path in (outside / "secret", outside / "database"):
            path.write_text("canary")
            path.chmod(0o644)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.setblocking(False)
        mark = secrets.token_hex(16)
        # Two: one of them may be killed while it is looked for.
        with bystander(mark, child), bystander("target", child) as target:
            given = {
                "secret": os.fspath(outside / "secret"),
                "database": os.fspath(database or outside / "database"),
                "outside": os.fspath(outside),
                "port": listener.getsockname()[1],
                "process": target.pid,
                "mark_start": mark[:16],
                "mark_end": mark[16:],
            }
            yield Scene(given, outside, workspace, listener, target)


@contextmanager
def bystander(mark: str, child: Child) -> Iterator[subprocess.Popen[bytes]]:
    """A process of the child's user that waits, with a mark in its arguments."""
    process = subprocess.Popen(  # noqa: S603 - our own text, an absolute path
        ["/bin/sh", "-c", f"read line # {mark}"], stdin=subprocess.PIPE, cwd="/", env={},
        **child.spawn_arguments(),
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        with suppress(OSError):
            process.communicate()


def got_through(tried: Mapping[str, bool]) -> str:
    """What was not held, in words; empty: everything was."""
    return "; ".join(PROBES[name].what for name, held in tried.items() if not held)
