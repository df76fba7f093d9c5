"""What a program of others must see of itself to start: its files where they lie outside of /usr.

A program is a file, or a link to one, or a script for another; a Python also needs its library, and
what lies in a virtual environment the whole of that. A script that is run by an interpreter is a
part of the command. What else it wants to read, such as modules beside a script, is granted.
Nothing is mounted here: what is found is shown to a person first, and programs.py mounts it.
"""

import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from sandbox.errors import InvalidRun
from sandbox.interpreter import is_system
from sandbox.programs import SYSTEM_PATH, checked_reads
from sandbox.unprivileged import Child

_INTERPRETER: Final = re.compile(r"(python|node|deno|bun|ruby|perl|php|bash|sh)[\d.]*")
_SHEBANG_BYTES: Final = 256


def reads_to_start(
    command: Sequence[str], granted: Sequence[str], kept_away: Sequence[Path], child: Child
) -> tuple[Path, ...]:
    """What a program is to be let read: what was granted to it, then its own files.

    Args:
        command: its name or absolute path, and arguments.
        granted: absolute paths.
        kept_away: what none may hold, or lie in.
        child: as whom it will run.

    Raises:
        InvalidRun: there is no such program, or a path is not there, or cannot be granted.
    """
    reads = _readable(granted, kept_away, child)
    program = _found(command[0], reads)
    own = [path for path in own_files(program, command[1:]) if not _seen(path, reads)]
    return (*reads, *_readable([os.fspath(path) for path in own], kept_away, child))


def own_files(program: Path, arguments: Sequence[str]) -> list[Path]:
    """Files and folders that a program needs, those of the system left out."""
    found: dict[Path, None] = {}
    waiting, met = [program, *_script(program, arguments)], set[Path]()
    while waiting:
        path = waiting.pop(0)
        if path not in met and path.exists():
            met.add(path)
            found |= dict.fromkeys(part for part in _parts(path) if not is_system(part))
            waiting += _leads_to(path)
    return list(found)


def _found(name: str, reads: Sequence[Path]) -> Path:
    path = Path(name)
    if "/" not in name:
        folders = [*(read / "bin" for read in reads), *map(Path, SYSTEM_PATH.split(":"))]
        there = [folder / name for folder in folders if os.access(folder / name, os.X_OK)]
        if not there:
            elsewhere = shutil.which(name)
            hint = f"; give the whole path of yours, {elsewhere}" if elsewhere else ""
            raise InvalidRun(f"there is no program {name[:80]!a} in {SYSTEM_PATH}{hint}")
        return there[0]
    if not path.is_absolute():
        raise InvalidRun(f"{name[:80]!a} is no absolute path of a program")
    if not path.is_file():
        raise InvalidRun(f"there is no program {name[:80]!a}")
    if not os.access(path, os.X_OK):
        raise InvalidRun(f"{name[:80]!a} is no program: it may not be executed")
    return path


def _readable(paths: Sequence[str], kept_away: Sequence[Path], child: Child) -> tuple[Path, ...]:
    reads = checked_reads(paths, kept_away)
    for path in reads:
        if not path.exists():
            raise InvalidRun(f"there is no file or folder {os.fspath(path)[:80]!a} to read")
        if not child.can_read(path):
            raise InvalidRun(
                f"{os.fspath(path)[:80]!a} cannot be read by user {child.uid}, as whom it would"
                " run; it and all folders above it must be open to others"
            )
    return reads


def _seen(path: Path, reads: Sequence[Path]) -> bool:
    return any(path.is_relative_to(read) for read in reads)


def _script(program: Path, arguments: Sequence[str]) -> list[Path]:
    """The file that an interpreter runs, where it is given by its absolute path."""
    words = [word for word in arguments if not word.startswith("-")]
    if words and _INTERPRETER.fullmatch(program.name) and Path(words[0]).is_absolute():
        return [Path(words[0])] if Path(words[0]).is_file() else []
    return []


def _parts(program: Path) -> list[Path]:
    """A program with what it cannot be without: its environment, or the library of a Python."""
    prefix = program.parent.parent
    if program.parent.name != "bin":
        return [program]
    if (prefix / "pyvenv.cfg").is_file():
        return [prefix]
    libraries = [found.parent for found in prefix.glob("lib/python3*/os.py")]
    shared = prefix.glob("lib/libpython3*") if libraries else ()
    return [program, *libraries, *shared]


def _leads_to(path: Path) -> Iterator[Path]:
    """What a program is started by or linked to."""
    if path.is_symlink():
        yield Path(os.path.normpath(path.parent / path.readlink()))
    elif interpreter := _interpreter(path):
        yield interpreter
    environment = path.parent.parent
    if path.parent.name == "bin" and (environment / "pyvenv.cfg").is_file():
        yield environment / "bin" / "python"
        for line in (environment / "pyvenv.cfg").read_text("utf-8", "replace").splitlines():
            name, _, value = line.partition("=")
            if name.strip() == "home":
                yield Path(value.strip()) / "python3"


def _interpreter(script: Path) -> Path | None:
    """What the first line of a script names, with its whole path."""
    line = b""
    with suppress(OSError), script.open("rb") as file:  # it may be run and not read
        line = file.readline(_SHEBANG_BYTES)
    words = line.removeprefix(b"#!").split() if line.startswith(b"#!") else []
    path = Path(os.fsdecode(words[0])) if words else None
    return path if path is not None and path.is_absolute() and path.is_file() else None
