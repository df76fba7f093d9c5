"""The worker process: one model, one request at a time, frames on what were stdin and stdout.

A process of its own because llama.cpp can end it (SIGSEGV, SIGABRT, out of memory), writes to file
descriptor 1 and cannot be interrupted by signals. A thread reads frames, so that an abort arrives
while the main thread computes. When stdin ends the process stops what it does, writes computed
prefixes to disk where it was given a place for them, and exits within seconds: an orphan is never
left.

Started by worker_process.py: python -P -m agent.models.llama_worker
"""

import os
import queue
import sys
import threading
import time
from contextlib import suppress
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

    _Session = Session | XllamaSession

ALIVE_EVERY_S = 1.0  # how often a request in work says so
PARTIAL_EVERY_S = 0.1  # how often, at most, the output so far is sent
IDLE_S = 20.0  # after that what was computed is written to disk
SAVE_AT_END_S = 8.0  # for writing it when the server is gone


class Connection:
    """The server's end of the pipes, and what it wants now."""

    def __init__(self, read_fd: int, write_fd: int) -> None:
        self._read_fd, self._write_fd = read_fd, write_fd
        self._requests: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._aborted_up_to = 0
        self._current = 0
        self._spoke_at = 0.0
        self.saves_at_end = False
        self.ended = False

    def read_forever(self) -> None:
        """Take frames until the server is gone; then see that the process ends, computing or not.

        At once, or, when there is something to save, after the main thread did or had its time.
        """
        status = 1
        try:
            self._read_frames()
            status = 0
            if self.saves_at_end:
                self.ended = True
                self._requests.put(None)
                time.sleep(SAVE_AT_END_S)
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

    def next_request(self, wait_s: float | None) -> dict[str, Any] | None:
        """Wait for the next request; None: none came in time, or the server is gone."""
        try:
            request = self._requests.get(timeout=wait_s)
        except queue.Empty:
            return None
        if request is not None:
            self._current, self._spoke_at = request["id"], time.monotonic()
        return request

    @property
    def is_idle(self) -> bool:
        """Whether no request waits and the server is there."""
        return self._requests.empty() and not self.ended

    def should_stop(self) -> bool:
        """Say whether the request in work was aborted. Called often: gives the sign of life too."""
        if time.monotonic() - self._spoke_at > ALIVE_EVERY_S:
            self.answer({"alive": True})
        return self._current <= self._aborted_up_to or self.ended

    def answer_partial(self, text: str) -> None:
        """Send the output so far, unless something was sent just now."""
        if time.monotonic() - self._spoke_at > PARTIAL_EVERY_S:
            self.answer({"partial": text})

    def answer(self, body: dict[str, Any]) -> None:
        """Send one frame about the request in work."""
        self._spoke_at = time.monotonic()
        data = memoryview(encode_frame({"id": self._current, **body}))
        with suppress(BrokenPipeError):  # the server is gone, which the other thread sees, too
            while data:
                data = data[os.write(self._write_fd, data) :]


def main() -> None:
    """Serve until stdin ends."""
    connection = Connection(*_claim_pipes())
    threading.Thread(target=connection.read_forever, name="frames", daemon=True).start()
    os.environ["GGML_NO_BACKTRACE"] = "1"  # else a failed assertion starts gdb
    # The engine is imported only now, by what follows: that may write to file descriptor 1.
    model: _Session | None = None
    wait_s: float | None = None
    while not connection.ended:
        request = connection.next_request(wait_s)
        wait_s = IDLE_S if connection.saves_at_end else None
        if request is not None:
            model = _work(request, model, connection)
        elif model is not None and not connection.ended:
            model.save_states(lambda: connection.is_idle)
            wait_s = None
    if model is not None:
        model.save_states(lambda: True)
    os._exit(0)


def _work(
    request: dict[str, Any], model: "_Session | None", connection: Connection
) -> "_Session | None":
    """Serve one request and answer it; returns the model that is loaded now."""
    try:
        if request["op"] == "load":
            model, result = _load(request, connection)
        else:
            assert model is not None, "load comes first"  # noqa: S101 - our own server
            result = _serve(request, model, connection)
    except Stopped:
        connection.answer({"stopped": True})
    except ModelError as error:
        connection.answer({"error": error_to_json(error)})
    else:
        connection.answer({"result": result})
    return model


def _claim_pipes() -> tuple[int, int]:
    """Take stdin and stdout away from everything else; prints go to stderr from now on."""
    read_fd, write_fd = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return read_fd, write_fd


def _load(request: dict[str, Any], connection: Connection) -> tuple["_Session", dict[str, Any]]:
    settings = dict(request["settings"])
    load = _load_xllamacpp if settings.pop("engine") == "xllamacpp" else _load_llama_cpp
    model = load(Path(request["path"]), settings, connection)
    info = {"context_tokens": model.context_tokens, "limited_by": model.limited_by}
    return model, {**info, "style": model.style}


def _load_xllamacpp(path: Path, settings: dict[str, Any], connection: Connection) -> "_Session":
    from agent.models.xllama_session import (  # noqa: PLC0415 - see main
        XllamaSession,
        XllamaSettings,
    )

    del settings["state_directory"], settings["state_limit_bytes"]  # it keeps states in memory only
    return XllamaSession(path, XllamaSettings(**settings), connection.should_stop)


def _load_llama_cpp(path: Path, settings: dict[str, Any], connection: Connection) -> "_Session":
    from agent.models.engine import EngineSettings  # noqa: PLC0415 - see main
    from agent.models.session import Session, SessionSettings  # noqa: PLC0415

    engine = EngineSettings(settings.pop("context_tokens"), settings.pop("threads"))
    directory = settings.pop("state_directory")
    session = SessionSettings(
        engine=engine, state_directory=Path(directory) if directory else None, **settings
    )
    connection.saves_at_end = directory is not None and session.state_limit_bytes > 0
    return Session(path, session, connection.should_stop)


def _serve(request: dict[str, Any], model: "_Session", connection: Connection) -> dict[str, Any]:
    match request["op"]:
        case "measure":
            tools = tools_from_json(request["tools"])
            return asdict(model.measure(request["system"], tools, request["texts"]))
        case "forget":
            model.forget(request["agent_id"])
            return {}
        case _:
            on_text = connection.answer_partial if request["stream"] else None
            prompt = prompt_from_json(request["prompt"])
            answer = model.complete(prompt, request["max_tokens"], on_text)
            counts = {"prompt_tokens": answer.prompt_tokens, "cached_tokens": answer.cached_tokens}
            return {**asdict(answer.output), **counts}


if __name__ == "__main__":
    main()
