"""The program inside as a process, without a sandbox around it; the test is the server."""

import base64
import os
import platform
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sandbox.frames import FrameReader, encode
from sandbox.inside.program import boot_program
from sandbox.seccomp import late_filter

ARCH = platform.machine()
PYTHON = "/usr/bin/python3" if Path("/usr/bin/python3").exists() else sys.executable
PATIENCE_S = 30.0
MAX_FRAME_BYTES = 1 << 20

Answers = Mapping[str, Callable[[dict[str, Any]], Any]]
"""What the server does for a method: arguments in, result out; a ValueError is a refusal."""


def configuration(late: bytes | None = None, **changes: Any) -> dict[str, Any]:
    encoded = None if late is None else base64.b64encode(late).decode()
    plain: dict[str, Any] = {
        "rlimits": {},
        "landlock": None,
        "late_filter": encoded,
        "thread_stack": 1 << 20,
    }
    return {"t": "configure", "v": 1, "late_filter": encoded, **plain, **changes}


@dataclass
class Ended:
    """What a run left: the frames after `ready`, its output, its exit status."""

    frames: list[dict[str, Any]]
    stdout: str
    stderr: str
    status: int

    @property
    def result(self) -> Any:
        """Of the one result frame, which must be ok."""
        (frame,) = self.frames
        assert frame["ok"], frame
        return frame["result"]

    @property
    def error(self) -> dict[str, Any]:
        (frame,) = self.frames
        assert not frame["ok"], frame
        error: dict[str, Any] = frame["error"]
        return error


@dataclass
class Boot:
    """A started program."""

    process: subprocess.Popen[bytes]
    link: socket.socket
    reader: FrameReader = field(default_factory=lambda: FrameReader(MAX_FRAME_BYTES))
    waiting: list[dict[str, Any]] = field(default_factory=list)

    def send(self, message: dict[str, Any]) -> None:
        self.link.sendall(encode(message))

    def frame(self) -> dict[str, Any] | None:
        """The next frame; None: it has closed its end."""
        while not self.waiting:
            try:
                data = self.link.recv(65_536)
            except ConnectionResetError:
                return None
            if not data:
                return None
            self.waiting += self.reader.feed(data)
        return self.waiting.pop(0)

    def run(
        self,
        source: str,
        function: str | None = "tool",
        methods: Answers | None = None,
        **call: Any,
    ) -> Ended:
        """Call it and serve its methods until it ends."""
        answers = methods or {}
        given = {"arguments": {}, "environment": {}, "packages": None, "limits": {"cpu_s": 20}}
        named = {"source": source, "function": function, "methods": list(answers)}
        self.send({"t": "call", "id": 1, **given, **named, **call})
        frames = []
        while (frame := self.frame()) is not None:
            if frame["t"] == "method":
                self.send(_answer(frame, answers))
            else:
                frames.append(frame)
        stdout, stderr = self.process.communicate(timeout=PATIENCE_S)
        return Ended(frames, stdout.decode(), stderr.decode(), self.process.returncode)


def _answer(frame: dict[str, Any], answers: Answers) -> dict[str, Any]:
    try:
        result = answers[frame["name"]](frame["arguments"])
    except ValueError as refusal:
        return {"t": "answer", "id": frame["id"], "ok": False, "error": str(refusal)}
    return {"t": "answer", "id": frame["id"], "ok": True, "result": result}


@contextmanager
def started(workspace: Path, python: str = PYTHON, boot: bytes | None = None) -> Iterator[Boot]:
    """The program, not yet configured."""
    program = workspace.parent / f"{workspace.name}-boot"
    program.write_bytes(boot_program() if boot is None else boot)
    ours, its = socket.socketpair()
    ours.settimeout(PATIENCE_S)
    with ours:
        with its:
            process = subprocess.Popen(
                [python, "-I", "-S", "-B", str(program), str(its.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=[its.fileno()],
                cwd=workspace,
                env={"PATH": os.environ.get("PATH", "/usr/bin"), "MALLOC_ARENA_MAX": "2"},
            )
        with process:
            try:
                yield Boot(process, ours)
            finally:
                process.kill()


@contextmanager
def ready(workspace: Path, python: str = PYTHON, **changes: Any) -> Iterator[Boot]:
    """The program, waiting for its call; with the late filter unless changes say otherwise."""
    changes.setdefault("late", late_filter(ARCH))
    with started(workspace, python) as boot:
        boot.send(configuration(**changes))
        frame = boot.frame()
        if frame is None:
            raise AssertionError(boot.process.communicate(timeout=PATIENCE_S)[1].decode())
        assert frame["t"] == "ready"
        yield boot


def run(workspace: Path, source: str, function: str | None = "tool", **call: Any) -> Ended:
    """One call of a fresh program that holds the late filter."""
    with ready(workspace) as boot:
        return boot.run(source, function, **call)
