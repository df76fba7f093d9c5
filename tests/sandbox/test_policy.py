"""What a run may be granted, and what not."""

from typing import Any

import pytest

from sandbox.errors import InvalidRun
from sandbox.policy import Policy, checked_environment


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"wall_s": 0}, "wall_s is 0"),
        ({"wall_s": float("nan")}, "wall_s is nan"),
        ({"wall_s": 301}, "at most 300"),
        ({"cpu_s": 0}, "cpu_s is 0"),
        ({"memory_bytes": 1}, "memory_bytes is 1"),
        ({"network": ("example.com",)}, "'example.com' is no host:port"),
        ({"network": ("example.com:0",)}, "is no host:port"),
        ({"network": ("http://example.com:80",)}, "is no host:port"),
        ({"network": ("*:443",)}, "is no host:port"),
    ],
)
def test_a_limit_out_of_its_range_is_refused(given: dict[str, Any], problem: str) -> None:
    with pytest.raises(InvalidRun, match=problem.replace("*", r"\*")):
        Policy(**given)


@pytest.mark.parametrize(
    "name", ["LD_PRELOAD", "PYTHONPATH", "PATH", "HOME", "BASH_ENV", "a-b", ""]
)
def test_a_name_that_changes_how_programs_are_loaded_is_refused(name: str) -> None:
    with pytest.raises(InvalidRun):
        checked_environment({name: "x"})


def test_other_names_are_passed_on() -> None:
    assert checked_environment({"API_KEY": "s"}) == {"API_KEY": "s"}
    with pytest.raises(InvalidRun, match="the value of A holds a NUL"):
        checked_environment({"A": "\0"})
