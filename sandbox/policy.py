"""What one run of untrusted code may use: upper bounds, and what it is granted.

The defaults are measured (decision 0016): numpy with 32 threads works under them, and the attacks
of the corpus do not.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sandbox.errors import InvalidRun
from sandbox.grants import parse_endpoint

MIB: Final = 1024 * 1024
MAX_WALL_S: Final = 300.0
MAX_MEMORY_BYTES: Final = 4_096 * MIB
MAX_METHOD_CALLS: Final = 100

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_FORBIDDEN_NAMES: Final = frozenset({"PATH", "HOME", "BASH_ENV", "ENV", "IFS", "GCONV_PATH"})
_FORBIDDEN_PREFIXES: Final = ("LD_", "DYLD_", "PYTHON", "GLIBC_", "MALLOC_", "BASH_FUNC")


@dataclass(frozen=True, slots=True)
class Policy:
    """Limits and grants.

    wall_s: from the call until it must have answered. cpu_s: of processor time. memory_bytes: of
    data a process may allocate. subprocesses: whether it may start programs. network: `host:port`
    that it may reach; empty: none. workspace_writable: files of its workspace may be changed.
    workspace_bytes, workspace_entries: how large the workspace may become. result_bytes: of its
    answer as JSON. output_bytes: kept of stdout, and of stderr.
    """

    wall_s: float = 30.0
    cpu_s: int = 20
    memory_bytes: int = 512 * MIB
    subprocesses: bool = False
    network: tuple[str, ...] = ()
    workspace_writable: bool = True
    workspace_bytes: int = 128 * MIB
    workspace_entries: int = 10_000
    result_bytes: int = MIB
    output_bytes: int = 64 * 1024

    def __post_init__(self) -> None:
        """Check the bounds.

        Raises:
            InvalidRun: a limit is out of its range, or a grant is none.
        """
        if not 0 < self.wall_s <= MAX_WALL_S:
            raise InvalidRun(f"wall_s is {self.wall_s}; it must be above 0, at most {MAX_WALL_S:g}")
        if self.cpu_s < 1:
            raise InvalidRun(f"cpu_s is {self.cpu_s}; it must be at least 1")
        if not 16 * MIB <= self.memory_bytes <= MAX_MEMORY_BYTES:
            raise InvalidRun(
                f"memory_bytes is {self.memory_bytes}; it must be {16 * MIB} to {MAX_MEMORY_BYTES}"
            )
        for target in self.network:
            try:
                parse_endpoint(target)
            except ValueError as error:
                raise InvalidRun(str(error)) from None


def checked_environment(given: Mapping[str, str]) -> dict[str, str]:
    """Names and values that a tool may find in its environment.

    Raises:
        InvalidRun: a name would change how programs are loaded, or is none; a value holds a NUL.
    """
    for name, value in given.items():
        if _NAME.fullmatch(name) is None:
            raise InvalidRun(f"{name[:80]!a} is no name of an environment variable")
        if name in _FORBIDDEN_NAMES or name.startswith(_FORBIDDEN_PREFIXES):
            raise InvalidRun(f"{name} would change how programs are loaded; use another name")
        if "\0" in value:
            raise InvalidRun(f"the value of {name} holds a NUL character")
    return dict(given)
