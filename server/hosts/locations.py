"""Where each host keeps its configuration, for each system.

Sources are in docs/hosts.md. locations() is pure, and its paths are of home's own flavour, so that
each system's can be asked for on any other; locate() looks at the disk.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Generic, Literal, TypeVar

System = Literal["linux", "darwin", "win32"]
SomePath = TypeVar("SomePath", bound=PurePath)


@dataclass(frozen=True, slots=True)
class Location(Generic[SomePath]):
    """A configuration file, and the directory that is there when the host has run once."""

    file: SomePath
    sign: SomePath


def locations(
    host: str, system: System, home: SomePath, environ: Mapping[str, str]
) -> tuple[Location[SomePath], ...]:
    """Where a host's file usually is, and where it is instead when the host has been there.

    Raises:
        KeyError: no such host is known.
    """
    programs = _programs(system, home, environ)
    # The edition of the Microsoft Store has a view of AppData of its own.
    package = _local(home, environ) / "Packages" / "Claude_pzs8sxrjxfjjc" / "LocalCache"
    claude = [programs / "Claude", package / "Roaming" / "Claude"]
    zed = {"win32": programs / "Zed", "linux": programs / "zed", "darwin": home / ".config" / "zed"}
    moved = environ.get("CLAUDE_CONFIG_DIR")
    code_home = type(home)(moved) if moved else home
    code = Location(code_home / ".claude.json", code_home if moved else home / ".claude")
    table = {
        "claude-desktop": [
            _beneath(directory, "claude_desktop_config.json")
            for directory in claude[: 2 if system == "win32" else 1]
        ],
        "claude-code": [code],
        "cursor": [_beneath(home / ".cursor", "mcp.json")],
        "vscode": [_beneath(programs / "Code", "User", "mcp.json")],
        "windsurf": [_beneath(home / ".codeium" / "windsurf", "mcp_config.json")],
        "zed": [_beneath(zed[system], "settings.json")],
        "lm-studio": [
            _beneath(home / ".lmstudio", "mcp.json"),
            _beneath(home / ".cache" / "lm-studio", "mcp.json"),  # of older versions, and kept
        ],
    }
    return tuple(table[host])


def locate(host: str, environ: Mapping[str, str]) -> Location[Path]:
    """Where a host's file is on this machine."""
    home = Path.home()
    moved = _pointed_at(home / ".lmstudio-home-pointer") if host == "lm-studio" else None
    if moved is not None:
        return _beneath(moved, "mcp.json")
    systems: dict[str, System] = {"darwin": "darwin", "win32": "win32"}
    found = locations(host, systems.get(sys.platform, "linux"), home, environ)
    return next((place for place in reversed(found) if is_installed(place)), found[0])


def _pointed_at(pointer: Path) -> Path | None:
    """The directory that LM Studio says it has moved to; None: it says nothing that can be."""
    try:
        directory = Path(pointer.read_text(encoding="utf-8").strip())
    except (OSError, UnicodeDecodeError, ValueError):
        return None
    return directory if directory.is_absolute() else None


def is_installed(place: Location[Path]) -> bool:
    """Whether a host has been there."""
    return place.file.exists() or place.sign.is_dir()


def _beneath(directory: SomePath, *file: str) -> Location[SomePath]:
    return Location(directory.joinpath(*file), directory)


def _programs(system: System, home: SomePath, environ: Mapping[str, str]) -> SomePath:
    """Where Electron programs keep their data."""
    if system == "win32":
        roaming = environ.get("APPDATA")
        return type(home)(roaming) if roaming else home / "AppData" / "Roaming"
    if system == "darwin":
        return home / "Library" / "Application Support"
    config = environ.get("XDG_CONFIG_HOME")
    return type(home)(config) if config else home / ".config"


def _local(home: SomePath, environ: Mapping[str, str]) -> SomePath:
    local = environ.get("LOCALAPPDATA")
    return type(home)(local) if local else home / "AppData" / "Local"
