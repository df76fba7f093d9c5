"""The text of a macOS profile."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.errors import InvalidRun
from sandbox.seatbelt_profile import profile

PYTHON = Path("/opt/py/bin/python3")


def test_everything_is_denied_but_what_was_given() -> None:
    lines = profile([Path("/opt/py")], [Path("/w")], [PYTHON]).splitlines()
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
    assert [line for line in lines if "process-exec" in line] == [
        f'(allow process-exec (literal "{PYTHON}"))'
    ]


def test_no_rule_shows_what_other_processes_were_started_with() -> None:
    lines = profile([], [], [PYTHON]).splitlines()
    facts = [line for line in lines if "sysctl" in line]
    assert facts and all("sysctl-name" in line for line in facts)
    assert not any("procargs" in line for line in lines)


def test_a_folders_name_cannot_become_a_rule() -> None:
    text = profile([], [Path('/w") (allow default) ("')], [PYTHON])
    assert '(subpath "/w\\") (allow default) (\\"")' in text


@pytest.mark.parametrize("path", ["relative", "/new\nline", "/rub\x7fout"])
def test_a_path_that_cannot_be_named_is_refused(path: str) -> None:
    with pytest.raises(InvalidRun, match="cannot be named"):
        profile([Path(path)], [], [PYTHON])


@given(st.text(min_size=1))
def test_whatever_a_folder_is_called_the_rules_keep_their_number_and_shape(name: str) -> None:
    try:
        text = profile([Path("/", name)], [], [PYTHON])
    except InvalidRun:
        return
    plain = profile([Path("/x")], [], [PYTHON])
    assert _outside_of_quotes(text) == _outside_of_quotes(plain)


def _outside_of_quotes(text: str) -> str:
    return re.sub(r'"(?:[^"\\]|\\.)*"', '""', text)
