"""Any sentence-transformers model that is already on this machine.

Importing this module imports torch, which takes seconds: go through factory.py. Nothing is
fetched: the model is a folder, or a snapshot in the local cache of downloads.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from threading import Lock

import numpy as np
import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError
from sentence_transformers import SentenceTransformer
from tokenizers import Tokenizer
from transformers.utils.logging import disable_progress_bar

from memory.embedder import TextKind, Vectors
from memory.embedders.errors import EmbedderInvalid, EmbedderModelMissing
from memory.embedders.text import Offsets, split_text, without_surrogates

_IDENTITY_SUFFIXES = frozenset({".json", ".txt", ".model", ".safetensors", ".bin"})
_OTHER_RUNTIMES = frozenset({"onnx", "openvino"})

# For a model that names no limit; the positions of BERT, the usual encoder, end there.
_USUAL_MAX_TOKENS = 512
# Beyond it stands for "no limit": infinity, or the 10^30 of a tokenizer without one.
_PLAUSIBLE_MAX_TOKENS = 10**6

_PROMPT_NAMES: dict[TextKind, tuple[str, ...]] = {
    "query": ("query",),
    "passage": ("document", "passage", "corpus"),
}


class SentenceTransformerEmbedder:
    """A sentence-transformers model; its prompts for queries and passages are used if it has them.

    May be called from several threads; the calls run one after the other.
    """

    def __init__(self, name_or_path: str, bulk_threads: int = 2) -> None:
        """Load the model on the CPU.

        Args:
            name_or_path: `ORGANISATION/MODEL` in the local cache, or the path of a folder.
            bulk_threads: torch threads when several texts are embedded at once.

        Raises:
            EmbedderModelMissing: if it is neither.
            EmbedderInvalid: if the folder holds no model that sentence-transformers can load.
        """
        folder = _local_folder(name_or_path)
        label = folder.name if Path(name_or_path).is_dir() else name_or_path
        self.name = f"sentence-transformers:{label}/{_fingerprint(folder)[:12]}"
        self._model = _load(folder)
        self.dimensions = int(self._model.get_embedding_dimension())
        self._tokenizer = _tokenizer_of(self._model, folder)
        self._limit_tokens = self._passage_limit()
        self._bulk_threads = bulk_threads
        self._lock = Lock()

    def embed(self, texts: Sequence[str], kind: TextKind) -> Vectors:
        """Return (len(texts), dimensions) float32, rows of length 1, in the order of texts.

        A text in which the model sees nothing at all gives a row of zeros.
        """
        if not texts:
            return np.empty((0, self.dimensions), np.float32)
        # Two methods, not one: a model may have another network for each kind.
        encode = self._model.encode_query if kind == "query" else self._model.encode_document
        # The library changes its tokenizer's state on each call, and torch's thread count belongs
        # to the calling thread.
        with self._lock:
            torch.set_num_threads(1 if len(texts) == 1 else self._bulk_threads)
            rows = encode(
                [without_surrogates(text) for text in texts],
                prompt=_prompt(self._model, kind),
                normalize_embeddings=True,
                show_progress_bar=False,
            )
        vectors: Vectors = np.array(rows, np.float32)
        # Again, in float32: a model kept in half precision is off by a thousandth.
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        vectors /= np.maximum(lengths, np.finfo(np.float32).tiny)
        return vectors

    def split(self, text: str) -> list[str]:
        """Cut a text into pieces that fit the model with its special tokens and prompt."""
        return split_text(text, self._limit_tokens, self._word_pieces)

    def _word_pieces(self, text: str) -> Offsets:
        offsets: Offsets = self._tokenizer.encode(text, add_special_tokens=False).offsets
        return offsets

    def _passage_limit(self) -> int:
        """Return how many word pieces of a passage are left beside special tokens and prompt."""
        longest = self._model.max_seq_length
        if longest is None or longest > _PLAUSIBLE_MAX_TOKENS:
            longest = _USUAL_MAX_TOKENS
        prompt = _prompt(self._model, "passage")
        return max(1, int(longest) - len(self._tokenizer.encode(prompt).ids))


def _local_folder(name_or_path: str) -> Path:
    folder = Path(name_or_path).expanduser()
    if folder.is_dir():
        return folder.resolve()
    # The library's own short form.
    repository = name_or_path if "/" in name_or_path else f"sentence-transformers/{name_or_path}"
    try:
        return Path(snapshot_download(repository, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError):
        raise EmbedderModelMissing(name_or_path) from None


def _load(folder: Path) -> SentenceTransformer:
    if not (folder / "modules.json").is_file() and not (folder / "config.json").is_file():
        problem = "holds no sentence-transformers model (no modules.json, no config.json)"
        raise EmbedderInvalid(folder, problem, "give the folder that holds these files")
    disable_progress_bar()
    try:
        return SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        problem = f"sentence-transformers cannot load this model ({error})"
        raise EmbedderInvalid(folder, problem, "download it again, or choose another") from error


def _prompt(model: SentenceTransformer, kind: TextKind) -> str:
    """Return what the model wants before a text of this kind.

    Chosen here, since the library gives every model an empty "document", which then hides a
    "passage" that the model defines.
    """
    prompts = (model.prompts.get(name) for name in _PROMPT_NAMES[kind])
    return next((prompt for prompt in prompts if prompt), "")


def _tokenizer_of(model: SentenceTransformer, folder: Path) -> Tokenizer:
    """Return a tokenizer of our own: the model's is changed by each of its calls."""
    backend = getattr(model.tokenizer, "backend_tokenizer", model.tokenizer)
    if not isinstance(backend, Tokenizer):
        problem = "the model has no fast tokenizer, so texts cannot be cut to what it sees"
        raise EmbedderInvalid(folder, problem, "choose a model that has a tokenizer.json")
    own = Tokenizer.from_str(backend.to_str())
    own.no_truncation()
    own.no_padding()
    return own


def _fingerprint(folder: Path) -> str:
    """Hash the names and contents of weights and configuration, so that a change is noticed.

    Documentation, hidden folders and weights for other runtimes do not count.
    """
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        hidden = any(part.startswith(".") for part in inside.parts)
        if hidden or inside.parts[0] in _OTHER_RUNTIMES or path.suffix not in _IDENTITY_SUFFIXES:
            continue
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        digest.update(f"{inside.as_posix()} {content}\n".encode())
    return digest.hexdigest()
