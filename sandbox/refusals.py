"""Why nothing isolates here, and what a person can do: pure functions of what was printed."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from sandbox.errors import SandboxUnavailable

APPARMOR: Final = Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")
DEBIAN: Final = Path("/proc/sys/kernel/unprivileged_userns_clone")
MAXIMUM: Final = Path("/proc/sys/user/max_user_namespaces")
CONTAINERS: Final = (Path("/.dockerenv"), Path("/run/.containerenv"))

_WEAKER: Final = (
    "Or set sandbox_minimum=landlock: a weaker isolation, where tools can see which files exist"
)
_APPARMOR_CURE: Final = (
    "Run these three lines:\n"
    "  sudo apt install apparmor-profiles\n"
    "  sudo cp /usr/share/apparmor/extra-profiles/bwrap-userns-restrict /etc/apparmor.d/\n"
    "  sudo apparmor_parser -r /etc/apparmor.d/bwrap-userns-restrict\n"
)
_CONTAINER_CURE: Final = (
    "Start the container with --security-opt seccomp=unconfined --security-opt "
    "systempaths=unconfined (and --security-opt apparmor=unconfined on Ubuntu). "
)


def settings_of(paths: Sequence[Path] = (APPARMOR, DEBIAN, MAXIMUM)) -> dict[str, str]:
    """Kernel settings that forbid user namespaces, as far as this kernel has them."""
    return {path.name: path.read_text().strip() for path in paths if path.exists()}


def in_a_line(printed: str) -> str:
    """What a program printed before it ended, as a refusal tells it."""
    return " ".join(printed.split())[:300] or "it printed nothing"


def explain(printed: str, settings: dict[str, str], *, container: bool) -> SandboxUnavailable:
    """The refusal for a bubblewrap that ended before anything ran in it.

    printed: by bubblewrap. settings: see settings_of. container: we seem to be in one.
    """
    said = in_a_line(printed)
    cause = f"bubblewrap cannot isolate here ({said})"
    if settings.get("max_user_namespaces") == "0":
        return SandboxUnavailable(
            f"{cause}; user.max_user_namespaces is 0",
            f"Run: sudo sysctl -w user.max_user_namespaces=15000. {_WEAKER}",
        )
    if settings.get("unprivileged_userns_clone") == "0":
        return SandboxUnavailable(
            f"{cause}; kernel.unprivileged_userns_clone is 0",
            f"Run: sudo sysctl -w kernel.unprivileged_userns_clone=1. {_WEAKER}",
        )
    if settings.get("apparmor_restrict_unprivileged_userns") == "1" and not container:
        return SandboxUnavailable(
            f"{cause}; AppArmor forbids user namespaces (Ubuntu 23.10 and later)",
            f"{_APPARMOR_CURE}{_WEAKER}",
        )
    if container:
        return SandboxUnavailable(
            f"{cause}; this container forbids new namespaces", f"{_CONTAINER_CURE}{_WEAKER}"
        )
    if "nesting depth" in said or "max_" in said:
        return SandboxUnavailable(
            f"{cause}; this process may create no more namespaces",
            f"Start the server outside of the sandbox that it is in. {_WEAKER}",
        )
    return SandboxUnavailable(cause, f"Try: bwrap --unshare-all --ro-bind / / true. {_WEAKER}")


def why_not_started(printed: str) -> SandboxUnavailable:
    """The refusal, with what this machine says about itself."""
    return explain(printed, settings_of(), container=any(path.exists() for path in CONTAINERS))


MACOS: Final = SandboxUnavailable(
    "macOS has only sandbox-exec, which we have not proved to hold",
    "Run the server in a Linux machine, such as a virtual one, or try sandbox-exec with "
    "MNEMON_SEATBELT_BETA=1 (seatbelt_beta); memory works here all the same",
)
NO_PROGRAMS: Final = SandboxUnavailable(
    "macOS has no namespaces for programs that go on running",
    "Run the server in a Linux machine, or the program without isolation",
)
WINDOWS: Final = SandboxUnavailable(
    "Windows has no isolation that we use",
    "Run the server in WSL2, where it is that of Linux; memory works here all the same",
)
