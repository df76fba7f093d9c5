"""What a machine brings to isolation, for people who ask: which programs, and which Landlock.

It decides nothing: whether runs are isolated is found out by trying (self_attack.py).
"""

import ctypes
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sandbox.bubblewrap import find_bubblewrap
from sandbox.errors import SandboxUnavailable
from sandbox.interpreter import find_interpreter
from sandbox.settings import SandboxSettings
from sandbox.unprivileged import find_child

# The same number on every machine that Landlock runs on.
_CREATE_RULESET: Final = 444
_VERSION_FLAG: Final = 1


@dataclass(frozen=True, slots=True)
class Equipment:
    """What was found; empty, 0 and None: it is not there.

    python, bubblewrap: paths. user: the number of whom tools run as, outside of the sandbox.
    """

    python: str = ""
    python_version: str = ""
    bubblewrap: str = ""
    bubblewrap_version: str = ""
    landlock_abi: int = 0
    user: int | None = None


def read_equipment(settings: SandboxSettings) -> Equipment:
    """Look; starts a few short processes, so it is called on a thread."""
    python = version = ""
    user: int | None = None
    try:
        child = find_child()
        user = child.uid
        found = find_interpreter(child, settings.python)
        python, version = os.fspath(found.path), ".".join(map(str, found.version))
    except SandboxUnavailable:  # the availability says so, with what to do
        pass
    try:
        bubblewrap = find_bubblewrap()
        program, its_version = os.fspath(bubblewrap), _version_of(bubblewrap)
    except SandboxUnavailable:
        program = its_version = ""
    return Equipment(python, version, program, its_version, landlock_abi(), user)


def landlock_abi() -> int:
    """The version of Landlock in this kernel; 0: none, or it is switched off."""
    try:
        library = ctypes.CDLL(None, use_errno=True)
        return max(0, int(library.syscall(_CREATE_RULESET, None, 0, _VERSION_FLAG)))
    except (OSError, AttributeError):
        return 0


def _version_of(bubblewrap: Path) -> str:
    try:
        said = subprocess.run(  # noqa: S603 - no shell, a program that only root can change
            [os.fspath(bubblewrap), "--version"], stdin=subprocess.DEVNULL, capture_output=True,
            text=True, env={}, timeout=20, check=False,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return ""
    return said.stdout.strip().removeprefix("bubblewrap ")[:40]
