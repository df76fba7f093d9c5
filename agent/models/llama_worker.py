"""The worker process: one model, one request at a time, frames on what were stdin and stdout.

A process of its own because llama.cpp can end it (SIGSEGV, SIGABRT, out of memory), writes to file
descriptor 1 and cannot be interrupted by signals. A thread reads frames, so that an abort arrives
while the main thread computes. When stdin ends the process exits at once: an orphan is never left.

Started by worker_process.py: python -P -m agent.models.llama_worker
"""

import os
import queue
import sys
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.errors import ModelError
from agent.models.frames import FrameDecoder, FrameInvalid, encode_frame
from agent.models.stopping import Stopped
from agent.models.wire import error_to_json, prompt_from_json, tools_from_json

if TYPE_CHECKING:
    from agent.models.session import Session
    from agent.models.xllama_session import XllamaSession

ALIVE_EVERY_S = 1.0  # how often a request in work says so


class Connection:
    """The server's end of the pipes, and what it wants now."""

    def __init__(self, read_fd: int, write_fd: int) -> None:
        self._read_fd, self._write_fd = read_fd, write_fd
        self._requests: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._aborted_up_to = 0
        self._current = 0
        self._spoke_at = 0.0

    def read_forever(self) -> None:
        """Take frames until the server is gone; then end the process, computing or not."""
        status = 1
        try:
            self._read_frames()
            status = 0
        except FrameInvalid as error:
            sys.stderr.write(f"{error}\n")
        finally:
            os._exit(status)

    def _read_frames(self) -> None:
        decoder = FrameDecoder()
        while data := os.read(self._read_fd, 65536):
            for message in decoder.feed(data):
                if message["op"] == "abort":
                    self._aborted_up_to = max(self._aborted_up_to, message["id"])
                else:
                    self._requests.put(message)

    def next_request(self) -> dict[str, Any]:
        """Wait for the next request."""
        request = self._requests.get()
        self._current, self._spoke_at = request["id"], time.monotonic()
        return request

    def should_stop(self) -> bool:
        """Say whether the request in work was aborted. Called often: gives the sign of life too."""
        if time.monotonic() - self._spoke_at > ALIVE_EVERY_S:
            self.answer({"alive": True})
        return self._current <= self._aborted_up_to

    def answer(self, body: dict[str, Any]) -> None:
        """Send one frame about the request in work."""
        self._spoke_at = time.monotonic()
        data = memoryview(encode_frame({"id": self._current, **body}))
        while data:
            data = data[os.write(self._write_fd, data) :]


def main() -> None:
    """Serve until stdin ends."""
    connection = Connection(*_claim_pipes())
    threading.Thread(target=connection.read_forever, name="frames", daemon=True).start()
    os.environ["GGML_NO_BACKTRACE"] = "1"  # else a failed assertion starts gdb
    model: Session | XllamaSession | None = None
    while True:
        request = connection.next_request()
        try:
            if request["op"] == "load":
                model = _load(request, connection)
                result = {"context_tokens": model.context_tokens, "style": model.style}
            else:
                assert model is not None, "load comes first"  # noqa: S101 - our own server
                result = _serve(request, model)
        except Stopped:
            connection.answer({"stopped": True})
        except ModelError as error:
            connection.answer({"error": error_to_json(error)})
        else:
            connection.answer({"result": result})


def _claim_pipes() -> tuple[int, int]:
    """Take stdin and stdout away from everything else; prints go to stderr from now on."""
    read_fd, write_fd = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return read_fd, write_fd


def _load(request: dict[str, Any], connection: Connection) -> "Session | XllamaSession":
    settings = dict(request["settings"])
    if settings.pop("engine") == "xllamacpp":
        from agent.models.xllama_session import (  # noqa: PLC0415 - see main
            XllamaSession,
            XllamaSettings,
        )

        return XllamaSession(
            Path(request["path"]), XllamaSettings(**settings), connection.should_stop
        )
    from agent.models.engine import EngineSettings  # noqa: PLC0415 - see main
    from agent.models.session import Session, SessionSettings  # noqa: PLC0415

    engine = EngineSettings(settings.pop("context_tokens"), settings.pop("threads"))
    return Session(
        Path(request["path"]), SessionSettings(engine=engine, **settings), connection.should_stop
    )


def _serve(request: dict[str, Any], model: "Session | XllamaSession") -> dict[str, Any]:
    if request["op"] == "measure":
        tools = tools_from_json(request["tools"])
        return asdict(model.measure(request["system"], tools, request["texts"]))
    answer = model.complete(prompt_from_json(request["prompt"]), request["max_tokens"])
    return {**asdict(answer.output), "prompt_tokens": answer.prompt_tokens}


if __name__ == "__main__":
    main()
