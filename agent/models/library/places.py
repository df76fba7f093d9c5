"""Where programs keep models, by their own variables and customs. Pure; nothing looks at the disk.

Hugging Face: https://huggingface.co/docs/huggingface_hub/package_reference/environment_variables
Ollama: https://docs.ollama.com/faq#where-are-models-stored. LM Studio: ~/.lmstudio, of older
versions ~/.cache/lm-studio; its settings.json names another folder (downloadsFolder).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

OLLAMA_SERVICE: Final = Path("/usr/share/ollama/.ollama/models")
"""Where Ollama keeps them when its installer made a service of it on Linux."""


@dataclass(frozen=True, slots=True)
class Places:
    """Directories to look in; most of them are not there. own: mnemon's, None without one."""

    own: Path | None
    huggingface: Path
    lm_studio_homes: tuple[Path, ...]
    ollama: tuple[Path, ...]


def model_places(environ: Mapping[str, str], home: Path, own: Path | None) -> Places:
    """Where to look for models.

    Args:
        environ: HF_HUB_CACHE, HF_HOME, XDG_CACHE_HOME, OLLAMA_MODELS, as far as they are set.
        home: the person's directory.
        own: where mnemon keeps its own.
    """

    def named(variable: str) -> Path | None:
        value = environ.get(variable, "").strip()
        if not value:
            return None
        return home / value[2:] if value.startswith("~/") else Path(value)

    cache = named("XDG_CACHE_HOME") or home / ".cache"
    hub = (named("HF_HOME") or cache / "huggingface") / "hub"
    moved = named("OLLAMA_MODELS")
    return Places(
        own=own,
        huggingface=named("HF_HUB_CACHE") or named("HUGGINGFACE_HUB_CACHE") or hub,
        lm_studio_homes=(home / ".lmstudio", home / ".cache" / "lm-studio"),
        ollama=(moved,) if moved else (home / ".ollama" / "models", OLLAMA_SERVICE),
    )
