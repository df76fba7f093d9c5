"""Puts tables into a page, between the marks of each benchmark.

    <!-- bench:startup -->
    (written by `make bench`)
    <!-- /bench:startup -->

Pure functions from text to text; everything outside of the marks is a person's and stays.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.tables import as_markdown


def with_lines(page: str, lines: Sequence[Mapping[str, Any]]) -> tuple[str, list[str]]:
    """The page with these lines in their places, and the names that have no place.

    Of several lines of one benchmark the last counts.
    """
    unplaced = []
    for name, line in {line["benchmark"]: line for line in lines}.items():
        opening, closing = f"<!-- bench:{name} -->", f"<!-- /bench:{name} -->"
        place = re.compile(f"{re.escape(opening)}.*?{re.escape(closing)}", re.DOTALL)
        shown = f"{opening}\n{as_markdown(line)}\n{closing}"
        page, count = place.subn(lambda _, shown=shown: shown, page)  # type: ignore[misc]
        if not count:
            unplaced.append(name)
    return page, unplaced
