"""Deleting whole folders that programs nobody trusts have made, and may be changing still."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.package_folders import publish
from sandbox.places import remove_tree

SWAP = """
import ctypes, os, sys
swap = ctypes.CDLL(None).renameat2
one, two = map(os.fsencode, sys.argv[1:])
while True:
    swap(-100, one, -100, two, 2)
"""


def test_a_tree_deeper_than_paths_and_stacks_go_is_deleted(tmp_path: Path) -> None:
    top = tmp_path / "w"
    top.mkdir()
    here = os.open(top, os.O_RDONLY)
    for _ in range(3_000):
        os.mkdir("deeper", dir_fd=here)
        there = os.open("deeper", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = there
    os.close(here)
    remove_tree(top)
    assert not top.exists()


def test_folders_that_were_closed_are_deleted_and_what_links_lead_to_is_not(tmp_path: Path) -> None:
    top, outside = tmp_path / "w", tmp_path / "outside"
    (top / "closed/within").mkdir(parents=True)
    outside.mkdir(mode=0o755)
    (outside / "kept").touch()
    (top / "link").symlink_to(outside)
    (top / "closed").chmod(0)
    top.chmod(0)
    remove_tree(top)
    assert not top.exists()
    assert (outside / "kept").exists()
    remove_tree(top)


@pytest.mark.skipif(sys.platform != "linux", reason="renameat2")
def test_a_folder_that_becomes_a_link_meanwhile_changes_nothing_it_leads_to(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    outside.chmod(0o755)
    for attempt in range(20):
        top = tmp_path / f"w{attempt}"
        names = top / "d", top / "link"
        names[0].mkdir(parents=True)
        names[1].symlink_to(outside)
        for number in range(1_000):  # looking at it takes a while
            (names[0] / str(number)).touch()
        swapping = subprocess.Popen([sys.executable, "-I", "-S", "-c", SWAP, *map(str, names)])
        try:
            while not names[0].is_symlink():  # it has begun
                pass
            remove_tree(top)
        finally:
            swapping.kill()
            swapping.wait()
        assert oct(outside.stat().st_mode & 0o777) == "0o755"


def test_links_to_files_and_folders_are_taken_out_of_what_is_published(tmp_path: Path) -> None:
    built = tmp_path / "built"
    (built / "tea").mkdir(parents=True)
    (built / "tea/leaf.py").touch()
    (built / "file").symlink_to("/etc/passwd")
    (built / "folder").symlink_to("/etc")
    publish(built, tmp_path / "published")
    assert sorted(path.name for path in (tmp_path / "published").iterdir()) == ["tea"]
    assert Path("/etc/passwd").is_file()
    remove_tree(tmp_path / "published")
