"""Starting workers: what is found out once about this machine, then one process after another.

What is found lives in Ground; a process gets its program and its system call filter as open files,
is configured, and says that it is ready (worker.py goes on from there).
"""

import importlib.util
import marshal
import platform
import socket
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread

from sandbox import bubblewrap
from sandbox.bubblewrap import Mounts, System
from sandbox.channel import Channel
from sandbox.errors import SandboxError, SandboxUnavailable
from sandbox.frames import encode
from sandbox.inside.program import boot_program, compiled_by
from sandbox.interpreter import Interpreter, find_interpreter
from sandbox.listener import close, take_listener
from sandbox.output import ERROR_BYTES, Kept
from sandbox.refusals import why_not_started
from sandbox.seccomp import late_filter, outer_filter
from sandbox.settings import SandboxSettings
from sandbox.shape import Shape, configuration, inner_landlock
from sandbox.spawn import Spawned, drain, spawn
from sandbox.unprivileged import Child, find_child
from sandbox.worker import Worker

Explain = Callable[[str], SandboxUnavailable]

READY_BYTES: Final = 4_096
START_S: Final = 20.0


@dataclass(frozen=True, slots=True)
class Ground:
    """What this machine has, found once."""

    child: Child
    interpreter: Interpreter
    system: System
    boot: bytes
    machine: str


def survey(settings: SandboxSettings) -> Ground:
    """Find what is needed; starts a few short processes, so it is called on a thread.

    Raises:
        SandboxUnavailable: something is missing, with how to get it.
    """
    child = find_child()
    interpreter = find_interpreter(child, settings.python)
    machine = platform.machine()
    outer_filter(machine)  # is there a table for this machine?
    return Ground(
        child, interpreter, bubblewrap.read_system(), program_for(interpreter, child), machine
    )


def program_for(interpreter: Interpreter, child: Child) -> bytes:
    """What the process runs first, compiled for its interpreter."""
    if interpreter.magic != importlib.util.MAGIC_NUMBER:
        return compiled_by(interpreter.path, child)
    code = compile(boot_program(), "<boot>", "exec", dont_inherit=True)
    # Flags 0, then time and size of a source that nobody looks for.
    return importlib.util.MAGIC_NUMBER + bytes(12) + marshal.dumps(code)


@cache
def filters(machine: str, subprocesses: bool, network: bool) -> tuple[bytes, bytes]:
    """The outer and the late filter of a process behind bubblewrap."""
    return outer_filter(machine, network), late_filter(machine, subprocesses, network)


async def start(ground: Ground, program: Path, shape: Shape) -> Worker:
    """Start a process of this shape behind bubblewrap, and wait until it is ready.

    Raises:
        SandboxUnavailable: it did not get as far.
    """
    mounts = Mounts(
        ground.system, ground.interpreter, shape.workspace, shape.writable, shape.packages,
        memory_bytes=shape.memory_workspace_bytes,
    )  # fmt: skip
    outer, late = filters(ground.machine, shape.subprocesses, shape.network)
    files = ground.boot, outer
    command = partial(bubblewrap.arguments, program, mounts)
    try:
        process = spawn(command, files, ground.child)
    except OSError as problem:
        raise SandboxUnavailable(f"a process cannot be started ({problem})", "Try again") from None
    message = configuration(
        shape,
        inner_landlock(shape, ground.interpreter, ground.system),
        late,
        own_count=True,
    )
    try:
        ready = await make_ready(process, encode(message), listens=shape.network)
    except BaseException:
        await process.end()
        raise
    return Worker(process, shape, "namespaces", ready.listener)


@dataclass(frozen=True, slots=True)
class Ready:
    """What a process says. listener: what it listens on for its proxy. landlock_abi: 0 is none."""

    listener: socket.socket | None
    landlock_abi: int


async def make_ready(
    process: Spawned, configure: bytes, *, listens: bool, explain: Explain = why_not_started
) -> Ready:
    """Configure a process. explain: the refusal, from what it printed before it ended.

    Raises:
        SandboxUnavailable: it ended, or said something else than that it is ready.
    """
    channel = Channel(process.channel, READY_BYTES)
    said = "it did not answer in time"
    with ExitStack() as taken, anyio.move_on_after(START_S):
        try:
            await channel.send(configure)
            listener = await take_listener(process.channel) if listens else None
            taken.callback(close, listener)
            message = await channel.receive()
            if message is not None and message.get("t") == "ready":
                process.find_init()
                taken.pop_all()
                return Ready(listener, int(message.get("landlock_abi", 0)))
            said = "it answered something unexpected" if message is not None else ""
        except (SandboxError, OSError) as problem:
            said = str(problem)
        said = f"{said} {await _last_words(process)}"
    raise explain(said)


async def _last_words(process: Spawned) -> str:
    kept = Kept(ERROR_BYTES)
    with anyio.move_on_after(1.0):
        await drain(process.stderr, kept.add)
    return kept.text()
