"""The profile of macOS's sandbox-exec: what a tool may do there, as text.

Everything is denied but what is named. The last rule that fits decides, so nothing after the rules
for folders may allow more. What a process needs to start at all is known from the profiles that
Chromium and Codex publish; tried on a Mac it was not (seatbelt.py).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from sandbox.errors import InvalidRun

_LIBRARIES: Final = (
    "/usr/lib", "/System/Library", "/System/Volumes/Preboot/Cryptexes", "/private/var/db/dyld",
)  # fmt: skip
_FOLDERS: Final = ("/usr/share/zoneinfo", "/private/var/db/timezone")
_DEVICES: Final = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")
# By name, for kern.procargs2 would show the arguments and environments of all processes.
_FACTS: Final = (
    "hw.activecpu hw.byteorder hw.cpufamily hw.cputype hw.cachelinesize hw.logicalcpu hw.machine"
    " hw.memsize hw.ncpu hw.pagesize hw.pagesize_compat hw.physicalcpu kern.hostname"
    " kern.osproductversion kern.osrelease kern.ostype kern.osversion kern.usrstack64 kern.version"
).split()


def profile(read: Sequence[Path], write: Sequence[Path], programs: Sequence[Path]) -> str:
    """Allow reading and writing below these folders, becoming these programs, and nothing else.

    Paths are real ones: the kernel compares what links lead to.

    Raises:
        InvalidRun: a path is not absolute, or cannot be written in a profile.
    """
    code = [*map(Path, _LIBRARIES), *read]
    lines = [
        "(version 1)",
        "(deny default)",
        "(deny network*)",
        "(deny process-fork)",
        "(deny signal (target others))",
        "(allow signal (target self))",
        "(allow process-info* (target self))",
        *(f"(allow sysctl-read (sysctl-name {_quoted(name)}))" for name in _FACTS),
        "(allow file-read-metadata)",
        '(allow file-read* (literal "/"))',
        *(f"(allow process-exec (literal {_path(path)}))" for path in programs),
        *(f"(allow file-read* (subpath {_path(Path(name))}))" for name in _FOLDERS),
        *(f"(allow file-read* (literal {_path(Path(name))}))" for name in _DEVICES),
        '(allow file-write-data (literal "/dev/null"))',
        *(f"(allow file-map-executable (subpath {_path(path)}))" for path in code),
        *(f"(allow file-read* (subpath {_path(path)}))" for path in (*code, *write)),
        *(f"(allow file-write* (subpath {_path(path)}))" for path in write),
    ]
    return "\n".join(lines) + "\n"


def _path(path: Path) -> str:
    text = str(path)
    if not path.is_absolute() or any(ord(char) < 32 or ord(char) == 127 for char in text):
        raise InvalidRun(f"{text[:80]!a} cannot be named in a profile")
    return _quoted(text)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
