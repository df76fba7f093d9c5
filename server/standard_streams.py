"""The process's stdin and stdout, taken for the protocol before anything else can use them.

Standard library only, so that the command line can call reserve_stdio first of all: a print at
import time, in a library or in a child process, then lands on stderr instead of between two
messages.
"""

import os
import sys
from dataclasses import dataclass
from typing import Final

_STDIN: Final = 0
_STDOUT: Final = 1
_STDERR: Final = 2


@dataclass(frozen=True, slots=True)
class StandardStreams:
    """Private descriptors of the protocol's two ends, and who started this process.

    parent_pid: as of the reservation; another one later means that the host is gone.
    """

    input_fd: int
    output_fd: int
    parent_pid: int


_reserved: StandardStreams | None = None


def reserve_stdio() -> StandardStreams:
    """Move stdin and stdout to private descriptors; later calls return the same ones.

    Afterwards fd 0 reads the null device, and fd 1 (sys.stdout, children) writes to stderr.

    Raises:
        OSError: stdin or stdout is closed.
    """
    global _reserved
    if _reserved is None:
        # os.dup gives descriptors that children do not inherit.
        streams = StandardStreams(os.dup(_STDIN), os.dup(_STDOUT), os.getppid())
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, _STDIN)
        os.close(null)
        os.dup2(_STDERR, _STDOUT)
        use_bytes(streams.input_fd, streams.output_fd)
        _reserved = streams
    return _reserved


def use_bytes(*descriptors: int) -> None:
    """Stop Windows from turning LF into CRLF."""
    if sys.platform == "win32":
        import msvcrt  # noqa: PLC0415 - exists on Windows only

        for descriptor in descriptors:
            msvcrt.setmode(descriptor, os.O_BINARY)
