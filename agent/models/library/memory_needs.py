"""What a model needs of this machine's memory, and whether it fits."""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal

from agent.models.library.facts import ModelFacts

DEFAULT_WINDOW_TOKENS: Final = 8192
"""What the engine opens when nothing else is asked for (context_size.DEFAULT_CONTEXT_TOKENS)."""

COMFORTABLE_SHARE: Final = 0.7
"""Of the memory: the rest is for computing, the system, and what else a person has open."""
LARGEST_SHARE: Final = 0.9
"""Beyond it the machine would swap, and a token take seconds."""

Fit = Literal["yes", "tight", "no", "unknown"]

_LIMITS: Final = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


def window_tokens(facts: ModelFacts, wanted: int | None) -> int:
    """The window that would be used; memory may make it smaller when the model is loaded."""
    return min(wanted or DEFAULT_WINDOW_TOKENS, facts.trained_tokens or DEFAULT_WINDOW_TOKENS)


def needed_bytes(weights_bytes: int, facts: ModelFacts, window: int) -> int:
    """Weights and key-value cache; what computing takes beside them is some 200 MB."""
    return weights_bytes + facts.kv_bytes_per_token * window


def fit(needed: int, memory_bytes: int | None) -> Fit:
    """Whether it fits."""
    if memory_bytes is None:
        return "unknown"
    if needed <= COMFORTABLE_SHARE * memory_bytes:
        return "yes"
    return "tight" if needed <= LARGEST_SHARE * memory_bytes else "no"


def machine_memory_bytes(limits: Iterable[Path] = _LIMITS) -> int | None:
    """The machine's memory, or what a container may use of it; None: the system does not say."""
    try:
        known = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    except (AttributeError, ValueError, OSError):  # Windows
        return None
    for limit in limits:
        with suppress(OSError, ValueError):  # no such file, or "max"
            known.append(int(limit.read_text("ascii")))
    return min(number for number in known if number > 0)
