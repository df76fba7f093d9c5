"""llama.cpp, held by one thread of the worker: load, tokenise, compute, and nothing of chat.

Uses the C API through llama_cpp's public bindings, not its `Llama` class: that one redirects file
descriptors, keeps large arrays of scores and cannot render pieces beyond 32 bytes. The context
keeps the tokens of the last prompt; a new one computes only from where it differs.
"""

import ctypes
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import llama_cpp
import numpy as np
import numpy.typing as npt

from agent.errors import ModelUnavailable
from agent.models.model_file import load_error
from agent.models.stopping import Stopped

DEFAULT_CONTEXT_TOKENS = 8192
MIN_CONTEXT_TOKENS = 256
# Small: where the abort callback is not called, a sign of life comes once per batch.
BATCH_TOKENS = 256
# The rest is for the weights, the server and everybody else on the machine.
KV_SHARE_OF_FREE_MEMORY = 0.5
_LOG_WARNING, _LOG_ERROR = 3, 4  # as ggml.h has them


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """How to open a model. None: min(8192, what it was trained for); half of the cores."""

    context_tokens: int | None = None
    threads: int | None = None


class Engine:
    """A loaded model with one context."""

    def __init__(
        self, path: Path, settings: EngineSettings, should_stop: Callable[[], bool]
    ) -> None:
        self._should_stop = should_stop
        self._log_lines: list[str] = []
        # Kept as attributes: ctypes does not hold callbacks alive.
        self._log = llama_cpp.llama_log_callback(self._on_log)
        llama_cpp.llama_log_set(self._log, ctypes.c_void_p(0))
        llama_cpp.llama_backend_init()
        self._model = self._load(path)
        self.vocab = llama_cpp.llama_model_get_vocab(self._model)
        self.vocab_tokens: int = llama_cpp.llama_vocab_n_tokens(self.vocab)
        self.context_tokens = self._choose_context(path, settings.context_tokens)
        self._context = self._open_context(path, settings)
        self._memory = llama_cpp.llama_get_memory(self._context)
        self._abort = llama_cpp.ggml_abort_callback(lambda _data: should_stop())
        llama_cpp.llama_set_abort_callback(self._context, self._abort, None)
        self._held: list[int] = []

    def _on_log(self, level: int, text: bytes, _data: object) -> None:
        if level in (_LOG_WARNING, _LOG_ERROR):
            line = text.decode("utf-8", "replace").strip()
            self._log_lines = [*self._log_lines[-19:], line]
            sys.stderr.write(line + "\n")

    def _load(self, path: Path) -> object:
        params = llama_cpp.llama_model_default_params()
        model = llama_cpp.llama_model_load_from_file(os.fsencode(path), params)
        if model:
            return model
        reasons = " / ".join(self._log_lines) or "llama.cpp gave no reason"
        raise load_error(path, reasons)

    def _choose_context(self, path: Path, wanted: int | None) -> int:
        trained: int = llama_cpp.llama_model_n_ctx_train(self._model)
        tokens = min(wanted or DEFAULT_CONTEXT_TOKENS, trained or DEFAULT_CONTEXT_TOKENS)
        free = free_memory_bytes()
        if free is not None:
            tokens = min(tokens, int(free * KV_SHARE_OF_FREE_MEMORY) // self._kv_bytes_per_token())
        if tokens < MIN_CONTEXT_TOKENS:
            raise ModelUnavailable(
                f"a window of {tokens} tokens is all that the setting and free memory allow for"
                f" {str(path)!r}; {MIN_CONTEXT_TOKENS} is the least; raise `context_tokens` or take"
                " a smaller model"
            )
        return tokens

    def _kv_bytes_per_token(self) -> int:
        heads = max(llama_cpp.llama_model_n_head(self._model), 1)
        architecture = self._metadata("general.architecture")
        declared = self._metadata(f"{architecture}.attention.key_length")
        head_size = int(declared or llama_cpp.llama_model_n_embd(self._model) // heads)
        layers: int = llama_cpp.llama_model_n_layer(self._model)
        kv_heads: int = llama_cpp.llama_model_n_head_kv(self._model)
        # Keys and values, two bytes each.
        return max(4 * layers * kv_heads * head_size, 1)

    def _metadata(self, key: str) -> str:
        buffer = ctypes.create_string_buffer(256)
        length = llama_cpp.llama_model_meta_val_str(self._model, key.encode(), buffer, len(buffer))
        return buffer.value.decode("utf-8", "replace") if length > 0 else ""

    def _open_context(self, path: Path, settings: EngineSettings) -> object:
        params = llama_cpp.llama_context_default_params()
        params.n_ctx = self.context_tokens
        params.n_batch = params.n_ubatch = min(BATCH_TOKENS, self.context_tokens)
        params.n_threads = params.n_threads_batch = settings.threads or default_threads()
        params.no_perf = True
        context = llama_cpp.llama_init_from_model(self._model, params)
        if not context:
            raise ModelUnavailable(
                f"llama.cpp cannot open a window of {self.context_tokens} tokens for {str(path)!r}:"
                f" {' / '.join(self._log_lines)}; lower `context_tokens`"
            )
        return context

    @property
    def template_source(self) -> str | None:
        """The chat template in the file."""
        source = llama_cpp.llama_model_chat_template(self._model, None)
        return None if source is None else source.decode("utf-8", "replace")

    def token_text(self, name: str) -> str:
        """Give the text of the `bos` or `eos` token; empty when there is none."""
        get = llama_cpp.llama_vocab_bos if name == "bos" else llama_cpp.llama_vocab_eos
        token = get(self.vocab)
        return self.piece(token, special=True).decode("utf-8", "replace") if token >= 0 else ""

    def tokens_with(self, attribute: int) -> list[int]:
        """Give the ids with an attribute, one of llama_cpp.LLAMA_TOKEN_ATTR_*."""
        get = llama_cpp.llama_vocab_get_attr
        return [token for token in range(self.vocab_tokens) if get(self.vocab, token) & attribute]

    def end_tokens(self) -> list[int]:
        """Give the ids that end a turn."""
        is_end = llama_cpp.llama_vocab_is_eog
        return [token for token in range(self.vocab_tokens) if is_end(self.vocab, token)]

    def tokenize(self, text: str, *, special: bool) -> list[int]:
        """Tokenise; with special, markers in the text become their special tokens."""
        data = text.encode("utf-8", "replace")  # lone surrogates have no UTF-8
        room = len(data) + 8
        while True:
            tokens = (llama_cpp.llama_token * room)()
            count = llama_cpp.llama_tokenize(
                self.vocab, data, len(data), tokens, room, False, special
            )
            if count >= 0:
                return list(tokens[:count])
            room = -count

    def tokenize_prompt(self, text: str) -> list[int]:
        """Tokenise a rendered prompt, with the token of the beginning where the model wants one."""
        tokens = self.tokenize(text, special=True)
        bos = llama_cpp.llama_vocab_bos(self.vocab)
        if llama_cpp.llama_vocab_get_add_bos(self.vocab) and tokens[:1] != [bos]:
            return [bos, *tokens]
        return tokens

    def piece(self, token: int, *, special: bool) -> bytes:
        """Give the bytes of a token, perhaps a part of a character."""
        room = 64
        while True:
            buffer = ctypes.create_string_buffer(room)
            length = llama_cpp.llama_token_to_piece(self.vocab, token, buffer, room, 0, special)
            if length >= 0:
                return buffer.raw[:length]
            room = -length

    def prefill(self, tokens: Sequence[int]) -> None:
        """Compute a prompt, at least its last token, reusing the prefix the context holds.

        Raises:
            Stopped: asked to stop; what was computed stays reusable.
        """
        keep = _common_prefix(self._held, tokens[:-1])
        self._forget_after(keep)
        for start in range(len(self._held), len(tokens), BATCH_TOKENS):
            self.advance(tokens[start : start + BATCH_TOKENS])

    def advance(self, tokens: Sequence[int]) -> None:
        """Compute up to BATCH_TOKENS more.

        Raises:
            Stopped: asked to stop.
            RuntimeError: the engine failed.
        """
        if self._should_stop():
            raise Stopped
        array = (llama_cpp.llama_token * len(tokens))(*tokens)
        status = llama_cpp.llama_decode(
            self._context, llama_cpp.llama_batch_get_one(array, len(tokens))
        )
        if status == 0:
            self._held.extend(tokens)
            return
        self._forget_after(len(self._held))
        if self._should_stop():
            raise Stopped
        raise RuntimeError(f"llama_decode returned {status} at {len(self._held)} tokens")

    def _forget_after(self, keep: int) -> None:
        if not llama_cpp.llama_memory_seq_rm(self._memory, 0, keep, -1):
            # Recurrent and hybrid models cannot drop a tail.
            llama_cpp.llama_memory_clear(self._memory, True)
            keep = 0
        del self._held[keep:]

    def logits(self) -> npt.NDArray[np.float32]:
        """Give the (vocab_tokens,) float32 logits after the last token; valid until it advances."""
        pointer = llama_cpp.llama_get_logits_ith(self._context, -1)
        return np.ctypeslib.as_array(pointer, shape=(self.vocab_tokens,))


def _common_prefix(left: Sequence[int], right: Sequence[int]) -> int:
    for index, (one, other) in enumerate(zip(left, right, strict=False)):
        if one != other:
            return index
    return min(len(left), len(right))


def default_threads() -> int:
    """Give half of the cores: on busy ones more threads are slower, they wait for each other."""
    return max((os.cpu_count() or 2) // 2, 1)


def free_memory_bytes() -> int | None:
    """Give the memory available without swapping; None where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
    except OSError:
        return None
    sizes = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return int(sizes[0]) * 1024 if sizes else None
