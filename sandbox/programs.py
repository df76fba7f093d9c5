"""Programs of others that go on running, as servers do, behind the same isolation as tools.

A program is started by a few lines of Python inside, which set its limits and its environment and
then become it. It may start others; it has no network, no files but the system's and what it was
granted to read, and an empty folder in memory. It is not confined by the late filter or Landlock,
which would keep it from starting at all.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sandbox.bubblewrap import Mounts, program_arguments
from sandbox.errors import InvalidRun
from sandbox.launcher import Ground
from sandbox.policy import MIB, checked_environment
from sandbox.seccomp import outer_filter
from sandbox.spawn import in_memory

LIMITS: Final = {
    "CORE": 0,
    "CPU": 600,
    "DATA": 2_048 * MIB,
    "FSIZE": 64 * MIB,
    "NOFILE": 1_024,
    "NPROC": 128,
}
_PATH: Final = "/usr/local/bin:/usr/bin:/bin"
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
os.closerange(3, 65536)
try:
    os.execvpe(given["argv"][0], given["argv"], {**os.environ, **given["environment"]})
except OSError as error:
    sees = " (it sees /usr, and what it was granted to read)"
    sys.exit(given["argv"][0] + ": " + error.strerror + sees)
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
        if not Path(path).is_absolute() or path != os.path.normpath(path) or len(real.parts) < 2:
            raise InvalidRun(f"{path[:80]!a} is no absolute path of a file or folder")
        if any(real.is_relative_to(p) or Path(path).is_relative_to(p) for p in _NEVER):
            raise InvalidRun(f"{path[:80]!a} is the system's and cannot be granted")
        for private in kept_away:
            away = private.resolve()
            if real.is_relative_to(away) or away.is_relative_to(real):
                raise InvalidRun(f"{path[:80]!a} would show what mnemon itself keeps in {away}")
        found.append(Path(path))
    return tuple(found)


@contextmanager
def prepared(ground: Ground, bubblewrap: Path, program: Program) -> Iterator[Started]:
    """Everything to start a program behind bubblewrap; the descriptors are closed afterwards.

    Raises:
        InvalidRun: its environment cannot be.
    """
    folders = (f"{path}/bin" for path in program.reads)
    environment = {
        **checked_environment(program.environment),
        "PATH": ":".join([*folders, _PATH]),
    }
    given = {"argv": list(program.argv), "environment": environment, "limits": LIMITS}
    with ExitStack() as closing:
        told = in_memory(json.dumps(given).encode(), closing)
        seccomp = in_memory(outer_filter(ground.machine), closing)
        inside = [os.fspath(ground.interpreter.path), "-I", "-S", "-c", _STARTER, str(told)]
        mounts = Mounts(ground.system, ground.interpreter)
        argv = program_arguments(bubblewrap, mounts, program.reads, seccomp)
        argv += inside
        yield Started(argv, (told, seccomp), ground.child.spawn_arguments())
