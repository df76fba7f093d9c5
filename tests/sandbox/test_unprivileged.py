"""Who the untrusted process is, and what it can read."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.errors import InvalidRun
from sandbox.places import SandboxPlaces, places_beside, temporary_places
from sandbox.unprivileged import NUMBERS, Child, find_child, free_number, is_mapped

WHOLE = "         0          0 4294967295\n"
ONLY_ROOT = "0 1000 1\n"
SUBUIDS = "0 1000 1\n1 100000 65536\n"


def test_it_is_never_root() -> None:
    child = find_child()
    assert child.uid != 0
    assert child.changes == (os.geteuid() == 0)
    assert child.changes or child.spawn_arguments() == {}


@pytest.mark.parametrize(
    ("uids", "taken", "expected"),
    [
        (WHOLE, set(), NUMBERS[0]),
        (SUBUIDS, {NUMBERS[0]}, NUMBERS[1]),
        (ONLY_ROOT, set(), None),
        ("", set(), None),
        (WHOLE, set(NUMBERS), None),
    ],
)
def test_roots_child_gets_a_mapped_number_that_no_account_has(
    uids: str, taken: set[int], expected: int | None
) -> None:
    assert free_number(NUMBERS, [uids, WHOLE], taken) == expected


@given(st.integers(0, 100), st.integers(0, 100), st.integers(1, 100))
def test_a_map_holds_its_numbers_and_no_others(number: int, first: int, count: int) -> None:
    assert is_mapped(number, f"{first} 5000 {count}\n") == (first <= number < first + count)


@pytest.fixture
def passable() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_a_file_below_a_closed_folder_cannot_be_read(passable: Path) -> None:
    child = Child(uid=54_321, gid=54_321, changes=True)
    folder = passable / "folder"
    folder.mkdir(mode=0o755)
    file = folder / "file"
    file.write_text("x")
    file.chmod(0o644)
    assert child.can_read(file)
    assert child.can_read(folder)
    folder.chmod(0o700)
    assert not child.can_read(file)
    folder.chmod(0o711)
    assert child.can_read(file)
    assert not child.can_read(folder)
    assert not child.can_read(folder / "missing")


def test_a_workspace_is_the_childs_alone() -> None:
    child = find_child()
    with temporary_places() as places:
        workspace = places.make_workspace("agent-1", child)
        found = workspace.stat()
        assert (found.st_uid, found.st_mode & 0o777) == (child.uid, 0o700)
        assert child.can_read(workspace)
        assert child.can_read(places.make_packages().parent / "workspaces" / "agent-1")
        assert places.make_workspace("agent-1", child) == workspace
    assert not places.root.exists()


def test_a_link_in_place_of_a_workspace_is_not_given_away(passable: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root gives folders away")
    (passable / "target").mkdir()
    (passable / "link").symlink_to(passable / "target")
    with pytest.raises(OSError, match="link"):
        find_child().give(passable / "link")
    assert (passable / "target").stat().st_uid == 0


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../x", "a\0b", "-x", "x" * 200, "ä"])
def test_a_name_that_could_lead_elsewhere_is_no_workspace(name: str) -> None:
    with pytest.raises(InvalidRun, match="cannot be the name of a workspace"):
        SandboxPlaces(Path("/data")).workspace(name)


def test_a_server_that_is_root_keeps_its_places_outside_of_its_data() -> None:
    data = Path("/root/data")
    assert places_beside(data, is_root=False).root == Path("/root/data/sandbox")
    mine, other = places_beside(data, is_root=True), places_beside(Path("/b"), is_root=True)
    assert mine.root.parent == Path("/var/lib/mnemon")
    assert mine != other
