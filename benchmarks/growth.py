"""How costs grow with size: the exponent e of cost = constant * size^e, from one size to the next.

0: the size makes no difference; 1: twice the size, twice the cost; 2: quadratic.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from itertools import pairwise

WHOLE = "whole range"


def growth(costs: Mapping[int, Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """Exponents of every cost between neighbouring sizes and, fitted to all, of the whole range.

    costs: by size, then by name; the same names at every size.
    """
    sizes = sorted(costs)
    spans: dict[str, Sequence[int]] = {
        f"{low:,} to {high:,}": (low, high) for low, high in pairwise(sizes)
    }
    if len(sizes) > 2:
        spans[WHOLE] = sizes
    return {
        span: {name: exponent(within, [costs[n][name] for n in within]) for name in costs[sizes[0]]}
        for span, within in spans.items()
    }


def exponent(sizes: Sequence[int], costs: Sequence[float]) -> float:
    """The slope of the costs by the sizes, both logarithmic."""
    slope = statistics.linear_regression([*map(math.log, sizes)], [*map(math.log, costs)]).slope
    return round(slope, 2)
