"""The command line, `mnemon COMMAND`: only dispatches.

The commands live in server/commands/ and are imported when called, the flags are parser.py's.
`mnemon mcp` is the front's, and reaches it without an import beyond the front's own.
"""

from __future__ import annotations

import sys

from server import front_flags

_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done, 1 it failed, 2 it was not possible."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if given[:1] == ["mcp"]:
            flags = front_flags.read_flags(given[1:])
            if flags is not None:
                return _serve_host(flags)
        return _run_command(given)
    except KeyboardInterrupt:  # while something was imported
        return _INTERRUPTED


def _serve_host(flags: dict[str, str]) -> int:
    directory = front_flags.directory(flags)
    if directory is None:
        return _run_command(["mcp", *(f"--{name}={value}" for name, value in flags.items())])
    from server.front import run_front  # noqa: PLC0415 - the other commands need none of it

    return run_front(directory, {k: v for k, v in flags.items() if k != "data"})


def _run_command(given: list[str]) -> int:
    from server.dispatch import run_command  # noqa: PLC0415 - the front waits for none of it

    return run_command(given)


TYPE_CHECKING = False  # mypy reads it as true; the real one's module costs the front 5 ms
if TYPE_CHECKING:
    from collections.abc import Sequence

if __name__ == "__main__":
    sys.exit(main())
