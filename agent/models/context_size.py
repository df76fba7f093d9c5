"""How many tokens a window gets: what was asked for, what was trained for, what memory holds.

llama.cpp allocates the whole window at once and the system would start to swap, or kill, long after
that. So the bound is set before. Pure but for reading how much memory is free.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

DEFAULT_CONTEXT_TOKENS = 8192
MIN_CONTEXT_TOKENS = 256
# The rest is for the server, for states of other agents and for everybody else on the machine.
KV_SHARE_OF_FREE_MEMORY = 0.5
# Of weights that exceed free memory pages come and go, slowly: the window has this much even then.
LEAST_KV_SHARE = 0.1
_CGROUP = Path("/sys/fs/cgroup")

Limit = Literal["default", "setting", "trained", "memory"]


@dataclass(frozen=True, slots=True)
class ContextSize:
    """The window, and what kept it from being larger."""

    tokens: int
    limited_by: Limit


def choose_context(
    wanted: int | None, trained: int, kv_room_bytes: int | None, kv_bytes_per_token: int
) -> ContextSize:
    """Take the least of the setting (or the default), what was trained, and what memory holds.

    Args:
        trained: 0 when the file does not say.
        kv_room_bytes: memory for keys and values; None when the system does not say.
    """
    size = ContextSize(wanted or DEFAULT_CONTEXT_TOKENS, "setting" if wanted else "default")
    if 0 < trained < size.tokens:
        size = ContextSize(trained, "trained")
    if kv_room_bytes is not None and kv_room_bytes // kv_bytes_per_token < size.tokens:
        size = ContextSize(kv_room_bytes // kv_bytes_per_token, "memory")
    return size


def kv_room(free_bytes: int | None, weights_bytes: int) -> int | None:
    """Give the bytes that keys and values may take beside the weights.

    Weights are mapped from the file: the system counts their pages as free, and they are not.
    """
    if free_bytes is None:
        return None
    beside = (free_bytes - weights_bytes) * KV_SHARE_OF_FREE_MEMORY
    return int(max(beside, free_bytes * LEAST_KV_SHARE))


def free_memory_bytes() -> int | None:
    """Give the memory available without swapping, in this container too; None: unknown."""
    known = [size for size in (_free_in_machine(), _free_in_cgroup()) if size is not None]
    return min(known, default=None)


def _free_in_machine() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
    except OSError:
        return _half_of_all()
    sizes = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return int(sizes[0]) * 1024 if sizes else None


def _half_of_all() -> int | None:
    """Where the system says how much there is but not, without a package, how much is free."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (AttributeError, OSError, ValueError):
        return None


def _free_in_cgroup() -> int | None:
    """What this control group (version 2) may still take; pages of files it would give back."""
    try:
        limit = int((_CGROUP / "memory.max").read_text("ascii"))  # "max": no limit
        used = int((_CGROUP / "memory.current").read_text("ascii"))
        lines = (_CGROUP / "memory.stat").read_text("ascii").splitlines()
    except (OSError, ValueError):
        return None
    reclaimable = sum(int(line.split()[1]) for line in lines if line.startswith("inactive_file "))
    return max(limit - used + reclaimable, 0)
