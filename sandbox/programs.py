"""Programs of others that go on running, as servers do, behind the same isolation as tools.

A program is started by a few lines of Python inside, which set its limits and its environment and
then become it. It may start others; it has no files but the system's and what it was granted to
read, and an empty folder in memory. It is not confined by the late filter or Landlock, which would
keep it from starting at all. Its network is a loopback: where hosts are granted, those lines open
what the server serves as its proxy for as long as it runs (way_out), else it has no sockets. The
kernel limits each of its processes; what all of them use together is looked at from outside
(overstepping).
"""

import json
import os
import socket
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Final

import anyio

from sandbox.bubblewrap import Mounts, program_arguments
from sandbox.errors import InvalidRun
from sandbox.launcher import Ground
from sandbox.listener import PROXY_VARIABLES, take_listener
from sandbox.policy import MIB, Policy, checked_environment
from sandbox.proxy import ProxyLimits, serve_grants
from sandbox.reach import Reach
from sandbox.seccomp import outer_filter
from sandbox.spawn import in_memory
from sandbox.watch import MEMORY_FOLDERS, POLL_S, WORKSPACE, Bounds, descendants, watch

LIMITS: Final = {
    "CORE": 0,
    "CPU": 600,
    "DATA": 2_048 * MIB,
    "FSIZE": 64 * MIB,
    "NOFILE": 1_024,
    "NPROC": 128,
}
PROXY_LIMITS: Final = ProxyLimits(total_bytes=1_024 * MIB)
"""More than a tool has: a program lives for many calls."""
BOUNDS: Final = Bounds(
    {},
    folder_bytes=0,
    entries=20_000,
    memory_bytes=2_048 * MIB,
    in_memory=(*MEMORY_FOLDERS, WORKSPACE),
)
"""Of all processes of a program together: as much memory as one may have, and files for caches."""
_WATCH_S: Final = 0.1
"""A program mostly waits, for as long as it is connected: looks are rarer than at a call."""
SYSTEM_PATH: Final = "/usr/local/bin:/usr/bin:/bin"
_NEVER: Final = ("/proc", "/sys", "/dev", "/run", "/workspace", "/etc")

_STARTER: Final = """
import json, os, resource, sys
with open(int(sys.argv[1]), "rb") as file:
    given = json.load(file)
for name, value in given["limits"].items():
    number = getattr(resource, "RLIMIT_" + name)
    hard = resource.getrlimit(number)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(number, (value, value))
environment = {**os.environ, **given["environment"]}
if given["link"] is not None:
    proxy = "http://127.0.0.1:%d" % hand_out_listener(given["link"])
    environment.update(dict.fromkeys(given["proxy_variables"], proxy))
    os.close(given["link"])
os.closerange(3, 65536)
try:
    os.execvpe(given["argv"][0], given["argv"], environment)
except OSError as error:
    sys.exit(given["argv"][0] + ": " + error.strerror)
"""


@dataclass(frozen=True, slots=True)
class Program:
    """What is run. reads: files and folders that it sees, at their own places."""

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    reads: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Started:
    """How it is started: the arguments, and what the process must inherit and run as."""

    argv: list[str]
    descriptors: tuple[int, ...]
    options: dict[str, Any]


def checked_reads(paths: Sequence[str], kept_away: Sequence[Path]) -> tuple[Path, ...]:
    """Paths that a program may be let read; kept_away: what none of them may hold, or lie in.

    Raises:
        InvalidRun: one is no absolute path, or the system's, or would show what is kept away.
    """
    found = []
    for path in paths:
        real = Path(path).resolve()
        if not Path(path).is_absolute() or path != os.path.normpath(path):
            raise InvalidRun(f"{path[:80]!a} is no absolute path of a file or folder")
        if len(real.parts) < 2:
            raise InvalidRun(
                f"{path[:80]!a} is all of this machine and cannot be granted; name the files and"
                " folders that it needs"
            )
        if any(real.is_relative_to(p) or Path(path).is_relative_to(p) for p in _NEVER):
            raise InvalidRun(f"{path[:80]!a} is the system's and cannot be granted")
        for private in kept_away:
            away = private.resolve()
            if real.is_relative_to(away) or away.is_relative_to(real):
                raise InvalidRun(f"{path[:80]!a} would show what mnemon itself keeps in {away}")
        found.append(Path(path))
    return tuple(found)


async def overstepping(process: int, bounds: Bounds) -> str:
    """Return as soon as a program uses more than it may, with the words that say of what.

    process: the bubblewrap that started it.
    """
    while True:
        init = _first_inside(process)
        if init is not None:
            return await watch(bounds, process, init, _WATCH_S)
        await anyio.sleep(POLL_S)


def _first_inside(process: int) -> int | None:
    """The first process of the namespace, once its folders are its own; None: not yet."""
    for init in descendants(process)[1:2]:
        # Until bubblewrap has changed the root, the folders seen there are this machine's.
        with suppress(OSError):
            if not os.path.samestat(Path(f"/proc/{init}/root").stat(), Path("/").stat()):
                return init
    return None


@asynccontextmanager
async def way_out(grants: Sequence[str], reach: Reach) -> AsyncIterator[socket.socket | None]:
    """Serve what a program is granted until this is left; then its connections are closed.

    To be entered before the program starts, which is given the socket (`prepared`) and hands out
    through it what it listens on. None: nothing is granted.

    Raises:
        InvalidRun: a grant is no `host:port`.
    """
    if not grants:
        yield None
        return
    Policy(network=tuple(grants))
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_serve, ours, tuple(grants), reach)
            yield theirs
            tasks.cancel_scope.cancel()


async def _serve(link: socket.socket, grants: tuple[str, ...], reach: Reach) -> None:
    # Once, and before the program is what it was started for: nothing that it sends is taken.
    with link:
        listener = await take_listener(link)
    if listener is not None:
        await serve_grants(listener, grants, reach, PROXY_LIMITS)


@contextmanager
def prepared(
    ground: Ground, bubblewrap: Path, program: Program, link: socket.socket | None = None
) -> Iterator[Started]:
    """Everything to start a program behind bubblewrap; the descriptors are closed afterwards.

    link: of its way out, where it has one; closed as well.

    Raises:
        InvalidRun: its environment cannot be.
    """
    folders = (f"{path}/bin" for path in program.reads)
    environment = {
        **checked_environment(program.environment),
        "PATH": ":".join([*folders, SYSTEM_PATH]),
    }
    given = {
        "argv": list(program.argv),
        "environment": environment,
        "limits": LIMITS,
        "link": None if link is None else link.fileno(),
        "proxy_variables": PROXY_VARIABLES,
    }
    with ExitStack() as closing:
        told = in_memory(json.dumps(given).encode(), closing)
        seccomp = in_memory(outer_filter(ground.machine, network=link is not None), closing)
        inside = [os.fspath(ground.interpreter.path), "-I", "-S", "-c", _starter(), str(told)]
        mounts = Mounts(ground.system, ground.interpreter)
        argv = program_arguments(bubblewrap, mounts, program.reads, seccomp)
        argv += inside
        descriptors = [told, seccomp]
        if link is not None:
            descriptors.append(closing.enter_context(link).fileno())
        yield Started(argv, tuple(descriptors), ground.child.spawn_arguments())


@cache
def _starter() -> str:
    listening = resources.files("sandbox.inside") / "listener.py"
    return listening.read_text(encoding="utf-8") + _STARTER
