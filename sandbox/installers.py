"""How uv and pip are asked: command lines and what they answer. Pure, but for finding them.

Both install wheels only, for an interpreter that need not be the server's, and build nothing. The
index is the one that the operator has configured for them.
"""

import importlib.util
import json
import os
import shutil
import stat
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sandbox.beneath import READ
from sandbox.errors import PackagesUnavailable
from sandbox.requirements import Lock, parse_lock, parse_report

WANTED: Final = "wanted.txt"
LOCKED: Final = "locked.txt"
_ANSWER: Final = "answer"
_WITHOUT_BUILDS: Final = Path(__file__).with_name("pip_without_builds.py")
_MAX_ANSWER_CHARS: Final = 64 * 1024 * 1024  # pip's has the descriptions of all packages
_ERRORS: Final = ("error", "\N{MULTIPLICATION SIGN}", "\N{BOX DRAWINGS LIGHT ARC UP AND RIGHT}")
_MAX_QUOTED_CHARS: Final = 1_000
_UNREACHABLE: Final = (
    "NewConnectionError", "ConnectTimeoutError", "NameResolutionError", "name resolution",
    "Network is unreachable", "dns error", "tcp connect error", "Connection refused",
    "error sending request", "No route to host",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Pip:
    """The pip of the server, run by the interpreter that the packages are for.

    runner: its `__pip-runner__.py`. starter: pip_without_builds.py.
    """

    runner: Path
    starter: Path = _WITHOUT_BUILDS

    def lent(self, lend: Callable[[Path], Path]) -> "Pip":
        """The same, its files where `lend` says that they are to be read."""
        return Pip(lend(self.runner.parent) / self.runner.name, lend(self.starter))

    def resolve_command(self, python: Path, work: Path) -> list[str]:
        """Resolve WANTED of the work folder; install nothing."""
        asks = ["--dry-run", "--ignore-installed", "--report", str(work / _ANSWER)]
        return [*self._install(python), *asks, "--requirement", str(work / WANTED)]

    def install_command(self, python: Path, work: Path, target: Path) -> list[str]:
        """Install LOCKED of the work folder into the target."""
        asks = ["--no-deps", "--require-hashes", "--no-compile", "--no-cache-dir"]
        where = ["--target", str(target), "--requirement", str(work / LOCKED)]
        return [*self._install(python), *asks, *where]

    def read_lock(self, work: Path, python: str) -> Lock:
        """What resolving has answered."""
        return parse_report(json.loads(_answer(work)), python)

    def _install(self, python: Path) -> list[str]:
        program = [str(python), "-I", "-B", str(self.starter), str(self.runner), "install"]
        quiet = ["--no-input", "--no-color", "--progress-bar", "off", "--disable-pip-version-check"]
        # Retries are where pip says that it was not connected.
        quiet += ["--retries", "2"]
        return [*program, *quiet, "--root-user-action", "ignore", "--only-binary", ":all:"]


@dataclass(frozen=True, slots=True)
class Uv:
    """uv, which refuses addresses in metadata by itself. program: its absolute path."""

    program: Path

    def lent(self, lend: Callable[[Path], Path]) -> "Uv":
        """The same, its file where `lend` says that it is to be read."""
        return Uv(lend(self.program))

    def resolve_command(self, python: Path, work: Path) -> list[str]:
        """Resolve WANTED of the work folder; install nothing."""
        asks = ["--generate-hashes", "--no-header", "--no-annotate", "--emit-index-annotation"]
        asks.append("--output-file")
        return [*self._pip("compile", python), *asks, str(work / _ANSWER), str(work / WANTED)]

    def install_command(self, python: Path, work: Path, target: Path) -> list[str]:
        """Install LOCKED of the work folder into the target."""
        # Copies: a link into uv's cache would be made read-only with the folder.
        asks = ["--no-deps", "--require-hashes", "--link-mode", "copy"]
        where = ["--target", str(target), "--requirements", str(work / LOCKED)]
        return [*self._pip("install", python), *asks, *where]

    def read_lock(self, work: Path, python: str) -> Lock:
        """What resolving has answered."""
        return parse_lock(_answer(work), python)

    def _pip(self, command: str, python: Path) -> list[str]:
        # No cache: what is unpacked must lie where its size is watched.
        quiet = ["--no-progress", "--color", "never", "--no-sources", "--no-python-downloads"]
        quiet.append("--no-cache")
        return [
            str(self.program), "pip", command, *quiet, "--python", str(python),
            "--only-binary", ":all:",
        ]  # fmt: skip


Installer = Pip | Uv


def _answer(work: Path) -> str:
    """What an installer wrote, who may be another user: a link of it leads nowhere."""
    try:
        with os.fdopen(os.open(work / _ANSWER, READ), encoding="utf-8") as file:
            if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return file.read(_MAX_ANSWER_CHARS)
    except (OSError, UnicodeDecodeError) as error:
        raise PackagesUnavailable(f"the installer's answer cannot be read: {error}") from None
    raise PackagesUnavailable("the installer's answer is no file")


def find_installer(environment: Mapping[str, str]) -> Installer:
    """uv, else the pip of the server's own Python.

    Raises:
        PackagesUnavailable: there is neither.
    """
    uv = shutil.which("uv", path=environment.get("PATH", ""))
    if uv is not None and Path(uv).is_absolute():
        return Uv(Path(uv))
    pip = importlib.util.find_spec("pip")
    if pip is not None and pip.origin is not None:
        runner = Path(pip.origin).with_name("__pip-runner__.py")
        if runner.is_file():
            return Pip(runner)
    raise PackagesUnavailable(
        f"packages of tools are installed by uv or pip, and there is neither: install uv, or run "
        f"{sys.executable} -m ensurepip"
    )


def explain_failure(what: str, lines: list[str], installer: Installer) -> str:
    """Why an installer failed, with its own last words. lines: the last ones it wrote."""
    name = type(installer).__name__.lower()
    said = [line for line in lines if line.strip()] or ["nothing"]
    starts = [n for n, line in enumerate(said) if line.lstrip().lower().startswith(_ERRORS)]
    # pip has an error on each line, the last one being the sum; uv wraps its only one.
    first = starts[-1] if starts else len(said) - 1
    last = " ".join(" ".join(said[first:]).split())[:_MAX_QUOTED_CHARS]
    text = f"{what} failed; {name} says: {last}"
    if any(sign in line for line in lines for sign in _UNREACHABLE):
        return f"{text}. The package index was not reached; is there a network?"
    return (
        f"{text}. Only wheels for the Python of tools are taken: a package that has none would "
        "have to be built, which runs its code"
    )
