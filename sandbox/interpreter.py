"""Which Python runs tools, and what must be mounted for it.

The server's own interpreter where the unprivileged process can read it, else the system's. Never
the server's virtual environment: tools import the standard library and their own packages only.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sandbox.errors import SandboxUnavailable
from sandbox.unprivileged import Child

MINIMUM: Final = (3, 9)
SYSTEM_FOLDERS: Final = ("/usr", "/bin", "/lib", "/lib64")
_NAMES: Final = ("python3", "python3.13", "python3.12", "python3.11", "python3.10", "python3.9")
_QUESTION: Final = (
    "import sys, json, os, importlib.util as u; print(json.dumps([os.path.realpath(sys.executable),"
    " sys.base_prefix, os.path.dirname(os.__file__), list(sys.version_info[:3]),"
    " u.MAGIC_NUMBER.hex()]))"
)


@dataclass(frozen=True, slots=True)
class ToolPython:
    """The Python that runs tools, and as whom."""

    path: Path
    child: Child


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A Python.

    path: of the program itself, no link. prefix: the folder of its files. version: e.g. (3, 12, 1).
    magic: the start of its compiled files.
    """

    path: Path
    prefix: Path
    version: tuple[int, int, int]
    magic: bytes

    @property
    def mounts(self) -> tuple[Path, ...]:
        """Folders outside of the system's own that it needs, read-only."""
        return () if is_system(self.prefix) and is_system(self.path) else (self.prefix,)


def is_system(path: Path) -> bool:
    """Whether the sandbox has it anyway."""
    return any(path.is_relative_to(folder) for folder in SYSTEM_FOLDERS)


def find_interpreter(child: Child, wanted: Path | None = None) -> Interpreter:
    """The Python that runs tools as this user.

    wanted: the only one that is tried.

    Raises:
        SandboxUnavailable: there is none that the user could read, or the wanted one is too old.
    """
    refused = []
    for path in [wanted] if wanted is not None else candidates():
        answer = ask(path, child)
        if isinstance(answer, Interpreter):
            return answer
        refused.append(f"{path}: {answer}")
    least = ".".join(map(str, MINIMUM))
    raise SandboxUnavailable(
        f"no Python of at least {least} was found that tools can run ({'; '.join(refused)})",
        "Install one for all users (on Debian and Ubuntu: apt install python3), or name one with "
        "the setting sandbox_python",
    )


def candidates() -> Iterator[Path]:
    """The server's own interpreter, then those of the system."""
    own = getattr(sys, "_base_executable", None) or sys.executable
    if own:
        yield Path(own)
    for name in _NAMES:
        for folder in ("/usr/bin", "/usr/local/bin"):
            path = Path(folder, name)
            if path.exists():
                yield path


def ask(path: Path, child: Child) -> Interpreter | str:
    """What a Python says about itself, or why it cannot be used.

    It is started as the child's user, so that a program which that user may not read is none.
    """
    if not path.is_absolute():
        return "not an absolute path"
    if not child.can_read(path):
        return f"user {child.uid} cannot read it"
    try:
        said = subprocess.run(  # noqa: S603 - no shell, an absolute path, no input
            [os.fspath(path), "-I", "-S", "-c", _QUESTION],
            stdin=subprocess.DEVNULL, capture_output=True, timeout=20, cwd="/", env={}, check=True,
            **child.spawn_arguments(),
        )  # fmt: skip
        program, prefix, library, version, magic = json.loads(said.stdout)
    except (OSError, ValueError, subprocess.SubprocessError) as problem:
        return f"it does not start ({type(problem).__name__})"
    found = Interpreter(Path(program), Path(prefix), tuple(version), bytes.fromhex(magic))
    return refusal(found, Path(library), child) or found


def refusal(found: Interpreter, library: Path, child: Child) -> str:
    """Why an interpreter cannot be used; empty if it can."""
    if found.version < MINIMUM:
        return f"it is Python {'.'.join(map(str, found.version))}"
    if not child.can_read(library / "os.py"):
        return f"user {child.uid} cannot read {library}"
    if not is_system(library) and not library.is_relative_to(found.prefix):
        return f"its library {library} is not below {found.prefix}"
    # A mounted folder is readable as a whole: not a person's home, nor the root of everything.
    # A user without an account has none: "~" stays as it is then.
    home = Path(os.path.expanduser("~"))  # noqa: PTH111
    if found.mounts and (home.is_relative_to(found.prefix) or len(found.prefix.parts) < 3):
        return f"its folder {found.prefix} holds more than Python"
    return ""
