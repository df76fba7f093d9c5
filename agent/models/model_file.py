"""Cheap checks before a worker is started: is the engine installed, is this a GGUF file?

They catch what users get wrong most, with words a bare load failure does not have. Damage deeper in
the file is found by the engine; see engine.py.
"""

import importlib.util
import struct
from collections.abc import Sequence
from pathlib import Path

from agent.errors import ModelFileInvalid, ModelUnavailable

ENGINE_MODULES = ("llama_cpp", "llguidance", "jinja2", "numpy")
_HEADER = struct.Struct("<4sIQQ")  # magic, version, number of tensors, number of metadata entries


def require_engine(modules: Sequence[str] = ENGINE_MODULES) -> None:
    """Refuse when a module of the extra `local` is missing. Finds modules, imports none.

    Raises:
        ModelUnavailable: names what is missing and how to install it.
    """
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        raise ModelUnavailable(
            f"local models need {', '.join(missing)}, not installed here;"
            ' install them with: pip install "mnemon[local]"'
        )


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
