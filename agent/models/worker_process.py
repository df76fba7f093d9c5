"""The server's side of one worker process: start, send, answer, abort, stop.

Knows frames and processes, nothing of models; llama.py decides when a worker is started and what
its death means. stderr goes to a file without a name: nobody has to drain it, and its tail explains
a crash. The environment is read here to be handed on: a child gets the parent's whole, with this
package first on its path; no setting is taken from it.
"""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import anyio
from anyio.abc import Process

import agent
from agent.models.frames import FrameDecoder, FrameInvalid, encode_frame

STOP_GRACE_S = 2.0
# A worker writes computed prefixes to disk; whoever stops the server waits a little longer.
SAVE_GRACE_S = 4.0
STDERR_TAIL_BYTES = 2000


OnPartial = Callable[[str], Awaitable[None]]


class WorkerLost(Exception):
    """The worker died, hung or spoke nonsense; it is of no further use. The text says which."""


class WorkerProcess:
    """A running worker. One request at a time: the caller holds a lock."""

    def __init__(self, process: Process, stderr: IO[bytes]) -> None:
        self._process = process
        self._stderr = stderr
        self._decoder = FrameDecoder()
        self._last_id = 0
        self._whole = True  # the last request was written to its end

    @classmethod
    async def start(cls, module: str) -> "WorkerProcess":
        """Start `python -m module` with this very package on its path."""
        stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed by stop
        # -P keeps the working directory, which anyone may write to, off the path of imports.
        root = str(Path(agent.__file__).parents[1])
        path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
        # Shielded: a start that is cancelled half way would leave a process nobody knows.
        with anyio.CancelScope(shield=True):
            process = await anyio.open_process(
                [sys.executable, "-P", "-m", module],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env={**os.environ, "PYTHONPATH": path},
            )
        return cls(process, stderr)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether the process has not ended."""
        if self._process.returncode is not None:
            return False
        if not hasattr(os, "waitid"):  # Windows
            return True
        # The event loop learns of an end only when it runs: ask the kernel, and leave the status.
        try:
            ended = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return False
        return ended is None

    async def send(self, request: dict[str, Any]) -> None:
        """Send a request; that the worker is gone is said by answer."""
        self._last_id += 1
        await self._send({**request, "id": self._last_id})

    async def answer(self, silence_s: float, on_partial: OnPartial | None = None) -> dict[str, Any]:
        """Wait for the last request's answer: {"result"}, {"error"} or {"stopped"}.

        A wait that was cancelled can be taken up by another one.

        Args:
            on_partial: awaited with the output so far, when the worker sends it.

        Raises:
            WorkerLost: it died, or said nothing, not even that it is alive, for silence_s.
        """
        assert self._process.stdout is not None  # noqa: S101 - opened as a pipe
        while True:
            try:
                with anyio.fail_after(silence_s):
                    data = await self._process.stdout.receive()
                messages = self._decoder.feed(data)
            except TimeoutError as error:
                raise WorkerLost(f"said nothing for {silence_s:g} s and was stopped") from error
            except FrameInvalid as error:
                raise WorkerLost(f"sent what is no answer ({error})") from error
            except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError) as end:
                raise WorkerLost(await self.last_words()) from end
            mine = [message for message in messages if message.get("id") == self._last_id]
            for message in mine:
                if not message.keys() & {"alive", "partial"}:
                    return message
            partial = next((m["partial"] for m in reversed(mine) if "partial" in m), None)
            if partial is not None and on_partial is not None:
                await on_partial(partial)

    async def abort(self) -> bool:
        """Stop the request in work. False: the worker did not come back in time, or is lost."""
        with anyio.move_on_after(STOP_GRACE_S, shield=True):
            try:
                if self._whole:
                    await self._send({"op": "abort", "id": self._last_id})
                    await self.answer(STOP_GRACE_S)
                    return True
            except WorkerLost:
                pass
        return False

    async def stop(self) -> None:
        """End the process, by closing its stdin or, after SAVE_GRACE_S, by killing it."""
        assert self._process.stdin is not None  # noqa: S101 - opened as a pipe
        with anyio.move_on_after(SAVE_GRACE_S, shield=True):
            await self._process.stdin.aclose()
            await self._process.wait()
        await self.kill()

    async def kill(self) -> None:
        """End the process now and free what it held."""
        with anyio.CancelScope(shield=True):
            if self.is_running:
                self._process.kill()
            await self._process.wait()
            await self._process.aclose()
        self._stderr.close()

    async def last_words(self) -> str:
        """Say how the process ended, with the end of its stderr; waits for STOP_GRACE_S at most."""
        with anyio.CancelScope(shield=True):
            with anyio.move_on_after(STOP_GRACE_S):
                await self._process.wait()
            code = self._process.returncode
        tail = self._stderr_tail()
        said = f"; its last lines were:\n{tail}" if tail else ""
        return f"{_describe_end(code)}{said}"

    def _stderr_tail(self) -> str:
        if self._stderr.closed:  # stopped by another task meanwhile
            return ""
        size = self._stderr.seek(0, os.SEEK_END)
        self._stderr.seek(max(0, size - STDERR_TAIL_BYTES))
        return self._stderr.read().decode("utf-8", "replace").strip()

    async def _send(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None  # noqa: S101 - opened as a pipe
        self._whole = False
        with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
            await self._process.stdin.send(encode_frame(message))
            self._whole = True


def _describe_end(code: int | None) -> str:
    if code is None:
        return "closed its pipe and went on running"
    if code >= 0:
        return f"ended with status {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"
