"""Ollama's models: manifests/HOST/NAMESPACE/MODEL/TAG is JSON that names layers, blobs/ has them.

The layer of the type application/vnd.ollama.image.model is the GGUF file, under its SHA-256.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from agent.models.library.candidates import Candidate, is_plain_file, sorted_entries

MODEL_LAYER: Final = "application/vnd.ollama.image.model"
MAX_MANIFEST_BYTES: Final = 1 << 20
MAX_MANIFESTS: Final = 10_000
_DIGEST: Final = re.compile(r"sha256:([0-9a-f]{64})")
_DEPTH: Final = 4  # host, namespace, model, tag
_REGISTRY, _LIBRARY = "registry.ollama.ai", "library"


def find(root: Path) -> Iterator[Candidate]:
    """The GGUF file of every model and tag."""
    for parts, manifest in _manifests(root / "manifests", ()):
        blob = _model_blob(manifest)
        if blob is not None and is_plain_file(root / "blobs" / blob):
            name = model_name(*parts)
            yield Candidate(root / "blobs" / blob, "ollama", name, name)


def model_name(host: str, namespace: str, model: str, tag: str) -> str:
    """The name that Ollama shows and takes."""
    parts = [host, namespace, model]
    if host == _REGISTRY:
        parts = [model] if namespace == _LIBRARY else [namespace, model]
    return f"{'/'.join(parts)}:{tag}"


def _manifests(
    directory: Path, above: tuple[str, ...]
) -> Iterator[tuple[tuple[str, str, str, str], Path]]:
    for entry in sorted_entries(directory, MAX_MANIFESTS):
        parts = (*above, entry.name)
        if len(parts) == _DEPTH:
            if entry.is_file():
                host, namespace, model, tag = parts
                yield (host, namespace, model, tag), Path(entry.path)
        elif entry.is_dir(follow_symlinks=False):
            yield from _manifests(Path(entry.path), parts)


def _model_blob(manifest: Path) -> str | None:
    """The name of the file in blobs; None when the manifest names none."""
    try:
        with manifest.open("rb") as file:
            content: Any = json.loads(file.read(MAX_MANIFEST_BYTES))
        for layer in content["layers"]:
            if layer["mediaType"] == MODEL_LAYER:
                digest = _DIGEST.fullmatch(layer["digest"])
                return f"sha256-{digest[1]}" if digest else None
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        pass
    return None
