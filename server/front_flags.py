"""The flags of `mnemon mcp`, read without argparse, which costs as much as all of the front.

Only the plain case is understood; for anything else parser.py does it again and knows how to
complain. Standard library only.
"""

from __future__ import annotations

import os

from server.data_directory import IN_MEMORY, absolute, default_directory

NAMES = (
    "data",
    "embedder",
    "model",
    "context-tokens",
    "model-threads",
    "search-memory-mb",
    "hnsw-threshold",
    "idle-minutes",
    "toolset",
    "agent",
    "log-level",
)
"""Settings that `mnemon mcp` takes as flags."""


_NUMBERS = ("context-tokens", "model-threads", "search-memory-mb", "hnsw-threshold", "idle-minutes")
_CHOICES = {
    "toolset": ("memory", "agents", "full"),
    "log-level": ("debug", "info", "warning", "error"),
}


def read_flags(arguments: list[str]) -> dict[str, str] | None:
    """The settings given as `--name value` or `--name=value`; None: it takes a parser."""
    flags: dict[str, str] = {}
    rest = list(arguments)
    while rest:
        name, equals, value = rest.pop(0).partition("=")
        if not name.startswith("--") or name[2:] not in NAMES:
            return None
        if not equals:
            if not rest or rest[0].startswith("-"):
                return None
            value = rest.pop(0)
        if not _is_plain(name[2:], value):
            return None
        flags[name[2:]] = value
    return flags


def _is_plain(name: str, value: str) -> bool:
    """Whether a value is surely none that a parser would complain of."""
    if name in _CHOICES:
        return value in _CHOICES[name]
    if name == "data":
        return value != ""
    if name == "embedder":
        return value in ("minilm", "none") or value.startswith("sentence-transformers:")
    digits = value.replace(".", "", 1) if name == "idle-minutes" else value
    return name not in _NUMBERS or (digits.isascii() and digits.isdigit())


def directory(flags: dict[str, str]) -> str | None:
    """The data directory, as config.py finds it; None: this process serves by itself."""
    data = flags.get("data") or os.environ.get("MNEMON_DATA") or default_directory()
    return None if data == IN_MEMORY else absolute(data)
