"""What mnemon writes into a host's configuration: the command by its absolute path, and flags.

Programs with a window do not see a shell's PATH, and run elsewhere: nothing here is relative.
"""

import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from server.config import expanded, located
from server.data_directory import IN_MEMORY, absolute
from server.front_flags import NAMES
from server.hosts.hosts import Host

_MODULE = ("-P", "-m", "server.cli")
_RUNNERS = ("uv", "uvx", "pipx")
"""Programs that start the one named among their arguments."""

_HUB_PREFIX = "sentence-transformers:"


def find_command(python: Path, search_path: str) -> tuple[str, ...]:
    """How a host starts the mnemon that belongs to a Python: its script, or else its module."""
    beside = python.parent / ("mnemon.exe" if sys.platform == "win32" else "mnemon")
    if beside.is_file():
        return (str(beside.absolute()),)
    found = shutil.which("mnemon", path=search_path)
    return (str(Path(found).absolute()),) if found else (str(python), *_MODULE)


def is_temporary(command: str) -> bool:
    """Whether a command lies in a cache, as uvx and pipx run leave it, and may vanish."""
    return not {".cache", "cache", "Caches"}.isdisjoint(Path(command).parts)


def new_entry(host: Host, command: tuple[str, ...], flags: Mapping[str, Any]) -> dict[str, Any]:
    """A server as this host writes it down; flags are settings given on the command line."""
    arguments = [*command[1:], "mcp", *_arguments(flags)]
    entry = {"command": command[0], "args": arguments}
    return {"type": "stdio", **entry} if host.typed else entry


def is_ours(entry: Any) -> bool:
    """Whether an entry starts mnemon, this one or another."""
    if not isinstance(entry, dict) or not isinstance(entry.get("command"), str):
        return False
    name = entry["command"].replace("\\", "/").rpartition("/")[2].lower()
    arguments = entry.get("args")
    arguments = arguments if isinstance(arguments, list) else []
    module = arguments[: len(_MODULE)] == list(_MODULE)
    program = name.removesuffix(".exe")
    return program == "mnemon" or module or (program in _RUNNERS and "mnemon" in arguments)


def _arguments(flags: Mapping[str, Any]) -> Iterator[str]:
    for name in NAMES:
        value = flags.get(name.replace("-", "_"))
        if value not in (None, ""):
            yield from (f"--{name}", _from_anywhere(name, value))


def _from_anywhere(name: str, value: Any) -> str:
    """A setting's text that means the same wherever a process runs."""
    if isinstance(value, float):
        return f"{value:g}"
    text = str(value)
    if name == "data":
        return text if text == IN_MEMORY else absolute(text)
    if name == "model":
        return located(text)
    if name == "embedder" and text.startswith(_HUB_PREFIX):
        path = expanded(Path(text.removeprefix(_HUB_PREFIX)))
        return f"{_HUB_PREFIX}{path.absolute()}" if path.is_dir() else text
    return text
