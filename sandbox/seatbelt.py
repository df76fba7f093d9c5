"""The profile of macOS's sandbox-exec, as text; nothing starts it yet, for it was never tried.

It has no process or mount namespaces: it would be a tier of its own, behind a beta flag, and only
after the attack corpus ran on a Mac.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from sandbox.errors import InvalidRun

_SYSTEM: Final = ("/usr/lib", "/System/Library", "/usr/share/zoneinfo", "/private/var/db/timezone")
_DEVICES: Final = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")


def profile(read: Sequence[Path], write: Sequence[Path], python: Path) -> str:
    """Allow reading and writing below these folders, running this Python, and nothing else.

    Paths are real ones: the kernel compares what links lead to.

    Raises:
        InvalidRun: a path is not absolute, or cannot be written in a profile.
    """
    lines = [
        "(version 1)",
        "(deny default)",
        "(deny network*)",
        "(deny process-fork)",
        "(deny signal (target others))",
        "(allow sysctl-read)",
        "(allow file-read-metadata)",
        f"(allow process-exec (literal {_quoted(python)}))",
        *(f"(allow file-read* (subpath {_quoted(Path(name))}))" for name in _SYSTEM),
        *(f"(allow file-read* (literal {_quoted(Path(name))}))" for name in _DEVICES),
        '(allow file-write-data (literal "/dev/null"))',
        *(f"(allow file-read* (subpath {_quoted(path)}))" for path in (*read, *write)),
        *(f"(allow file-write* (subpath {_quoted(path)}))" for path in write),
    ]
    return "\n".join(lines) + "\n"


def _quoted(path: Path) -> str:
    text = str(path)
    if not path.is_absolute() or any(ord(char) < 32 for char in text):
        raise InvalidRun(f"{text[:80]!a} cannot be named in a profile")
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
