"""Lines that a person types, or that are piped into a command, read beside other work."""

import asyncio
import math
import os
import re
import sys
import threading
from contextlib import suppress
from typing import Final

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream

from server.lines import split_lines

_KEYS: Final = re.compile(r"\x1b\[[0-9;]*[A-Za-z~]|[\x00-\x08\x0b-\x1f\x7f]")
"""What arrow keys and their like leave in a line that a terminal does not edit."""


class TypedLines:
    """Lines of stdin, read from the first that is wanted, on a thread that Ctrl-C need not await.

    by_person: there is a terminal, so that questions find somebody.
    """

    def __init__(self) -> None:
        self.by_person = sys.stdin.isatty()
        self._lines: MemoryObjectReceiveStream[str] | None = None

    async def read(self, prompt: str = "") -> str | None:
        """The next line; None: there is no other. prompt: shown to a person."""
        if self.by_person:
            sys.stderr.write(prompt)
            sys.stderr.flush()
        if self._lines is None:
            self._lines = self._begin()
        try:
            line = await self._lines.receive()
        except anyio.EndOfStream:
            return None
        return _KEYS.sub("", line).strip() if self.by_person else line.strip()

    async def agrees(self, question: str) -> bool:
        """Whether a person answers a question with yes; anything else is a no."""
        return (await self.read(f"{question} [y/N] ") or "").lower() in {"y", "yes"}

    def close(self) -> None:
        """Read no more."""
        if self._lines is not None:
            self._lines.close()

    def _begin(self) -> MemoryObjectReceiveStream[str]:
        send, receive = anyio.create_memory_object_stream[str](math.inf)
        loop = asyncio.get_running_loop()

        def pump() -> None:
            # os.read, not sys.stdin: its lock, held while waiting, would hold up the exit.
            # The terminal, the loop or who reads may be gone.
            with suppress(OSError, RuntimeError):
                for line in split_lines(iter(lambda: os.read(0, 65_536), b"")):
                    loop.call_soon_threadsafe(_send, line.decode("utf-8", "replace"))
                loop.call_soon_threadsafe(send.close)

        def _send(text: str) -> None:
            with suppress(anyio.BrokenResourceError):
                send.send_nowait(text)

        threading.Thread(target=pump, name="stdin", daemon=True).start()
        return receive
