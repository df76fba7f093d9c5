"""One run of an installer, as who waits for it is told of it."""

import os
import sys
from pathlib import Path

import pytest

from sandbox.errors import PackagesUnavailable
from sandbox.install_process import Bounds, Installation, install
from sandbox.places import remove_tree
from sandbox.unprivileged import Child, find_child
from tests.sandbox.sandboxes import open_folder, tool_python

THIS_USER = Child(os.geteuid(), os.getegid(), changes=False)

SAYS = "print('Looking in https://me:hush@index.example/simple, http://token@other.example')"


async def test_passwords_of_an_index_are_told_to_nobody(tmp_path: Path) -> None:
    told: list[str] = []
    command = [sys.executable, "-I", "-S", "-c", SAYS]
    installation = Installation("resolving", command, [tmp_path], {}, THIS_USER)
    code, lines = await install(installation, Bounds(20, 1_000_000, 100), told.append)
    assert (code, lines) == (0, told)
    assert told == ["Looking in https://***@index.example/simple, http://***@other.example"]


async def test_it_is_run_by_the_user_of_tools() -> None:
    says = "import os; print(os.getresuid(), os.getresgid(), os.getgroups())"
    child, told = find_child(), list[str]()
    with open_folder() as folder:
        command = [str(tool_python().path), "-I", "-S", "-c", says]
        installation = Installation("resolving", command, [folder], {}, child)
        await install(installation, Bounds(20, 1_000_000, 100), told.append)
    groups = [] if child.changes else os.getgroups()
    assert told == [f"{(child.uid,) * 3} {(child.gid,) * 3} {groups}"]


async def test_a_tree_of_any_depth_is_counted(tmp_path: Path) -> None:
    makes = "import os\nfor _ in range(1_500): os.mkdir('d'); os.chdir('d')\ninput()"
    command = [sys.executable, "-I", "-S", "-c", makes]
    tree = tmp_path / "tree"
    tree.mkdir()
    installation = Installation("installing", command, [tree], {}, THIS_USER)
    with pytest.raises(PackagesUnavailable, match="more than 1200 files"):
        await install(installation, Bounds(20, 10**9, 1_200), lambda _: None)
    remove_tree(tree)
    assert not tree.exists()
