"""Paths of blocks: `/memories/a/b` and the bare label `a/b` are the same block, for every command.

Pure. Letta writes some paths with `_` for `/` and others not, so that a block made by one command
is not found by the next.
"""

from memory.errors import InvalidValue
from memory.limits import check_label

ROOT = "/memories"


def label_of(path: str) -> str:
    """Return the label of the block at a path.

    Raises:
        InvalidValue: the path leads nowhere in /memories, or no block can have this label.
    """
    label = inside(path)
    if not label:
        raise InvalidValue(f"{path[:80]!r} names no block; give a path such as {ROOT}/human")
    return check_label(label)


def inside(path: str) -> str:
    """Return a path as it goes on behind /memories/; "" is /memories itself.

    Raises:
        InvalidValue: it leads outside, or has a part that is empty, `.` or `..`.
    """
    below = path.removeprefix(ROOT)
    if below in ("", "/") and path.startswith(ROOT):
        return ""
    if path.startswith(f"{ROOT}/"):
        below = below[1:]
    elif path.startswith("/"):
        raise InvalidValue(f"{path[:80]!r} is outside {ROOT}; give a path such as {ROOT}/human")
    else:
        below = path
    if any(part in ("", ".", "..") for part in below.split("/")):
        raise InvalidValue(
            f"{path[:80]!r} has a part that is empty, '.' or '..'; give a plain path such as"
            f" {ROOT}/human"
        )
    return below


def path_of(label: str) -> str:
    """Return the path of a block, or of a folder of blocks; that of "" is /memories."""
    return f"{ROOT}/{label}" if label else ROOT
