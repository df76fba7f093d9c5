"""Numbers and tables as people read them. Pure."""

from collections.abc import Sequence


def size(count: int) -> str:
    """Bytes in the unit that fits: 2.5 GB, 310 MB, 12 kB, 64 bytes."""
    for unit, power in (("GB", 9), ("MB", 6)):
        if count >= 0.95 * 10**power:
            shown = count / 10**power
            return f"{shown:.1f} {unit}" if shown < 100 else f"{shown:.0f} {unit}"
    return f"{count / 1000:.0f} kB" if count >= 1000 else f"{count} bytes"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines with columns below each other."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (head, *rows)
    ]
