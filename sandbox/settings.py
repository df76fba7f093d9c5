"""What a person decides about the sandbox; everything else is found out by trying."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True)
class SandboxSettings:
    """Choices.

    python: the interpreter that runs tools; None: one is found. minimum: the weakest isolation
    that is accepted; "landlock" is used only where "namespaces" cannot be had. allow_unsandboxed:
    run without any isolation where there is none; said in every outcome. seatbelt_beta: on macOS,
    use sandbox-exec. warm_workers: processes started ahead of calls, at most; 0: none.
    """

    python: Path | None = None
    minimum: Literal["namespaces", "landlock"] = "namespaces"
    allow_unsandboxed: bool = False
    seatbelt_beta: bool = False
    warm_workers: int = 8
