"""Models worth getting, by the memory of the machine, with short names to pull them by.

Sizes are of the files, in GB; memory_gb is the machine's, with room for a window of 8192 tokens
and for other programs. Tool scores: 40 cases each, third party, jdhodges.com, March 2026. A hybrid
model answers well but computes its whole prompt again after any change of it; where the first token
should come soon, take one with attention only.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Recommended:
    """A model, its repository on the Hugging Face hub, and what it is good for."""

    name: str
    repository: str
    quantisation: str
    size_gb: float
    memory_gb: int
    licence: str
    why: str


SOURCE: Final = "tool calls right of 40: jdhodges.com, 2026-03"

RECOMMENDED: Final = (
    Recommended(
        "qwen3-4b",
        "unsloth/Qwen3-4B-Instruct-2507-GGUF",
        "Q4_K_M",
        2.5,
        8,
        "Apache-2.0",
        "attention only: keeps what it computed, so answers come soonest",
    ),
    Recommended(
        "qwen3.5-4b",
        "unsloth/Qwen3.5-4B-GGUF",
        "Q4_K_M",
        3.4,
        8,
        "Apache-2.0",
        "97.5 % of tool calls right; hybrid: long prompts start slowly",
    ),
    Recommended(
        "qwen3-8b",
        "Qwen/Qwen3-8B-GGUF",
        "Q4_K_M",
        5.0,
        16,
        "Apache-2.0",
        "85 % of tool calls right; attention only",
    ),
    Recommended(
        "qwen3.5-9b",
        "unsloth/Qwen3.5-9B-GGUF",
        "Q4_K_M",
        5.7,
        16,
        "Apache-2.0",
        "the larger one of its family; hybrid",
    ),
    Recommended(
        "mistral-nemo",
        "bartowski/Mistral-Nemo-Instruct-2407-GGUF",
        "Q4_K_M",
        7.5,
        16,
        "Apache-2.0",
        "92.5 % of tool calls right; attention only",
    ),
    Recommended(
        "gpt-oss-20b",
        "ggml-org/gpt-oss-20b-GGUF",
        "MXFP4",
        12.0,
        24,
        "Apache-2.0",
        "85 % of tool calls right; needs its thinking switched on",
    ),
)

BY_NAME: Final = {model.name: model for model in RECOMMENDED}


def recommended_for(memory_bytes: int | None) -> tuple[Recommended, ...]:
    """Those that run well in so much memory; the smallest when none does, all when nobody knows."""
    if memory_bytes is None:
        return RECOMMENDED
    # A machine sold with 8 GB says 7.6: what its devices hold back is missing.
    memory_gb = memory_bytes / 1e9 * 1.1
    fitting = tuple(model for model in RECOMMENDED if model.memory_gb <= memory_gb)
    return fitting or RECOMMENDED[:1]
