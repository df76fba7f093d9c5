"""What a person decides about the sandbox; everything else is found out by trying."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from sandbox.proxy import ProxyLimits
from sandbox.reach import Reach


@dataclass(frozen=True, slots=True)
class SandboxSettings:
    """Choices.

    python: the interpreter that runs tools; None: one is found. minimum: the weakest isolation
    that is accepted; "landlock" is used only where "namespaces" cannot be had. allow_unsandboxed:
    run without any isolation where there is none; said in every outcome. seatbelt_beta: on macOS,
    use sandbox-exec where it holds (seatbelt.py). warm_workers: processes
    started ahead of calls, at most; 0: none. idle_s: one that nobody needed for so long is ended.
    reach: what granted names may lead to; public addresses only, but in tests. proxy: bounds of the
    way there.
    """

    python: Path | None = None
    minimum: Literal["namespaces", "landlock"] = "namespaces"
    allow_unsandboxed: bool = False
    seatbelt_beta: bool = False
    warm_workers: int = 8
    idle_s: float = 120.0
    reach: Reach = field(default_factory=Reach)
    proxy: ProxyLimits = field(default_factory=ProxyLimits)
