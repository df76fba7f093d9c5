"""What is fixed about a process when it starts: what it sees, and the limits that the kernel keeps.

Pure: from a run to a shape, from a shape to the first message that a process gets.
"""

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sandbox import bubblewrap
from sandbox.interpreter import Interpreter
from sandbox.policy import MIB
from sandbox.protocol import ToolRun

# numpy with 32 threads works below these (measured, decision 0016).
ADDRESS_MARGIN_BYTES: Final = 1_536 * MIB
FILE_BYTES: Final = 64 * MIB
OPEN_FILES: Final = 128
# Processes count with their threads; a user namespace has a count of its own.
PROCESSES: Final = 64
THREAD_STACK_BYTES: Final = MIB


@dataclass(frozen=True, slots=True)
class Shape:
    """Processes of one shape can stand in for each other. See Policy for the limits.

    workspace: None is one in memory, of memory_workspace_bytes.
    """

    memory_bytes: int
    subprocesses: bool
    writable: bool
    network: bool
    workspace: Path | None
    packages: Path | None
    memory_workspace_bytes: int


def shape_of(run: ToolRun, *, writable: bool) -> Shape:
    """The shape of the process that a run needs; not writable: whatever its policy says."""
    policy = run.policy
    return Shape(
        memory_bytes=policy.memory_bytes,
        subprocesses=policy.subprocesses,
        writable=writable and policy.workspace_writable,
        network=bool(policy.network),
        workspace=run.workspace,
        packages=run.packages,
        memory_workspace_bytes=policy.workspace_bytes if run.workspace is None else 0,
    )


def configuration(
    shape: Shape, landlock: dict[str, Any] | None, late_filter: bytes | None, *, own_count: bool
) -> dict[str, Any]:
    """The first message to a process.

    own_count: processes are counted for it alone, because it has a user namespace.
    """
    limits = {
        "AS": shape.memory_bytes + ADDRESS_MARGIN_BYTES,
        "DATA": shape.memory_bytes,
        "FSIZE": FILE_BYTES,
        "NOFILE": OPEN_FILES,
        "CORE": 0,
        "MEMLOCK": 0,
        "MSGQUEUE": 0,
    }
    if own_count:
        limits["NPROC"] = PROCESSES
    return {
        "t": "configure",
        "v": 1,
        "rlimits": limits,
        "landlock": landlock,
        "late_filter": None if late_filter is None else base64.b64encode(late_filter).decode(),
        "thread_stack": THREAD_STACK_BYTES,
        "listen": shape.network,
    }


def inner_landlock(
    shape: Shape, interpreter: Interpreter, system: bubblewrap.System
) -> dict[str, Any]:
    """What Landlock allows inside of bubblewrap, which holds without it."""
    read = [*system.folders, *map(str, interpreter.mounts), "/proc", "/dev", bubblewrap.WORKSPACE]
    write = ["/tmp", "/dev/shm", "/dev/null"]  # noqa: S108 - of the sandbox
    if shape.packages is not None:
        read.append(bubblewrap.PACKAGES)
    if shape.writable:
        write.append(bubblewrap.WORKSPACE)
    return {"read": read, "write": write, "tcp": shape.network}
