"""Who the untrusted process is: never root.

An ordinary user's server starts it as that user. A server that is root (a container, CI) gives it
a number of its own before bubblewrap starts, because root's limits on processes are not enforced
even inside of a user namespace (measured, decision 0016).
"""

import os
import pwd
import stat
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sandbox.errors import SandboxUnavailable

# Between the ranges that systemd, Debian and the container tools hand out (60578 to 61183 is
# unused: systemd's UIDS-GIDS), and below 65536, which is all that many user namespaces map. Not
# 65534: other services run as nobody, and share its limits and its signals.
NUMBERS: Final = range(61_170, 61_180)


@dataclass(frozen=True, slots=True)
class Child:
    """The user and group of untrusted processes. changes: they are not the server's own."""

    uid: int
    gid: int
    changes: bool

    def spawn_arguments(self) -> dict[str, Any]:
        """What subprocess.Popen needs so that the process is this user's."""
        if not self.changes:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def give(self, directory: Path) -> None:
        """Make a directory this user's own; what lies in it stays as it is."""
        if not self.changes:
            return
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            if os.fstat(descriptor).st_uid != self.uid:
                os.fchown(descriptor, self.uid, self.gid)
        finally:
            os.close(descriptor)

    def can_read(self, path: Path) -> bool:
        """Whether this user gets at a file or into a folder, by the modes of all folders above.

        Access lists are not looked at: they can only make this answer no where it is yes.
        """
        if not self.changes:
            return os.access(path, os.R_OK)
        try:
            real = path.resolve(strict=True)
            above = all(self._may(folder, 0o1) for folder in real.parents)
            return above and self._may(real, 0o5 if real.is_dir() else 0o4)
        except OSError:
            return False

    def _may(self, path: Path, bits: int) -> bool:
        found = path.stat()
        shift = 6 if found.st_uid == self.uid else 3 if found.st_gid == self.gid else 0
        return stat.S_IMODE(found.st_mode) >> shift & bits == bits


def find_child() -> Child:
    """The user of untrusted processes here.

    Raises:
        SandboxUnavailable: the server is root, and has no other user that it could become.
    """
    if os.geteuid() != 0:
        return Child(os.geteuid(), os.getegid(), changes=False)
    if sys.platform != "linux":
        raise SandboxUnavailable(
            "the server is root, whose tools nothing limits here",
            "Start the server as an ordinary user",
        )
    maps = [Path(f"/proc/self/{kind}_map").read_text() for kind in ("uid", "gid")]
    taken = {entry.pw_uid for entry in pwd.getpwall()}
    number = free_number(NUMBERS, maps, taken)
    if number is None:
        raise SandboxUnavailable(
            "the server is root in a user namespace without an unprivileged user to run tools as "
            f"(none of {NUMBERS[0]} to {NUMBERS[-1]} is mapped in /proc/self/uid_map and gid_map)",
            "Start the server as an ordinary user, or give its container at least 65536 user and "
            "group ids (/etc/subuid and /etc/subgid)",
        )
    return Child(number, number, changes=True)


def free_number(numbers: Iterable[int], maps: Sequence[str], taken: set[int]) -> int | None:
    """The first number that all maps (as in /proc/self/uid_map) hold and no account has."""
    for number in numbers:
        if number not in taken and all(is_mapped(number, text) for text in maps):
            return number
    return None


def is_mapped(number: int, text: str) -> bool:
    """Whether a map as in /proc/self/uid_map has this number."""
    rows = (tuple(map(int, line.split())) for line in text.splitlines())
    return any(inside <= number < inside + count for inside, _, count in rows)
