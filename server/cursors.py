"""Cursors of listings: where the page before ended, by keys that never change."""

from typing import Final

from memory.errors import InvalidValue

_MAX_DIGITS: Final = 9  # of a key, which is a 32-bit integer


def key_after(cursor: str | None) -> int:
    """The key of the last agent on the page before; 0 for the first page.

    Raises:
        InvalidValue: the cursor is none of ours.
    """
    return 0 if cursor is None else _number(cursor, cursor)


def place_in(cursor: str | None) -> tuple[int, int]:
    """The key of an agent, and how many of its parts were on the page before.

    Raises:
        InvalidValue: the cursor is none of ours.
    """
    if cursor is None:
        return 0, 0
    key, _, parts = cursor.partition(".")
    return _number(key, cursor), _number(parts, cursor)


def _number(digits: str, cursor: str) -> int:
    if not (digits.isascii() and digits.isdigit() and len(digits) <= _MAX_DIGITS):
        raise InvalidValue(f"{cursor[:40]!r} is no cursor of this list; start without one")
    return int(digits)
