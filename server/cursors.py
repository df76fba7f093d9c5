"""Cursors of listings: the key of the last agent on the page before."""

from memory.errors import InvalidValue

_MAX_DIGITS = 9  # of a key, which is a 32-bit integer


def key_after(cursor: str | None) -> int:
    """The key that the page before ended with; 0 for the first page.

    Raises:
        InvalidValue: the cursor is none of ours.
    """
    if cursor is None:
        return 0
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= _MAX_DIGITS):
        raise InvalidValue(f"{cursor[:40]!r} is no cursor of this list; start without one")
    return int(cursor)
