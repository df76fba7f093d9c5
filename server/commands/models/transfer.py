"""The progress of a download, as a terminal expects it: a line that rewrites itself, with a bar.

Without a terminal there is a line for each tenth. The line itself is made by a pure function.
"""

import shutil
import sys
import time
from typing import Final

from server.commands.models.tables import size
from server.console import Console

REDRAW_S: Final = 0.1
BAR_CELLS: Final = 24


class TransferProgress:
    """Shows how far one or several files are, as one download."""

    def __init__(self, console: Console, name: str, total: int | None) -> None:
        self._console, self._name, self._total = console, name, total
        self._before = 0  # bytes of files that are done
        self._started = self._drawn = time.monotonic()
        self._first: int | None = None

    def file_done(self, size_bytes: int) -> None:
        """Count a file as done; the next report is of the next one."""
        self._before += size_bytes

    def __call__(self, done: int, total: int | None) -> None:
        """Show how far the file at hand is."""
        whole = self._total or total
        done += self._before
        now = time.monotonic()
        if self._first is None:
            self._first = done
        at_end = whole is not None and done >= whole
        if sys.stderr.isatty() and now - self._drawn < REDRAW_S and not at_end:
            return
        self._drawn = now
        rate = (done - self._first) / max(now - self._started, 1e-3)
        width = shutil.get_terminal_size().columns - 1
        line = progress_line(self._name, done, whole, rate, width)
        self._console.rewrite(line, 100 * done // whole if whole else None)


def progress_line(name: str, done: int, whole: int | None, rate: float, width: int) -> str:
    """One line, no longer than width: name, bar, bytes, speed, and the time that is left.

    Args:
        rate: bytes per second.
    """
    if whole is None:
        return f"{name}  {size(done)}  {size(int(rate))}/s"[:width]
    numbers = f"{size(done)} / {size(whole)}  {100 * done // max(whole, 1):3} %"
    if rate > 0 and done < whole:
        numbers += f"  {size(int(rate))}/s  {_duration((whole - done) / rate)} left"
    filled = BAR_CELLS * done // max(whole, 1)
    bar = f"[{'#' * filled}{'.' * (BAR_CELLS - filled)}]"
    for line in (f"{name}  {bar}  {numbers}", f"{bar}  {numbers}", numbers):
        if len(line) <= width:
            return line
    return numbers[:width]


def _duration(seconds: float) -> str:
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"
