"""Bubblewrap: finding a program that can be trusted, and the arguments that are the isolation.

`arguments` is a pure function; the arguments are the policy. Not here: starting it (spawn.py).
"""

import os
import stat
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sandbox.errors import SandboxUnavailable
from sandbox.interpreter import Interpreter
from sandbox.policy import MIB

PROGRAMS: Final = (Path("/usr/bin/bwrap"), Path("/usr/local/bin/bwrap"), Path("/bin/bwrap"))
NEEDED: Final = ("--size", "--disable-userns", "--ro-bind-data", "--info-fd", "--seccomp")
INSTALL: Final = (
    "Install it (Debian, Ubuntu: apt install bubblewrap; Fedora: dnf install bubblewrap; Arch: "
    "pacman -S bubblewrap), at least version 0.8"
)

TMP_BYTES: Final = 64 * MIB
SHM_BYTES: Final = 16 * MIB
BOOT: Final = "/run/boot"
WORKSPACE: Final = "/workspace"
PACKAGES: Final = "/venv"
# Of /etc only what programs read to find libraries, zones and certificates.
_ETC: Final = ("ld.so.cache", "localtime", "ssl/certs", "alternatives")
ENVIRONMENT: Final = {
    "PATH": "/usr/bin:/bin",
    "HOME": WORKSPACE,
    "LANG": "C.UTF-8",
    # glibc gives each thread an arena of 64 MiB of address space, which has a limit (measured).
    "MALLOC_ARENA_MAX": "2",
    "OPENBLAS_NUM_THREADS": "2",
    "OMP_NUM_THREADS": "2",
}


@dataclass(frozen=True, slots=True)
class System:
    """How this machine's system folders lie. links: of the root, with their targets."""

    links: tuple[tuple[str, str], ...]
    folders: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Mounts:
    """What of the host is visible inside.

    workspace: None is an empty one in memory, of memory_bytes. packages: read-only at PACKAGES.
    """

    system: System
    interpreter: Interpreter
    workspace: Path | None = None
    writable: bool = True
    packages: Path | None = None
    memory_bytes: int = TMP_BYTES


@dataclass(frozen=True, slots=True)
class Descriptors:
    """Open files that bubblewrap is given by number, and the program's own channel; -1: none."""

    boot: int
    seccomp: int
    info: int
    channel: int

    def all(self) -> tuple[int, ...]:
        """Every number that the process must inherit."""
        return tuple(n for n in (self.boot, self.seccomp, self.info, self.channel) if n >= 0)


def find_bubblewrap() -> Path:
    """The bubblewrap that is used.

    Raises:
        SandboxUnavailable: there is none, it is too old, or someone else could have changed it.
    """
    for path in PROGRAMS:
        if path.exists():
            return checked(path)
    raise SandboxUnavailable("bubblewrap is not installed (looked for /usr/bin/bwrap)", INSTALL)


def checked(path: Path) -> Path:
    """A bubblewrap that only root can change, that is not setuid and knows what we need.

    Raises:
        SandboxUnavailable: it is not so.
    """
    real = path.resolve()
    found = real.stat()
    if found.st_mode & (stat.S_ISUID | stat.S_ISGID):
        raise SandboxUnavailable(
            f"{real} is setuid, which would run our arguments as root",
            f"Run: sudo chmod u-s,g-s {real} (unprivileged user namespaces must be allowed)",
        )
    for name in (real, *real.parents):
        mode = name.stat()
        if mode.st_uid != 0 or mode.st_mode & (stat.S_IWGRP | stat.S_IWOTH) != 0:
            raise SandboxUnavailable(
                f"{name} can be changed by others than root, so {path} is not trusted",
                f"Reinstall bubblewrap, or run: sudo chown root {name}; sudo chmod go-w {name}",
            )
    said = subprocess.run(  # noqa: S603 - no shell, an absolute path, no input
        [os.fspath(real), "--help"], stdin=subprocess.DEVNULL, capture_output=True, text=True,
        env={}, timeout=20, check=False,
    )  # fmt: skip
    missing = [name for name in NEEDED if f"{name} " not in said.stdout]
    if missing:
        raise SandboxUnavailable(f"{real} is too old: it lacks {' '.join(missing)}", INSTALL)
    return real


def read_system() -> System:
    """The folders of this machine that programs are read from, and no more."""
    links, folders = [], ["/usr"]
    for folder in ("/bin", "/sbin", "/lib", "/lib32", "/lib64"):
        path = Path(folder)
        if path.is_symlink():
            links.append((folder, os.fspath(path.readlink())))
        elif path.is_dir():
            folders.append(folder)
    folders += [f"/etc/{name}" for name in _ETC if Path("/etc", name).exists()]
    return System(tuple(links), tuple(folders))


def arguments(program: Path, mounts: Mounts, given: Descriptors) -> list[str]:
    """The whole command line of one process."""
    return [
        os.fspath(program),
        *_inside(mounts),
        "--perms", "0444", "--ro-bind-data", str(given.boot), BOOT,
        # Last: everything above made its mount points on the root.
        "--remount-ro", "/",
        "--chdir", WORKSPACE,
        "--info-fd", str(given.info),
        "--seccomp", str(given.seccomp),
        "--",
        os.fspath(mounts.interpreter.path), "-I", "-S", "-B", BOOT, str(given.channel),
    ]  # fmt: skip


def program_arguments(
    program: Path, mounts: Mounts, reads: Sequence[Path], seccomp: int
) -> list[str]:
    """The command line of a program that goes on (programs.py), up to the program itself.

    reads: what it sees beside the system, at its own place, read-only.
    """
    granted = [part for path in reads for part in ("--ro-bind", *[os.fspath(path)] * 2)]
    return [
        os.fspath(program),
        *_inside(mounts),
        *granted,
        "--remount-ro", "/",
        "--chdir", WORKSPACE,
        "--seccomp", str(seccomp),
        "--",
    ]  # fmt: skip


def _inside(mounts: Mounts) -> list[str]:
    """What isolates every process: namespaces, the system to read, its own folders in memory."""
    return [
        *_namespaces(),
        *_system(mounts.system),
        *_interpreter(mounts.interpreter),
        "--proc", "/proc",
        "--dev", "/dev",
        "--remount-ro", "/dev",
        "--size", str(SHM_BYTES), "--tmpfs", "/dev/shm",  # noqa: S108
        "--size", str(TMP_BYTES), "--tmpfs", "/tmp",  # noqa: S108
        *_granted(mounts),
    ]  # fmt: skip


def _namespaces() -> Iterator[str]:
    yield from (
        "--unshare-all", "--unshare-user", "--disable-userns",
        "--die-with-parent", "--new-session", "--cap-drop", "ALL",
        "--uid", "65534", "--gid", "65534", "--hostname", "sandbox",
    )  # fmt: skip
    yield "--clearenv"
    for name, value in ENVIRONMENT.items():
        yield from ("--setenv", name, value)


def _system(system: System) -> Iterator[str]:
    for folder in system.folders:
        yield from ("--ro-bind", folder, folder)
    for name, target in system.links:
        yield from ("--symlink", target, name)


def _interpreter(found: Interpreter) -> Iterator[str]:
    for folder in found.mounts:
        yield from ("--ro-bind", os.fspath(folder), os.fspath(folder))


def _granted(mounts: Mounts) -> Iterator[str]:
    if mounts.workspace is None:
        yield from ("--size", str(mounts.memory_bytes), "--tmpfs", WORKSPACE)
    else:
        bind = "--bind" if mounts.writable else "--ro-bind"
        yield from (bind, os.fspath(mounts.workspace), WORKSPACE)
    if mounts.packages is not None:
        yield from ("--ro-bind", os.fspath(mounts.packages), PACKAGES)
