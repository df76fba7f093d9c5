"""What a model file is, by its header: pure, from gguf.Header to ModelFacts."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from agent.models.library.gguf import Header, Value

Kind = Literal["chat", "base", "embedding", "projector", "adapter"]
"""chat: has a chat template. base: has none. The others are no models to talk to."""

QUANTISATION: Final = re.compile(
    r"(?:^|[-_.])((?:UD-)?(?:I?Q[1-8](?:_[0-9A-Z]+)*|TQ[12]_0|BF16|F16|F32|FP16|MXFP4(?:_MOE)?|NVFP4))"
    r"(?=$|[-_.])",
    re.IGNORECASE,
)
"""A quantisation within a file name, as publishers write it."""

_FILE_TYPES: Final = dict(
    enumerate(
        "F32 F16 Q4_0 Q4_1 . . . Q8_0 Q5_0 Q5_1 Q2_K Q3_K_S Q3_K_M Q3_K_L Q4_K_S Q4_K_M Q5_K_S"
        " Q5_K_M Q6_K IQ2_XXS IQ2_XS Q2_K_S IQ3_XS IQ3_XXS IQ1_S IQ4_NL IQ3_S IQ3_M IQ2_S IQ2_M"
        " IQ4_XS IQ1_M BF16 . . . TQ1_0 TQ2_0 MXFP4 NVFP4 Q1_0 Q2_0".split()
    )
)  # llama.h, enum llama_ftype
_ENCODERS: Final = {
    "bert", "distilbert", "eurobert", "gemma-embedding", "jina-bert-v2", "jina-bert-v3",
    "modern-bert", "neo-bert", "nomic-bert", "nomic-bert-moe", "roberta", "t5encoder",
}  # fmt: skip
_SHOWN_CHARS: Final = 80


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What a model is.

    parameters: how many weights it has. trained_tokens: the longest window it was trained for.
    kv_bytes_per_token: of the key-value cache at 16 bits, at most. knows_tools: its chat template
    speaks of tools. digest: stands for all that the header says.
    """

    kind: Kind
    architecture: str
    title: str
    parameters: int
    quantisation: str
    trained_tokens: int | None
    kv_bytes_per_token: int
    knows_tools: bool
    licence: str
    digest: str


def facts_of(headers: Sequence[Header], stem: str) -> ModelFacts:
    """Say what a model is.

    Args:
        headers: of its files, the first part first; the others add weights only.
        stem: of its file name, for what the header leaves out.
    """
    metadata = headers[0].metadata
    architecture = _text(metadata, "general.architecture") or "unknown"
    template = metadata.get("tokenizer.chat_template")
    digests = "".join(header.digest for header in headers)
    return ModelFacts(
        kind=_kind(metadata, architecture, stem),
        architecture=architecture,
        title=_text(metadata, "general.name") or stem,
        parameters=sum(header.weights for header in headers),
        quantisation=_quantisation(metadata, stem),
        trained_tokens=_count(metadata, f"{architecture}.context_length"),
        kv_bytes_per_token=_kv_bytes(metadata, architecture),
        knows_tools=isinstance(template, str) and "tools" in template,
        licence=_text(metadata, "general.license"),
        digest=hashlib.sha256(digests.encode()).hexdigest(),
    )


def shown(text: str, most: int = _SHOWN_CHARS) -> str:
    """A text out of a file as a terminal may have it: one line, no control characters."""
    cut = text if len(text) <= most else text[: most - 1] + "…"
    return "".join(letter if letter.isprintable() else "�" for letter in cut)


def _kind(metadata: Mapping[str, Value], architecture: str, stem: str) -> Kind:
    declared = metadata.get("general.type")
    if architecture == "clip" or declared == "mmproj" or stem.lower().startswith("mmproj"):
        return "projector"
    if declared in ("adapter", "vocab", "imatrix"):
        return "adapter"
    if architecture in _ENCODERS or _count(metadata, f"{architecture}.pooling_type"):
        return "embedding"
    return "chat" if metadata.get("tokenizer.chat_template") else "base"


def _quantisation(metadata: Mapping[str, Value], stem: str) -> str:
    # The name first: publishers mix types in ways that the number in the file has no name for.
    named = quantisation_in(stem)
    number = metadata.get("general.file_type")
    known = _FILE_TYPES.get(number, "") if isinstance(number, int) else ""
    return named or known.strip(".") or "unknown"


def quantisation_in(stem: str) -> str:
    """The quantisation that a file name ends with, in capitals; empty when it says none."""
    found = QUANTISATION.findall(stem)
    return str(found[-1]).upper() if found else ""


def _kv_bytes(metadata: Mapping[str, Value], architecture: str) -> int:
    """Bytes of keys and values per token, two for each number.

    Where only some layers see the whole window (sliding windows) this is more than is used.
    """

    def count(name: str) -> int:
        return _count(metadata, f"{architecture}.{name}") or 0

    layers = count("block_count")
    heads = metadata.get(f"{architecture}.attention.head_count_kv")
    if isinstance(heads, tuple):
        kv_heads = sum(number for number in heads if isinstance(number, int) and number > 0)
    else:
        # Hybrid models have attention in one layer of so many; the others keep a state instead.
        attending = layers // max(count("full_attention_interval"), 1)
        kv_heads = attending * (count("attention.head_count_kv") or count("attention.head_count"))
    head_size = count("embedding_length") // max(count("attention.head_count"), 1)
    keys = count("attention.key_length") or head_size
    values = count("attention.value_length") or head_size
    return 2 * kv_heads * (keys + values)


def _text(metadata: Mapping[str, Value], key: str) -> str:
    value = metadata.get(key)
    return shown(value) if isinstance(value, str) else ""


def _count(metadata: Mapping[str, Value], key: str) -> int | None:
    """A number that stands for itself or, in an array by layers, for the largest of them."""
    value = metadata.get(key)
    if isinstance(value, tuple):
        value = max((number for number in value if isinstance(number, int)), default=0)
    if isinstance(value, int) and value > 0:
        return int(value)
    return None
