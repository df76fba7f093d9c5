"""llama.cpp, held by one thread of the worker: load, tokenise, compute, and nothing of chat.

Uses the C API through llama_cpp's public bindings, not its `Llama` class: that one redirects file
descriptors, keeps large arrays of scores and cannot render pieces beyond 32 bytes. The context
holds one sequence of tokens; a new prompt computes only from where it differs. What is held can be
taken out as bytes and put back; prefixes.py decides when.
"""

import ctypes
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import llama_cpp
import numpy as np
import numpy.typing as npt

from agent.errors import ModelUnavailable
from agent.models.context_size import (
    MIN_CONTEXT_TOKENS,
    ContextSize,
    choose_context,
    free_memory_bytes,
    kv_room,
)
from agent.models.model_file import load_error
from agent.models.stopping import Stopped
from agent.models.vocabulary import Vocabulary, common_prefix

# Small: where the abort callback is not called, a sign of life comes once per batch.
BATCH_TOKENS = 256
_PROBE_TOKENS = 256
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
        self.vocabulary = Vocabulary(llama_cpp.llama_model_get_vocab(self._model))
        size = self._choose_context(path, settings.context_tokens)
        self.context_tokens, self.limited_by = size.tokens, size.limited_by
        self._context = self._open_context(path, self.context_tokens, settings)
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

    def _choose_context(self, path: Path, wanted: int | None) -> ContextSize:
        trained: int = llama_cpp.llama_model_n_ctx_train(self._model)
        room = kv_room(free_memory_bytes(), llama_cpp.llama_model_size(self._model))
        size = choose_context(wanted, trained, room, self._most_kv_bytes_per_token())
        if size.limited_by == "memory":
            size = choose_context(wanted, trained, room, self._kv_bytes_per_token(path))
        if size.tokens < MIN_CONTEXT_TOKENS:
            raise ModelUnavailable(
                f"a window of {size.tokens} tokens is all that the {size.limited_by} allows for"
                f" {str(path)!r}; {MIN_CONTEXT_TOKENS} is the least; raise `context_tokens`, free"
                " memory, or take a smaller model"
            )
        return size

    def _most_kv_bytes_per_token(self) -> int:
        """Keys and values, two bytes each, as if no heads shared them."""
        width: int = max(llama_cpp.llama_model_n_embd(self._model), self._declared_width())
        layers: int = llama_cpp.llama_model_n_layer(self._model)
        return max(4 * layers * width, 1)

    def _declared_width(self) -> int:
        architecture = self._metadata("general.architecture")
        lengths = [
            self._metadata(f"{architecture}.attention.{part}_length") for part in ("key", "value")
        ]
        widest: int = max((int(length) for length in lengths if length.isdecimal()), default=0)
        heads: int = llama_cpp.llama_model_n_head(self._model)
        return widest * heads

    def _kv_bytes_per_token(self, path: Path) -> int:
        """Ask llama.cpp, by computing a token more: layers differ in heads, and in having any."""
        context = self._open_context(path, _PROBE_TOKENS, EngineSettings())
        try:
            sizes: list[int] = []
            for _ in range(2):
                token = (llama_cpp.llama_token * 1)(0)
                llama_cpp.llama_decode(context, llama_cpp.llama_batch_get_one(token, 1))
                sizes.append(llama_cpp.llama_state_seq_get_size(context, 0))
        finally:
            llama_cpp.llama_free(context)
        return max(sizes[1] - sizes[0], 1)

    def _metadata(self, key: str) -> str:
        buffer = ctypes.create_string_buffer(256)
        length = llama_cpp.llama_model_meta_val_str(self._model, key.encode(), buffer, len(buffer))
        return buffer.value.decode("utf-8", "replace") if length > 0 else ""

    def _open_context(self, path: Path, tokens: int, settings: EngineSettings) -> object:
        params = llama_cpp.llama_context_default_params()
        params.n_ctx = tokens
        params.n_batch = params.n_ubatch = min(BATCH_TOKENS, tokens)
        params.n_threads = params.n_threads_batch = settings.threads or default_threads()
        params.no_perf = True
        # Else models with sliding windows forget what a prompt that ends differently needs again.
        params.swa_full = True
        context = llama_cpp.llama_init_from_model(self._model, params)
        if not context:
            raise ModelUnavailable(
                f"llama.cpp cannot open a window of {tokens} tokens for {str(path)!r}:"
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
        token = get(self.vocabulary.pointer)
        return self.vocabulary.pieces[token].decode("utf-8", "replace") if token >= 0 else ""

    def tokenize(self, text: str, *, special: bool) -> list[int]:
        """Tokenise; with special, markers in the text become their special tokens."""
        data = text.encode("utf-8", "replace")  # lone surrogates have no UTF-8
        room = len(data) + 8
        while True:
            tokens = (llama_cpp.llama_token * room)()
            count = llama_cpp.llama_tokenize(
                self.vocabulary.pointer, data, len(data), tokens, room, False, special
            )
            if count >= 0:
                return list(tokens[:count])
            room = -count

    def tokenize_prompt(self, text: str) -> list[int]:
        """Tokenise a rendered prompt, with the token of the beginning where the model wants one."""
        tokens = self.tokenize(text, special=True)
        bos = llama_cpp.llama_vocab_bos(self.vocabulary.pointer)
        if llama_cpp.llama_vocab_get_add_bos(self.vocabulary.pointer) and tokens[:1] != [bos]:
            return [bos, *tokens]
        return tokens

    @property
    def held(self) -> Sequence[int]:
        """The tokens whose keys and values are in the context."""
        return self._held

    @property
    def rolls_back(self) -> bool:
        """Whether the last tokens held can be dropped; recurrent and hybrid models cannot."""
        model = self._model
        return not (
            llama_cpp.llama_model_is_recurrent(model) or llama_cpp.llama_model_is_hybrid(model)
        )

    @property
    def state_rolls_back(self) -> bool:
        """Whether that holds for a state that was put back; of sliding windows it has the last."""
        return self.rolls_back and not llama_cpp.llama_model_n_swa(self._model)

    @property
    def state_kind(self) -> str:
        """What, besides the model file, a saved state depends on."""
        architecture = self._metadata("general.architecture")
        original = self._metadata(f"{architecture}.rope.scaling.original_context_length")
        # Some models turn positions by other factors when the window is longer than this.
        long = original.isdecimal() and self.context_tokens > int(original)
        return f"llama-cpp-python {version('llama-cpp-python')}{' long' if long else ''}"

    def state_bytes(self) -> int:
        """Give the size of what save_state would write."""
        size: int = llama_cpp.llama_state_seq_get_size(self._context, 0)
        return size

    def save_state(self, into: npt.NDArray[np.uint8]) -> bool:
        """Write keys and values of all tokens held; False: not possible."""
        pointer = into.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8))
        return bool(llama_cpp.llama_state_seq_get_data(self._context, pointer, into.size, 0))

    def load_state(self, tokens: Sequence[int], data: npt.NDArray[np.uint8]) -> bool:
        """Hold these tokens instead, whose state save_state once wrote; False: it did not fit.

        The engine trusts the bytes: damaged ones may end the process.
        """
        self._forget_after(0)
        pointer = data.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8))
        if not llama_cpp.llama_state_seq_set_data(self._context, pointer, data.size, 0):
            self._forget_after(0)
            return False
        self._held = list(tokens)
        return True

    def prefill(self, tokens: Sequence[int]) -> int:
        """Compute a prompt, at least its last token, reusing the prefix that is held.

        Returns how many tokens were reused.

        Raises:
            Stopped: asked to stop; what was computed stays reusable.
        """
        self._forget_after(common_prefix(self._held, tokens[:-1]))
        kept = len(self._held)
        for start in range(kept, len(tokens), BATCH_TOKENS):
            self.advance(tokens[start : start + BATCH_TOKENS])
        return kept

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
        if not self._can_keep(keep) or not llama_cpp.llama_memory_seq_rm(self._memory, 0, keep, -1):
            # Recurrent and hybrid models cannot drop a tail.
            llama_cpp.llama_memory_clear(self._memory, True)
            keep = 0
        del self._held[keep:]

    def _can_keep(self, keep: int) -> bool:
        """Whether everything is still there that the token after the first `keep` looks at."""
        if keep in (0, len(self._held)):
            return True
        window: int = llama_cpp.llama_model_n_swa(self._model)
        oldest: int = llama_cpp.llama_memory_seq_pos_min(self._memory, 0)
        return oldest <= (max(keep - window + 1, 0) if window else 0) or not self.rolls_back

    def logits(self) -> npt.NDArray[np.float32]:
        """Give the (vocab_tokens,) float32 logits after the last token; valid until it advances."""
        pointer = llama_cpp.llama_get_logits_ith(self._context, -1)
        return np.ctypeslib.as_array(pointer, shape=(self.vocabulary.size,))


def default_threads() -> int:
    """Give half of the cores: on busy ones more threads are slower, they wait for each other."""
    return max((os.cpu_count() or 2) // 2, 1)
