"""Cheap checks before a worker is started: is an engine installed, is this a GGUF file?

They catch what users get wrong most, with words a bare load failure does not have. Damage deeper in
the file is found by the engine; see engine.py.
"""

import importlib.util
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from agent.errors import ModelError, ModelFileInvalid, ModelUnavailable

Engine = Literal["llama-cpp", "xllamacpp"]
EngineChoice = Literal["auto", "llama-cpp", "xllamacpp"]
# In the order in which `auto` takes them: the first is faster at long prompts, compiled for the
# very machine; the second needs no compiler.
ENGINE_MODULES: dict[Engine, tuple[str, ...]] = {
    "llama-cpp": ("llama_cpp", "llguidance", "jinja2", "numpy"),
    "xllamacpp": ("xllamacpp", "llguidance", "jinja2"),
}
_EXTRAS: dict[Engine, str] = {"llama-cpp": "local", "xllamacpp": "xllamacpp"}
_DAMAGE = ("corrupted", "incomplete", "file bounds", "failed to read", "gguf_init", "magic", "eof")
_HEADER = struct.Struct("<4sIQQ")  # magic, version, number of tensors, number of metadata entries


def choose_engine(choice: EngineChoice) -> Engine:
    """Give the engine that is installed, or the one asked for. Finds modules, imports none.

    Raises:
        ModelUnavailable: names what is missing and how to install it.
    """
    wanted: list[Engine] = list(ENGINE_MODULES) if choice == "auto" else [choice]
    lacking = {engine: _missing(ENGINE_MODULES[engine]) for engine in wanted}
    for engine, missing in lacking.items():
        if not missing:
            return engine
    first, *others = wanted
    other = f'; without a compiler: pip install "mnemon[{_EXTRAS[others[0]]}]"' if others else ""
    raise ModelUnavailable(
        f"local models need {', '.join(lacking[first])}, not installed here;"
        f' install them with: pip install "mnemon[{_EXTRAS[first]}]"{other}'
    )


def _missing(modules: Sequence[str]) -> list[str]:
    return [name for name in modules if importlib.util.find_spec(name) is None]


def load_error(path: Path, reasons: str) -> ModelError:
    """Tell from what llama.cpp logged whether the file is damaged or only cannot be loaded."""
    if any(word in reasons.lower() for word in _DAMAGE):
        return ModelFileInvalid(path, f"is damaged or incomplete ({reasons})")
    return ModelUnavailable(f"llama.cpp cannot load {str(path)!r}: {reasons}")


def check_model_file(path: Path) -> None:
    """Refuse a path that is not the start of a GGUF file.

    Raises:
        ModelFileInvalid: missing, a directory, unreadable, empty, of another format, or cut off
            within its header.
    """
    try:
        if path.is_dir():
            raise ModelFileInvalid(path, "is a directory")
        with path.open("rb") as file:
            header = file.read(_HEADER.size)
    except FileNotFoundError:
        raise ModelFileInvalid(path, "does not exist") from None
    except OSError as error:
        raise ModelFileInvalid(path, f"cannot be read ({error.strerror})") from error
    if not header:
        raise ModelFileInvalid(path, "is empty")
    if header[:4] != b"GGUF":
        raise ModelFileInvalid(path, "is not a GGUF file (its first bytes are not 'GGUF')")
    if len(header) < _HEADER.size:
        raise ModelFileInvalid(path, "is cut off within its header")
