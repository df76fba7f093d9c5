"""A command of a shell's line, as one that starts from any folder. Reads the disk, changes nothing.

A server is started in a folder of its own, which is empty, so what was a path here is none there.
"""

import os
import shlex
from pathlib import Path

from server.config import ConfigError, expanded


def command_of(line: str, here: Path) -> list[str]:
    """The parts of a command, with the paths in it that lead somewhere from here made absolute.

    The program is a path where it has a slash. Another part is one where it has a slash or a dot
    and something is there; so is what follows the = of an option.

    Raises:
        ConfigError: the line cannot be split, or is empty.
    """
    try:
        program, *arguments = shlex.split(line)
    except ValueError as error:
        why = str(error) if line.strip() else "it is empty; name a program"
        raise ConfigError(f"--run {line!r} cannot be split: {why}") from None
    program = path_of(program, here) if "/" in program else program
    return [program, *(_argument(part, here) for part in arguments)]


def path_of(text: str, here: Path) -> str:
    """A path as it is called from everywhere."""
    return os.fspath(here / expanded(Path(text)))


def _argument(part: str, here: Path) -> str:
    option, equals, value = part.rpartition("=") if part.startswith("-") else ("", "", part)
    is_path = bool({"/", "."} & set(value)) and Path(path_of(value, here)).exists()
    return f"{option}{equals}{path_of(value, here)}" if is_path else part
