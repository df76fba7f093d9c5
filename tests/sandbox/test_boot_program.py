"""The one file that the parts inside are joined to."""

import ast
import sys
from collections import Counter
from importlib import resources
from pathlib import Path

import pytest

from sandbox.errors import SandboxUnavailable
from sandbox.inside.program import boot_program, compiled_by
from sandbox.unprivileged import find_child
from tests.sandbox.boot_process import PYTHON, configuration, ready, started
from tests.sandbox.sandboxes import noting_python, open_folder


def test_no_part_hides_a_name_of_another() -> None:
    tree = ast.parse(boot_program())
    names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    for node in tree.body:
        if isinstance(node, ast.Assign):
            names += [target.id for target in node.targets if isinstance(target, ast.Name)]
    assert [name for name, times in Counter(names).items() if times > 1] == []


def test_nothing_but_the_standard_library_is_imported_and_little_of_it() -> None:
    imported = {
        name
        for node in ast.parse(boot_program()).body
        for name in (
            [each.name for each in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    cheap = {"_ast", "_ctypes", "_thread", "array", "binascii", "os", "resource", "select", "sys"}
    assert imported == cheap


def test_every_part_is_valid_in_python_3_9() -> None:
    ast.parse(boot_program(), feature_version=(3, 9))


def test_the_parts_are_packaged() -> None:
    folder = resources.files("sandbox.inside")
    assert (folder / "boot.py").is_file()


def test_compiled_for_an_interpreter_it_starts_there(tmp_path: Path) -> None:
    with started(tmp_path, boot=compiled_by(Path(PYTHON), find_child())) as boot:
        boot.send(configuration())
        assert boot.frame() is not None
        assert boot.run("def tool(): return 1").result == 1


def test_it_is_compiled_as_the_user_of_tools() -> None:
    with open_folder() as folder:
        python, users = noting_python(folder, PYTHON)
        compiled_by(python, find_child())
        assert users() == {find_child().uid}


def test_an_interpreter_that_does_not_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(SandboxUnavailable, match="no-python cannot compile"):
        compiled_by(tmp_path / "no-python", find_child())


def test_it_runs_on_the_interpreter_of_these_tests_as_well(tmp_path: Path) -> None:
    with ready(tmp_path, sys.executable) as boot:
        assert boot.run("def tool(): return 1").result == 1
