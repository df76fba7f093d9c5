"""Which Python runs tools."""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.errors import SandboxUnavailable
from sandbox.interpreter import Interpreter, ask, candidates, find_interpreter, refusal
from sandbox.unprivileged import Child, find_child

SYSTEM_LIBRARY = Path("/usr/lib")


def test_the_childs_own_user_can_run_what_is_found() -> None:
    child = find_child()
    found = find_interpreter(child)
    assert child.can_read(found.path)
    assert found.version >= (3, 9)
    assert found.path == found.path.resolve()


def test_the_servers_own_interpreter_comes_first() -> None:
    first = next(candidates())
    assert first.resolve() == Path(sys.executable).resolve()


@pytest.fixture
def closed() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        program = Path(name, "python3")
        program.write_text("#!/bin/sh\necho never\n")
        program.chmod(0o755)
        Path(name).chmod(0o700)
        yield program


def test_a_python_that_the_child_cannot_reach_is_refused_by_name(closed: Path) -> None:
    child = Child(uid=54_321, gid=54_321, changes=True)
    with pytest.raises(SandboxUnavailable, match="user 54321 cannot read it") as refused:
        find_interpreter(child, closed)
    assert str(closed) in refused.value.cause
    assert "sandbox_python" in refused.value.cure


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("python3", "not an absolute path"),
        ("/nowhere/python3", "cannot read it"),
        ("/bin/true", "it does not start"),
        ("/bin/false", "it does not start"),
    ],
)
def test_what_is_no_python_is_refused(name: str, why: str) -> None:
    answer = ask(Path(name), find_child())
    assert isinstance(answer, str)
    assert why in answer


@pytest.mark.parametrize(
    ("prefix", "version", "why"),
    [
        ("/usr", (3, 8, 0), "it is Python 3.8.0"),
        ("/", (3, 12, 0), "holds more than Python"),
        ("/opt", (3, 12, 0), "holds more than Python"),
    ],
)
def test_an_old_python_or_one_with_a_strange_folder_is_refused(
    prefix: str, version: tuple[int, int, int], why: str
) -> None:
    found = Interpreter(Path("/usr/bin/python3"), Path(prefix), version, b"")
    library = next(SYSTEM_LIBRARY.glob("python3.*/os.py")).parent
    answer = refusal(found, library, find_child())
    assert why in answer


def test_a_system_python_needs_no_mount_of_its_own() -> None:
    system = Interpreter(Path("/usr/bin/python3"), Path("/usr"), (3, 12, 0), b"")
    other = Interpreter(Path("/opt/py/bin/python3"), Path("/opt/py"), (3, 12, 0), b"")
    assert system.mounts == ()
    assert other.mounts == (Path("/opt/py"),)
