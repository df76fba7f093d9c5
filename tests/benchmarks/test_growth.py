"""Exponents of costs."""

import pytest

from benchmarks.growth import growth


@pytest.mark.parametrize("power", [0, 0.5, 1, 2])
def test_the_power_that_costs_grow_with_is_found_between_all_sizes(power: float) -> None:
    found = growth({size: {"search": 3 * size**power} for size in (1000, 10, 100)})
    assert found == {
        "10 to 100": {"search": power},
        "100 to 1,000": {"search": power},
        "whole range": {"search": power},
    }


def test_one_size_alone_says_nothing_about_growth() -> None:
    assert growth({1000: {"search": 3.0}}) == {}
