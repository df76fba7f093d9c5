"""Peers that are Python packages, installed below .bench/, once for each list of versions."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.peers.peer import BENCH, Absent
from benchmarks.report import say

PIP = ("install", "--quiet", "--disable-pip-version-check", "--retries", "1")


def install_folder(name: str, *packages: str) -> Path:
    """A folder with packages, without what they depend on (numpy is here).

    Raises:
        Absent: pip cannot install them.
    """
    folder = BENCH / name
    step = (sys.executable, "-m", "pip", *PIP, "--no-deps", "--target", str(folder))
    _once(folder, packages, [(*step, *packages)])
    return folder


def install_environment(name: str, *steps: Sequence[str]) -> str:
    """The Python of an environment of its own; each step is what one `pip install` gets.

    Raises:
        Absent: it cannot be made.
    """
    folder = BENCH / name
    python = str(folder / "bin" / "python")
    commands: list[Sequence[str]] = [(sys.executable, "-m", "venv", str(folder))]
    commands += [(python, "-m", "pip", *PIP, *step) for step in steps]
    _once(folder, [" ".join(step) for step in steps], commands)
    return python


def _once(folder: Path, packages: Sequence[str], commands: Sequence[Sequence[str]]) -> None:
    stamp, wanted = folder / ".installed", "\n".join(packages)
    if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return
    say(f"installing {', '.join(packages)}")
    for command in commands:
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            say(done.stderr)
            raise Absent(f"pip cannot install {', '.join(packages)}")
    stamp.write_text(wanted, encoding="utf-8")
