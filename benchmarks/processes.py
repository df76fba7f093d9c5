"""A program in a process of its own, of which nothing is left when it ends, however it ends.

What a benchmark starts may leave its session (the owner of a memory does), so a process group is
not enough: on Linux the runner adopts whatever loses its parent, and finds it among its children.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence, Set
from contextlib import suppress
from pathlib import Path

from sandbox.watch import descendants

GRACE_S = 10.0
"""How long a program that was interrupted may take to end what it has started."""

_TICK_S = 0.2
_CPUCLOCK_SCHED = 2
_PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> None:
    """Become the parent of every process that loses its own below this one (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def run(
    command: Sequence[str],
    output: Path,
    progress: Path,
    watch: Callable[[str], None],
    environment: Mapping[str, str],
) -> int:
    """Run a command until its end; return its exit status.

    Files and no pipes: a pipe that a left-over child holds open never comes to an end.

    Args:
        output, progress: files for what it prints, and prints to stderr.
        watch: is given what is printed to stderr, line by line, as it comes.

    Raises:
        KeyboardInterrupt: Ctrl-C; the command and all that it started are gone then.
    """
    with output.open("wb") as out, progress.open("wb") as err, progress.open("rb") as read:
        before = set(descendants(os.getpid()))
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            env=environment,
            start_new_session=True,
        )
        try:
            while process.poll() is None:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(_TICK_S)
                _pass_on(read.read(), watch)
            return process.returncode
        except KeyboardInterrupt:
            interrupt(process)
            raise
        finally:
            end(process, before)


def interrupt(process: "subprocess.Popen[bytes]") -> None:
    """Let it end by itself, as Ctrl-C would; a second Ctrl-C does not wait for that."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGINT)
    with suppress(subprocess.TimeoutExpired, KeyboardInterrupt):
        process.wait(GRACE_S)


def end(process: "subprocess.Popen[bytes]", others: Set[int]) -> None:
    """Kill what is left of it: its group, and every process below this one but those others."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    # Again and again: an orphan's own children become ours only when it dies.
    while left := set(descendants(os.getpid())) - others:
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for pid in left:
            with suppress(ChildProcessError):
                os.waitpid(pid, 0)


def cpu_s(*processes: int) -> float:
    """CPU seconds of running processes so far, all threads, those that have ended too.

    Linux gives every process a clock of what it used, to the nanosecond; elsewhere it is 0.
    """
    if sys.platform != "linux":
        return 0.0
    return sum(time.clock_gettime((~pid << 3) | _CPUCLOCK_SCHED) for pid in processes)


def _pass_on(printed: bytes, watch: Callable[[str], None]) -> None:
    for line in printed.decode("utf-8", "replace").splitlines():
        if line.strip():
            watch(line.rstrip())
