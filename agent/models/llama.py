"""LlamaModel: a local GGUF file as a ChatModel, computed by llama.cpp in a process of its own.

This is the server's side; it imports no engine. llama_worker.py is the other side,
worker_process.py the pipe between them. The worker is started by the first call, and again after
it died. A call that is cancelled while the model loads lets the load go on for the next one: a host
may wait for a minute and a large file take two.
"""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import anyio

from agent.errors import ModelCrashed, ModelError, ModelUnavailable, RequestPoisonous
from agent.model import (
    Completion,
    Malformed,
    Measure,
    ModelInfo,
    OnText,
    Prompt,
    ToolCalls,
    ToolSpec,
)
from agent.models.crashes import POISONOUS_AFTER, Crashes
from agent.models.frames import encode_frame
from agent.models.model_file import EngineChoice, check_model_file, choose_engine
from agent.models.parse import read_output
from agent.models.partial import partial_reply
from agent.models.state_files import forget_agent
from agent.models.transcript import CallStyle
from agent.models.wire import error_from_json, prompt_to_json, tools_to_json
from agent.models.worker_process import OnPartial, WorkerLost, WorkerProcess

WORKER_MODULE = "agent.models.llama_worker"


@dataclass(frozen=True, slots=True)
class LlamaOptions:
    """How to sample, and how long to wait.

    engine: which of llama.cpp's two bindings computes; auto takes what is installed.
    temperature: 0 takes the likeliest token each time, which makes runs repeatable.
    chat_template: Jinja source to use instead of the one in the file.
    call_style: how calls are written, as probing found it; None: found out when it is loaded.
    load_deadline_s: a large file on a slow disk takes minutes.
    silence_deadline_s: a worker gives a sign of life each second; one silent for so long hangs.
    restart_wait_s: before a worker is started again after two deaths; longer after more.
    state_directory: where computed prefixes outlive the worker; None: nowhere.
    state_limit_bytes: how much may stand there; 0: nothing.
    """

    engine: EngineChoice = "auto"
    temperature: float = 0.0
    seed: int = 0
    chat_template: str | None = None
    call_style: CallStyle | None = None
    load_deadline_s: float = 600.0
    silence_deadline_s: float = 120.0
    restart_wait_s: float = 1.0
    state_directory: Path | None = None
    state_limit_bytes: int = 0


DEFAULT_OPTIONS = LlamaOptions()


@dataclass(frozen=True, slots=True)
class _Loaded:
    worker: WorkerProcess
    info: ModelInfo
    style: CallStyle


class LlamaModel:
    """A GGUF file as a ChatModel. Requests of several tasks are served one after another.

    Use it as `async with`, or call aclose: the worker holds the model in memory until then.
    """

    def __init__(
        self,
        path: Path,
        *,
        context_tokens: int | None = None,
        threads: int | None = None,
        options: LlamaOptions = DEFAULT_OPTIONS,
    ) -> None:
        """Touches nothing yet.

        Args:
            path: the GGUF file; of a split one, the first part.
            context_tokens: the window; default 8192. Never more than the model was trained for or
                half of the free memory holds: describe() tells what came of it.
            threads: of the computation; default half of the cores.
            options: see LlamaOptions.
        """
        self.path = path
        self._context_tokens, self._threads = context_tokens, threads
        self._options = options
        self._lock = anyio.Lock()
        self._loaded: _Loaded | None = None
        self._loading: WorkerProcess | None = None
        self._closed = False
        self._crashes = Crashes(options.restart_wait_s)

    @property
    def worker_pid(self) -> int | None:
        """The process id of the worker, when one runs."""
        worker = self._worker
        return worker.pid if worker and worker.is_running else None

    @property
    def call_style(self) -> CallStyle | None:
        """How the loaded model's calls are written; None: it is not loaded."""
        return self._loaded.style if self._loaded else None

    async def __aenter__(self) -> Self:
        """Start nothing: the first call does."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the worker."""
        await self.aclose()

    async def aclose(self) -> None:
        """End the worker, also in the middle of a request; calls after this are refused."""
        self._closed = True
        worker, self._loaded, self._loading = self._worker, None, None
        if worker is not None:
            await worker.stop()

    async def describe(self) -> ModelInfo:
        """Load the model when it is not loaded and say what it is."""
        async with self._lock:
            return (await self._load()).info

    async def measure(
        self, system: str, tools: Sequence[ToolSpec], texts: Sequence[str]
    ) -> Measure:
        """Count tokens with the model's own tokenizer; see Measure.

        The text of a message with calls is transcript.message_text.
        """
        body = {"system": system, "tools": tools_to_json(tuple(tools)), "texts": list(texts)}
        async with self._lock:
            loaded = await self._load()
            result = await self._ask(loaded.worker, {"op": "measure", **body})
        return Measure(
            result["head_tokens"], tuple(result["text_tokens"]), result["message_tokens"]
        )

    async def complete(
        self, prompt: Prompt, max_tokens: int, on_text: OnText | None = None
    ) -> Completion:
        """Answer within max_tokens; see ChatModel. Cancelling stops the computation.

        Raises:
            PromptTooLong, ReplyRoomTooSmall: with both numbers; nothing was computed.
            ToolSchemaInvalid: names the tool.
            RequestPoisonous: the worker died over this request each time.
            ModelError: the model is missing, unreadable, crashed or hung.
        """
        request = {
            "op": "complete",
            "prompt": prompt_to_json(prompt),
            "max_tokens": max_tokens,
            "stream": on_text is not None,
        }
        async with self._lock:
            loaded = await self._load()
            on_partial = on_text and _Shown(on_text, prompt, loaded.style).show
            result = await self._ask(loaded.worker, request, on_partial)
        parsed = read_output(result["text"], result["cut"], prompt, loaded.style)
        if result["invented"] and isinstance(parsed, ToolCalls):
            # Valid, and not what the model wanted: an empty argument can delete a memory.
            parsed = Malformed(result["text"], "cut off by the token limit", "cut")
        return Completion(
            parsed, result["prompt_tokens"], result["tokens"], result["cached_tokens"]
        )

    async def forget(self, agent_id: str) -> None:
        """Keep nothing that was computed for an agent, in memory or on disk."""
        directory = self._options.state_directory
        async with self._lock:
            if self._loaded and self._loaded.worker.is_running:
                await self._ask(self._loaded.worker, {"op": "forget", "agent_id": agent_id})
            if directory is not None:
                await anyio.to_thread.run_sync(forget_agent, directory, agent_id)

    async def _load(self) -> _Loaded:
        self._refuse_when_closed()
        if self._loaded and self._loaded.worker.is_running:
            return self._loaded
        if self._loaded:
            await self._discard()
        request = self._load_request()
        self._refuse_poison(request)
        try:
            worker = self._loading or await self._start(request)
            self._refuse_when_closed()  # by another task, while the process started
            result = await self._answer(worker, request)
        except ModelError:
            await self._discard()
            raise
        info = ModelInfo(self.path.stem, result["context_tokens"], result["limited_by"])
        self._loaded, self._loading = _Loaded(worker, info, result["style"]), None
        return self._loaded

    async def _start(self, request: dict[str, Any]) -> WorkerProcess:
        """Start a worker and have it load the model; does not wait until it has."""
        await anyio.to_thread.run_sync(check_model_file, self.path)
        await anyio.sleep(self._crashes.wait_s(time.monotonic()))
        # Shielded: a worker that was not asked to load, or not to the end, would be of no use.
        with anyio.CancelScope(shield=True):
            self._loading = worker = await WorkerProcess.start(WORKER_MODULE)
            await worker.send(request)
        return worker

    @property
    def _worker(self) -> WorkerProcess | None:
        return self._loaded.worker if self._loaded else self._loading

    def _refuse_when_closed(self) -> None:
        if self._closed:
            raise ModelUnavailable(f"the model {self.path.name!r} was closed")

    def _load_request(self) -> dict[str, Any]:
        directory = self._options.state_directory
        settings = {
            "engine": choose_engine(self._options.engine),
            "context_tokens": self._context_tokens,
            "threads": self._threads,
            "temperature": self._options.temperature,
            "seed": self._options.seed,
            "chat_template": self._options.chat_template,
            "call_style": self._options.call_style,
            "state_directory": directory and str(directory.absolute()),
            "state_limit_bytes": self._options.state_limit_bytes,
        }
        return {"op": "load", "path": str(self.path.absolute()), "settings": settings}

    def _refuse_poison(self, request: dict[str, Any]) -> None:
        refused_for_s = self._crashes.refused_for_s(_digest(request), time.monotonic())
        if refused_for_s:
            raise RequestPoisonous(self.path.name, POISONOUS_AFTER, refused_for_s)

    async def _ask(
        self,
        worker: WorkerProcess,
        request: dict[str, Any],
        on_partial: OnPartial | None = None,
    ) -> dict[str, Any]:
        self._refuse_poison(request)
        try:
            await worker.send(request)
            result = await self._answer(worker, request, on_partial)
        except ModelError:
            raise
        except BaseException:  # cancelled, or on_partial raised: either way nobody waits for it
            if not await worker.abort():
                await self._discard()
            raise
        self._crashes.succeeded()
        return result

    async def _answer(
        self,
        worker: WorkerProcess,
        request: dict[str, Any],
        on_partial: OnPartial | None = None,
    ) -> dict[str, Any]:
        """Wait for what the worker makes of its last request."""
        options, op = self._options, request["op"]
        deadline_s = options.load_deadline_s if op == "load" else options.silence_deadline_s
        try:
            answer = await worker.answer(deadline_s, on_partial)
        except WorkerLost as lost:
            await self._discard()
            self._refuse_when_closed()
            self._crashes.died(_digest(request), time.monotonic())
            raise ModelCrashed(
                f"the worker of model {self.path.name!r} {lost}\nit was in {op};"
                " nothing of this step was stored and the next call starts a new worker"
            ) from None
        if "error" in answer:
            raise error_from_json(answer["error"])
        if "stopped" in answer:  # the worker was told to end
            raise ModelUnavailable(f"the model {self.path.name!r} was closed")
        result: dict[str, Any] = answer["result"]
        return result

    async def _discard(self) -> None:
        worker, self._loaded, self._loading = self._worker, None, None
        if worker is not None:
            await worker.kill()


class _Shown:
    """Passes on what can be shown of an output that is being written, when it is more."""

    def __init__(self, on_text: OnText, prompt: Prompt, style: CallStyle) -> None:
        self._on_text, self._prompt, self._style = on_text, prompt, style
        self._last = ""

    async def show(self, text: str) -> None:
        """Take the output so far."""
        reply = partial_reply(text, self._prompt, self._style)
        if reply and reply != self._last:
            self._last = reply
            await self._on_text(reply)


def _digest(request: dict[str, Any]) -> str:
    return hashlib.sha256(encode_frame(request)).hexdigest()
