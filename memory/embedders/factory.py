"""From a line of configuration to an embedder.

The modules of the embedders are imported here only when chosen: onnxruntime costs 0.1 s and
torch several, and a server answers before either is loaded.
"""

import importlib

from memory.embedder import Embedder
from memory.embedders.errors import EmbedderLibraryMissing, UnknownEmbedder

KNOWN_SPECS = ("minilm", "sentence-transformers:NAME_OR_PATH")

_HUB_PREFIX = "sentence-transformers:"
_HUB_LIBRARIES = ("sentence_transformers", "torch", "transformers", "huggingface_hub")


def load_embedder(spec: str = "minilm") -> Embedder:
    """Load the embedder that a specification names.

    Args:
        spec: `minilm`, the one in the package, or `sentence-transformers:NAME_OR_PATH`, a model
            in the local cache of downloads or in a folder. Nothing is fetched.

    Raises:
        UnknownEmbedder: if the specification is of neither form.
        EmbedderLibraryMissing: if sentence-transformers is asked for and not installed.
        EmbedderModelMissing: if the named model is not on this machine.
        EmbedderInvalid: if the model's files are missing, altered or do not load.
    """
    if spec == "minilm":
        minilm: Embedder = importlib.import_module("memory.embedders.minilm").MiniLM()
        return minilm
    name_or_path = spec.removeprefix(_HUB_PREFIX)
    if name_or_path in (spec, ""):
        raise UnknownEmbedder(spec, KNOWN_SPECS)
    try:
        module = importlib.import_module("memory.embedders.hub_model")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _HUB_LIBRARIES:
            raise
        install = 'pip install "mnemon[sentence-transformers]"'
        raise EmbedderLibraryMissing(spec, "sentence-transformers", install) from error
    hub_model: Embedder = module.SentenceTransformerEmbedder(name_or_path)
    return hub_model
