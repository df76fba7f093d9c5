"""The text of a macOS profile."""

from pathlib import Path

import pytest

from sandbox.errors import InvalidRun
from sandbox.seatbelt import profile

PYTHON = Path("/opt/py/bin/python3")


def test_everything_is_denied_but_what_was_given() -> None:
    lines = profile([Path("/opt/py")], [Path("/w")], PYTHON).splitlines()
    assert lines[:5] == [
        "(version 1)", "(deny default)", "(deny network*)", "(deny process-fork)",
        "(deny signal (target others))",
    ]  # fmt: skip
    writable = [line for line in lines if "file-write" in line]
    assert writable == [
        '(allow file-write-data (literal "/dev/null"))', '(allow file-write* (subpath "/w"))',
    ]  # fmt: skip
    assert '(allow file-read* (subpath "/opt/py"))' in lines
    assert not any("network" in line and "allow" in line for line in lines)


def test_a_folders_name_cannot_become_a_rule() -> None:
    text = profile([], [Path('/w") (allow default) ("')], PYTHON)
    assert '(subpath "/w\\") (allow default) (\\"")' in text


@pytest.mark.parametrize("path", ["relative", "/new\nline"])
def test_a_path_that_cannot_be_named_is_refused(path: str) -> None:
    with pytest.raises(InvalidRun, match="cannot be named"):
        profile([Path(path)], [], PYTHON)
