"""Telling a model's name from a path, before anything looks at the disk. Pure and light."""

from pathlib import Path


def is_path(text: str) -> bool:
    """Whether a text can only be meant as a path."""
    return text.startswith(("/", "./", "../", "~", ".\\", "..\\")) or Path(text).is_absolute()


def is_name(text: str) -> bool:
    """Whether a text where a path may stand as well, such as the setting `model`, is a name.

    A path that is relative and does not end in .gguf is written with ./ before it.
    """
    return bool(text) and not is_path(text) and not text.lower().endswith(".gguf")
