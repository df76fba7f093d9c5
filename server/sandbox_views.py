"""The sandbox as people and models read of it: pure functions of what was found out."""

import importlib
import sys
from typing import TYPE_CHECKING, Final, Literal

from sandbox.policy import MIB, Policy
from sandbox.protocol import Availability
from server.code_models import Attempt, SandboxLimits, SandboxShown

if TYPE_CHECKING:  # hosts list the tools before the sandbox is imported
    from server.sandboxes import SandboxState

WEAKER: Final = {
    "landlock": "weaker than it should be: tools can see which files exist",
    "none": "NOTHING ISOLATES TOOLS: each may do what this server may",
}


def show(state: "SandboxState") -> SandboxShown:
    """Everything about it."""
    found, policy = state.availability, Policy()
    has = state.equipment
    return SandboxShown(
        tier=found.tier,
        cause=found.cause,
        cure=found.cure,
        attempts=attempts(found),
        python=has.python if has else "",
        python_version=has.python_version if has else "",
        bubblewrap=has.bubblewrap if has else "",
        bubblewrap_version=has.bubblewrap_version if has else "",
        landlock_abi=has.landlock_abi if has else 0,
        user=has.user if has else None,
        limits=SandboxLimits(
            wall_s=policy.wall_s,
            cpu_s=policy.cpu_s,
            memory_mb=policy.memory_bytes // MIB,
            workspace_mb=policy.workspace_bytes // MIB,
            workspace_files=policy.workspace_entries,
            result_bytes=policy.result_bytes,
            output_bytes=policy.output_bytes,
        ),
        waiting=state.waiting,
        folder=None if state.folder is None else str(state.folder),
    )


def attempts(found: Availability) -> list[Attempt]:
    """What was tried, in words."""
    if not found.tried or sys.platform == "win32":
        return []
    probes = importlib.import_module("sandbox.self_attack").PROBES
    return [
        Attempt(name=name, what=probes[name].what, held=held) for name, held in found.tried.items()
    ]


def shown_text(shown: SandboxShown) -> str:
    """All of it, a line each."""
    lines = [summary(shown)]
    lines += [f"- {'held' if a.held else 'NOT HELD'}: to {a.what}" for a in shown.attempts]
    limits = shown.limits
    lines.append(
        f"A run may use {limits.wall_s:g} s, {limits.cpu_s} s of processor time,"
        f" {limits.memory_mb} MB, a workspace of {limits.workspace_mb} MB and"
        f" {limits.workspace_files} files, where its policy says nothing else."
    )
    waits = "1 process waits" if shown.waiting == 1 else f"{shown.waiting} processes wait"
    lines.append(f"{waits} for a call.")
    return "\n".join(lines)


def summary(shown: SandboxShown) -> str:
    """In a line, with cause and cure where no code is run."""
    if shown.tier is None:
        return f"no code of tools is run: {shown.cause}. {shown.cure}"
    held = sum(attempt.held for attempt in shown.attempts)
    tried = f"; {held} of {len(shown.attempts)} attempts to get out were held"
    weaker = f"; {WEAKER[shown.tier]}" if shown.tier in WEAKER else ""
    has = f"; Python {shown.python_version} ({shown.python})"
    if shown.bubblewrap:
        has += f", bubblewrap {shown.bubblewrap_version} ({shown.bubblewrap})"
    has += f", Landlock {shown.landlock_abi}, as user {shown.user}"
    files = f"; files in {shown.folder}" if shown.folder else ""
    return f"{shown.tier}{weaker}{tried if shown.attempts else ''}{has}{files}"


def state_of(shown: SandboxShown) -> Literal["ok", "note", "problem"]:
    """How much it matters to who looks after this machine."""
    if shown.tier == "namespaces":
        return "ok"
    # Memory works without custom tools; code that is run and may get out is another matter.
    is_open = shown.tier == "none" or not all(attempt.held for attempt in shown.attempts)
    return "problem" if is_open else "note"
