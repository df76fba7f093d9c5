"""What commands print: text for people, or one JSON value a line with --json."""

import io
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from server.command_words import for_a_person
from server.errors import OperatorError


class OutputFailed(OperatorError):
    """What was to be printed could not be."""


class Console:
    """Writes to stdout, and errors and progress to stderr."""

    def __init__(self, as_json: bool) -> None:
        if sys.stderr is None:  # closed by whoever started this: nobody wants to hear
            sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - until the end
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):  # a terminal may not know every letter
                stream.reconfigure(errors="backslashreplace")
        self.as_json = as_json
        self._progress_shown = self._previewed = False
        self._tenths = -1

    def show(self, value: BaseModel | dict[str, Any] | list[Any], text: str) -> None:
        """Print a result: the value with --json, else the text."""
        if self.as_json:
            if isinstance(value, BaseModel):
                value = value.model_dump()
            text = json.dumps(value, ensure_ascii=False)
        if sys.stdout is None:
            raise OutputFailed("the output cannot be written: it is closed")
        try:
            sys.stdout.write(text + "\n")
            sys.stdout.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OutputFailed(f"the output cannot be written: {error.strerror}") from error

    def preview(self, text: str) -> None:
        """Show the end of a text that is being written, in a line that its whole takes over."""
        if not self.as_json and sys.stderr.isatty():
            shown = " ".join("".join(c if c.isprintable() else " " for c in text).split())
            room = max(1, shutil.get_terminal_size().columns - 1)
            sys.stderr.write(f"\r{shown[-room:]}\x1b[K")
            sys.stderr.flush()
            self._previewed = True

    def end_preview(self) -> None:
        """Take the line away."""
        if self._previewed:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self._previewed = False

    def line(self, text: str) -> None:
        """Show what is being done: in one line at a terminal, else in a line of its own."""
        if sys.stderr.isatty():
            self.preview(text)
        else:
            self.note(text)

    def fail(self, message: str) -> None:
        """Print what went wrong, as a person is told it."""
        message = for_a_person(message)
        self.end_preview()
        self.end_progress()
        if self.as_json and sys.stdout is not None:
            sys.stdout.write(json.dumps({"error": message}, ensure_ascii=False) + "\n")
        else:
            sys.stderr.write(f"mnemon: {message}\n")

    def note(self, message: str) -> None:
        """Tell a person something beside the result."""
        self.end_preview()
        if not self.as_json:
            sys.stderr.write(message + "\n")
            sys.stderr.flush()

    def progress(self, done: int, total: int, what: str) -> None:
        """Show how far something is: a line that rewrites itself, or one for each tenth."""
        share = 100 * done // max(total, 1)
        if total:
            self.rewrite(f"{what} {done}/{total} ({share} %)", share)

    def rewrite(self, line: str, share: int | None) -> None:
        """Put a line in the place of the last one; without a terminal, one for each tenth.

        Args:
            share: of a hundred; None: nobody knows.
        """
        if self.as_json:
            return
        tenths = -1 if share is None else share // 10
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{line}\x1b[K")
            self._progress_shown = True
        elif tenths > self._tenths:
            sys.stderr.write(f"{line}\n")
        self._tenths = max(tenths, self._tenths)
        sys.stderr.flush()

    def end_progress(self) -> None:
        """End the progress line, if there is one; the next one begins anew."""
        self._tenths = -1
        if self._progress_shown:
            sys.stderr.write("\n")
            self._progress_shown = False
