"""xllamacpp: llama.cpp's own server, running in this process and spoken to over loopback.

Started with a random key, without which it would answer anyone on the machine. Its in-process calls
cannot be stopped while a prompt is computed; a connection that is closed is noticed within a batch.
"""

import http.client
import json
import os
import queue
import re
import secrets
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import xllamacpp

from agent.errors import ModelError, ModelUnavailable
from agent.models.model_file import load_error
from agent.models.stopping import Stopped

BATCH_TOKENS = 256  # what is computed before a closed connection is noticed
_LOOK_EVERY_S = 0.05
_ERRORS_ONLY = 1
_LOG_PREFIX = re.compile(r"^[\d.]+ [A-Z] ")


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """How to open a model; cache_mib is memory for prompts of which another took the place."""

    context_tokens: int
    threads: int
    cache_mib: int


class LlamaServer:
    """A loaded model behind HTTP.

    Raises from its constructor ModelFileInvalid or ModelUnavailable.
    """

    def __init__(self, path: Path, settings: ServerSettings) -> None:
        self._key = secrets.token_hex(32)
        params = _parameters(path, settings, self._key)
        with _captured_stderr() as lines:
            try:
                self._server: Any = xllamacpp.Server(params)
            except (RuntimeError, ValueError) as error:
                reason: Exception | None = error
            else:
                reason = None
        if reason is not None:
            raise load_error(path, " / ".join(lines) or str(reason)) from None
        self.address: str = self._server.listening_address
        parts = urlsplit(self.address)
        self._host, self._port = str(parts.hostname), int(parts.port or 0)

    def ask(self, route: str, body: dict[str, Any]) -> dict[str, Any]:
        """Ask for something that takes no computing.

        Raises:
            ModelUnavailable: the server refuses.
        """
        connection = self._connect()
        try:
            answer: dict[str, Any] = json.loads(self._send(connection, route, body).read())
        finally:
            connection.close()
        return answer

    def stream(
        self, route: str, body: dict[str, Any], should_stop: Callable[[], bool]
    ) -> Iterator[dict[str, Any]]:
        """Give the events of a computation as they come.

        Raises:
            Stopped: should_stop, which is asked often, said so.
            ModelUnavailable: the server refuses.
        """
        connection = self._connect()
        connection.connect()
        stream = connection.sock  # the connection gives it away to its response
        events: queue.SimpleQueue[dict[str, Any] | Exception | None] = queue.SimpleQueue()
        reader = threading.Thread(
            target=self._read_events, args=(connection, route, body, events), daemon=True
        )
        reader.start()
        try:
            while (event := _next(events, should_stop)) is not None:
                if isinstance(event, Exception):
                    raise event
                yield event
        finally:
            # The reader may wait for a byte: this wakes it, and tells the server to stop.
            with suppress(OSError):
                stream.shutdown(socket.SHUT_RDWR)
            reader.join()
            connection.close()

    def _read_events(
        self,
        connection: http.client.HTTPConnection,
        route: str,
        body: dict[str, Any],
        events: "queue.SimpleQueue[dict[str, Any] | Exception | None]",
    ) -> None:
        try:
            for line in self._send(connection, route, {**body, "stream": True}):
                kind, _, data = line.partition(b":")
                if kind in (b"data", b"error") and data.strip() != b"[DONE]":
                    event = json.loads(data)
                    problem = event if kind == b"error" else event.get("error")
                    events.put(event if problem is None else _refusal(problem))
            events.put(None)
        except (OSError, ValueError, http.client.HTTPException, ModelError) as error:
            known = isinstance(error, ModelError)
            events.put(error if known else ModelUnavailable(f"xllamacpp broke off: {error!r}"))

    def _connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self._host, self._port)

    def _send(
        self, connection: http.client.HTTPConnection, route: str, body: dict[str, Any]
    ) -> http.client.HTTPResponse:
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self._key}"}
        # Lone surrogates are replaced: the server refuses them, escaped or not.
        data = json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
        connection.request("POST", route, data, headers)
        response = connection.getresponse()
        if response.status != http.client.OK:
            raise _refusal(response.read())
        return response


def _next(
    events: "queue.SimpleQueue[dict[str, Any] | Exception | None]", should_stop: Callable[[], bool]
) -> dict[str, Any] | Exception | None:
    while True:
        if should_stop():
            raise Stopped
        with suppress(queue.Empty):
            return events.get(timeout=_LOOK_EVERY_S)


def _refusal(problem: object) -> ModelUnavailable:
    if isinstance(problem, bytes):
        with suppress(ValueError, AttributeError):
            problem = json.loads(problem).get("error", problem)
    message = problem.get("message", problem) if isinstance(problem, dict) else problem
    return ModelUnavailable(f"xllamacpp refuses the request: {str(message)[:500]}")


def _parameters(path: Path, settings: ServerSettings, key: str) -> Any:
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.api_keys = [key]
    params.n_ctx = settings.context_tokens
    # One slot has the whole window: it would be divided among more. Prompts of other agents wait
    # in memory.
    params.n_parallel = 1
    params.cache_ram_mib = settings.cache_mib
    params.n_batch = params.n_ubatch = BATCH_TOKENS
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = settings.threads
    params.special = True  # markers of calls are special tokens, too
    params.use_jinja = params.enable_chat_template = False  # rendered by chat.py
    params.fit_params = params.warmup = params.ui = params.endpoint_slots = False
    params.offline = True
    params.verbosity = _ERRORS_ONLY
    return params


@contextmanager
def _captured_stderr() -> Iterator[list[str]]:
    """Give the lines written to stderr meanwhile, by C++ too; they are written to it afterwards."""
    lines: list[str] = []
    kept = os.dup(2)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        try:
            yield lines
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            file.seek(0)
            text = file.read().decode("utf-8", "replace")
            sys.stderr.write(text)
            lines += [_LOG_PREFIX.sub("", line.strip()) for line in text.splitlines() if line]
