"""The embedder in the package: all-MiniLM-L6-v2, int8, on onnxruntime.

Importing this module imports onnxruntime: go through factory.py, which does it late.
The weights lie beside it and are made by scripts/export_minilm.py; pooling and the norm are
inside the graph. Not here: cutting long texts (text.py).
"""

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

# Before the import, which itself writes an id and a queue of events into the home directory and
# sends them: onnxruntime's builds report to their maker unless this is set.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime
from tokenizers import Tokenizer

from memory.embedder import TextKind, Vectors
from memory.embedders.errors import EmbedderInvalid
from memory.embedders.text import Offsets, split_text, without_surrogates

MODEL_FOLDER = Path(__file__).parent / "all-MiniLM-L6-v2-int8"
MODEL_SHA256 = "727f67cf0a6fb4c0d725cc42a0f59f489254fb75e17c49cdef0233e33ff8e0fc"
TOKENIZER_SHA256 = "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"

MAX_TOKENS = 256
"""What the model was trained to read, with [CLS] and [SEP]; its own configuration says so."""

_ERRORS_ONLY = 3


class MiniLM:
    """English sentences to 384 dimensions; queries and passages are treated alike.

    The vector of a text depends on nothing but the text: not on its neighbours in the call, nor
    on threads. May be called from several threads.
    """

    name = f"all-MiniLM-L6-v2/int8/mean/{MAX_TOKENS}/{MODEL_SHA256[:12]}"
    dimensions = 384

    def __init__(self, folder: Path = MODEL_FOLDER, bulk_threads: int = 2) -> None:
        """Read and check the model.

        Args:
            folder: holds model.onnx and tokenizer.json.
            bulk_threads: used when several texts are embedded at once. Two: 1.9 times the rate of
                one; further cores are left to the language model.

        Raises:
            EmbedderInvalid: if a file is missing or is not the one this version was made with.
        """
        # One tokenizer without truncation serves `split` too: truncation is state inside it.
        self._tokenizer = Tokenizer.from_buffer(
            _checked(folder / "tokenizer.json", TOKENIZER_SHA256)
        )
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._first = self._tokenizer.token_to_id("[CLS]")
        self._last = self._tokenizer.token_to_id("[SEP]")
        self._session = _session(_checked(folder / "model.onnx", MODEL_SHA256))
        self._bulk_threads = bulk_threads

    def embed(self, texts: Sequence[str], kind: TextKind) -> Vectors:
        """Return (len(texts), 384) float32, rows of length 1, in the order of texts.

        What lies beyond MAX_TOKENS of a text is not seen: `split` first.
        """
        if len(texts) == 1 or self._bulk_threads == 1:
            rows = [self._vector(text) for text in texts]
        else:
            with ThreadPoolExecutor(self._bulk_threads, "minilm") as pool:
                rows = list(pool.map(self._vector, texts))
        return np.array(rows, np.float32).reshape(len(texts), self.dimensions)

    def split(self, text: str) -> list[str]:
        """Cut a text into pieces of at most MAX_TOKENS, special tokens counted."""
        return split_text(text, MAX_TOKENS - 2, self._word_pieces)

    def _vector(self, text: str) -> Vectors:
        """Return (384,) for one text.

        One text per run, on purpose: the graph scales its activations to the largest of the
        whole batch, so in a batch a vector would depend on its neighbours (cosine 0.98 to
        itself alone). It costs nothing: without padding, one at a time is as fast.
        """
        pieces = self._tokenizer.encode(without_surrogates(text), add_special_tokens=False).ids
        tokens = np.array([[self._first, *pieces[: MAX_TOKENS - 2], self._last]], np.int64)
        feeds = {"input_ids": tokens, "attention_mask": np.ones_like(tokens)}
        vector: Vectors = self._session.run(["sentence_vector"], feeds)[0][0]
        return vector

    def _word_pieces(self, text: str) -> Offsets:
        offsets: Offsets = self._tokenizer.encode(text, add_special_tokens=False).offsets
        return offsets


def _session(model: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    # More threads inside one text gain little, and lose much when other work shares the cores.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _checked(path: Path, sha256: str) -> bytes:
    """Return the bytes of a file that has this hash."""
    remedy = "install mnemon again"
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise EmbedderInvalid(path, "this file of the packaged model is missing", remedy) from None
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        problem = f"this file of the packaged model was altered (sha256 {found}, not {sha256})"
        raise EmbedderInvalid(path, problem, remedy)
    return content
