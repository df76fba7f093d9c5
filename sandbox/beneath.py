"""Opening files beneath a folder that untrusted code changes at the same time.

The kernel resolves a path with openat2 where it has it, and refuses every step out: symbolic links,
`..`, magic links of /proc, other mounts. Elsewhere the path is walked, one name at a time, with the
same answer. A path here is a tuple of names, checked by workspace_paths.py. What is opened is not
trusted for that: whoever reads it looks at what it is (workspace.py).
"""

import ctypes
import errno
import os
import sys
from collections.abc import Sequence
from functools import cache
from typing import Final

_OPENAT2: Final = 437  # on every architecture
_NO_XDEV, _NO_MAGICLINKS, _NO_SYMLINKS, _BENEATH = 0x01, 0x02, 0x04, 0x08
_TRIES: Final = 16
"""The kernel answers EAGAIN when something was renamed meanwhile."""

FOLDER: Final = (
    os.O_RDONLY
    | getattr(os, "O_DIRECTORY", 0)
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_CLOEXEC", 0)
)
"""Flags of a folder. O_NONBLOCK: a fifo that took its place holds nobody up."""
READ: Final = FOLDER & ~getattr(os, "O_DIRECTORY", 0)
"""Flags of a file to be read."""
CREATE: Final = (READ & ~os.O_RDONLY) | os.O_WRONLY | os.O_CREAT | os.O_EXCL
"""Flags of a file that must be new."""


class _OpenHow(ctypes.Structure):
    _fields_ = (
        ("flags", ctypes.c_uint64),
        ("mode", ctypes.c_uint64),
        ("resolve", ctypes.c_uint64),
    )


def open_beneath(folder: int, names: Sequence[str], flags: int, walk: bool = False) -> int:
    """Open what `names` lead to from an open folder; the caller closes it.

    walk: name by name, also where the kernel can do it at once.

    Raises:
        OSError: it is not there, or the way leads out; ELOOP, EXDEV, ENOTDIR.
    """
    if not names:
        return os.open(".", flags, dir_fd=folder)
    if walk or not has_openat2():
        return _walked(folder, names, flags)
    path = "/".join(names).encode("utf-8", "surrogateescape")
    for _ in range(_TRIES):
        try:
            return _openat2(folder, path, flags)
        except BlockingIOError:
            continue
    raise OSError(errno.EAGAIN, "its folders are renamed all the time")


@cache
def has_openat2() -> bool:
    """Whether the kernel resolves paths for us; a filter of a container may also refuse it."""
    if sys.platform != "linux":
        return False
    here = os.open("/", FOLDER)
    try:
        os.close(_openat2(here, b".", FOLDER))
    except OSError:
        return False
    finally:
        os.close(here)
    return True


def _openat2(folder: int, path: bytes, flags: int) -> int:
    # openat2 refuses a mode without O_CREAT, and unknown bits; O_LARGEFILE is implied.
    mode = 0o600 if flags & os.O_CREAT else 0
    how = _OpenHow(flags, mode, _NO_XDEV | _NO_MAGICLINKS | _NO_SYMLINKS | _BENEATH)
    opened = _libc().syscall(
        ctypes.c_long(_OPENAT2),
        ctypes.c_int(folder),
        ctypes.c_char_p(path),
        ctypes.byref(how),
        ctypes.c_size_t(ctypes.sizeof(how)),
    )
    if opened < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return int(opened)


@cache
def _libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    return libc


def _walked(folder: int, names: Sequence[str], flags: int) -> int:
    device = os.fstat(folder).st_dev
    here = os.dup(folder)
    try:
        for name in names[:-1]:
            there = os.open(name, FOLDER, dir_fd=here)
            os.close(here)
            here = there
            if os.fstat(here).st_dev != device:
                raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        opened = os.open(names[-1], flags, 0o600, dir_fd=here)
    finally:
        os.close(here)
    if os.fstat(opened).st_dev != device:
        os.close(opened)
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
    return opened
