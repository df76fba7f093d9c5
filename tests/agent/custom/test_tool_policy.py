"""What a tool may use, as its author writes it."""

from typing import Any

import pytest

from agent.custom.memory_methods import METHODS
from agent.custom.tool_policy import ToolPolicy, checked_policy, read_policy
from memory.errors import InvalidValue
from sandbox.policy import MIB, Policy


def test_nothing_given_is_the_default_of_the_sandbox_and_no_grant() -> None:
    assert read_policy({}).for_sandbox() == Policy()
    assert (read_policy({}).secrets, read_policy({}).methods) == ((), ())


def test_what_is_given_is_what_the_sandbox_is_told() -> None:
    given = {"wall_s": 60, "cpu_s": 5, "memory_mb": 64, "subprocesses": True}
    policy = read_policy(given | {"network": ["api.example.com:443"]}).for_sandbox()
    assert policy == Policy(60.0, 5, 64 * MIB, True, ("api.example.com:443",))


def test_every_method_that_there_is_can_be_granted() -> None:
    assert read_policy({"methods": list(METHODS)}).methods == tuple(METHODS)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"root": True}, "a tool's policy has no 'root'; known: wall_s, cpu_s, memory_mb"),
        ({"wall_s": 301}, "wall_s of a policy cannot be '301': it should be less than"),
        ({"wall_s": 0}, "wall_s of a policy cannot be '0': it should be greater than 0"),
        ({"wall_s": float("nan")}, "wall_s of a policy cannot be 'nan'"),
        ({"wall_s": "30"}, "wall_s of a policy cannot be '30': it should be a valid number"),
        ({"memory_mb": 8}, "memory_mb of a policy cannot be '8': it should be greater"),
        ({"memory_mb": 8_192}, "memory_mb of a policy cannot be '8192'"),
        ({"cpu_s": 0}, "cpu_s of a policy cannot be '0'"),
        ({"network": ["http://example.com"]}, "is no host:port, e.g. api.example.com:443"),
        (
            {"network": ["localhost:80"]},
            "'localhost:80': it is a name of this machine; tools reach",
        ),
        ({"network": ["10.0.0.1:80"]}, "it is a private address"),
        ({"network": ["[::1]:80"]}, "it is a loopback address"),
        ({"network": ["169.254.169.254:80"]}, "it is the metadata of a cloud"),
        ({"network": [1]}, "network.0 of a policy cannot be '1': it should be a valid string"),
        ({"secrets": ["LD_PRELOAD"]}, "LD_PRELOAD would change how programs are loaded"),
        ({"secrets": ["A B"]}, "'A B' is no name of an environment variable"),
        ({"secrets": [f"A{n}" for n in range(21)]}, "at most 20 items"),
        ({"methods": ["memory.delete"]}, "methods.0 of a policy cannot be 'memory.delete'"),
        ({"subprocesses": 1}, "subprocesses of a policy cannot be '1'"),
    ],
)
def test_what_cannot_be_is_refused_with_its_value_and_what_would_work(
    given: dict[str, Any], problem: str
) -> None:
    with pytest.raises(InvalidValue) as caught:
        checked_policy(given)
    assert problem in str(caught.value)


def test_what_is_stored_is_what_was_given_and_reads_back() -> None:
    given = {"wall_s": 5, "methods": ["memory.search"], "parallel": True}
    stored = checked_policy(given)
    assert stored == {"wall_s": 5.0, "methods": ["memory.search"], "parallel": True}
    assert read_policy(stored) == ToolPolicy(wall_s=5, methods=("memory.search",), parallel=True)
