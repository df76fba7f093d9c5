"""Waiting one's turn at what another process holds for a moment.

A command has the memory open while it works, an owner is silent while it begins and ends: whoever
comes meanwhile tries again for a few seconds before it complains.
"""

import time
from collections.abc import Callable
from typing import Final, TypeVar

T = TypeVar("T")

PATIENCE_S: Final = 5.0  # far more than a command takes, and no long wait for what is stuck
_RETRY_S: Final = 0.05  # a lock that is given up sends no event


def in_turn(attempt: Callable[[], T], busy: type[Exception], patience_s: float = PATIENCE_S) -> T:
    """The attempt's result; while it raises `busy` it is made again, for so many seconds."""
    deadline = time.monotonic() + patience_s
    while True:
        try:
            return attempt()
        except busy:
            if time.monotonic() >= deadline:
                raise
        time.sleep(_RETRY_S)
