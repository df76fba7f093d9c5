"""The sentence beside an error that a grant would have prevented."""

import pytest

from agent.custom.missing_grants import (
    METHODS,
    NETWORK,
    SUBPROCESSES,
    missing_for_code,
    missing_grants,
)
from agent.custom.tool_policy import read_policy

NO_NAME = "URLError: <urlopen error [Errno -3] Temporary failure in name resolution> (line 8)"
FORBIDDEN = "PermissionError: [Errno 1] Operation not permitted (line 4)"
GRANTED = {"network": ["example.com:443"]}


@pytest.mark.parametrize(
    ("error", "policy", "named"),
    [
        (NO_NAME, {}, [NETWORK]),
        ("ConnectError: [Errno -3] Temporary failure in name resolution", {}, [NETWORK]),
        ("OSError: [Errno 101] Network is unreachable (line 1)", {}, [NETWORK]),
        ("URLError: <urlopen error [Errno 1] Operation not permitted>", {}, [NETWORK]),
        (NO_NAME, GRANTED, ["HTTPS_PROXY"]),
        ("OSError: 403 x.org:80 is not granted; granted: example.com:443", GRANTED, [NETWORK]),
        (FORBIDDEN, {}, [SUBPROCESSES, NETWORK]),
        (FORBIDDEN, GRANTED, [SUBPROCESSES]),
        (FORBIDDEN, {"subprocesses": True}, [NETWORK]),
        ("NameError: name 'memory' is not defined (line 3)", {}, [METHODS]),
        ("AttributeError: memory.append was not granted; there is: search", {}, [METHODS]),
    ],
)
def test_an_error_for_lack_of_a_grant_is_followed_by_what_grants_it(
    error: str, policy: dict[str, object], named: list[str]
) -> None:
    told = missing_grants(error, read_policy(policy))
    every = (METHODS, NETWORK, SUBPROCESSES, "HTTPS_PROXY")
    assert [words for words in every if words in told] == [w for w in every if w in named]


@pytest.mark.parametrize(
    ("error", "policy"),
    [
        ("ValueError: no such city (line 3)", {}),
        ("NameError: name 'memories' is not defined", {}),
        (FORBIDDEN, {"subprocesses": True, **GRANTED}),
        ("", {}),
    ],
)
def test_an_error_of_another_kind_is_left_alone(error: str, policy: dict[str, object]) -> None:
    assert missing_grants(error, read_policy(policy)) == ""
    assert missing_for_code("") == ""


def test_code_of_run_code_is_told_that_a_stored_tool_may_have_more() -> None:
    for error in (NO_NAME, FORBIDDEN, "NameError: name 'memory' is not defined"):
        assert "a stored tool may have them" in missing_for_code(error)
