"""What untrusted code may leave in its workspace to reach beyond it: nothing comes of it."""

import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.beneath import has_openat2
from sandbox.errors import FileMissing, FileRefused, WorkspaceFull
from sandbox.workspace import MAX_READ_BYTES, Workspace

SECRET = b"of the person"

FLIP = """
import ctypes, os, sys
one, two = map(os.fsencode, sys.argv[1:])
while True:
    ctypes.CDLL(None).renameat2(-100, one, -100, two, 2)
"""


@pytest.fixture(params=["openat2", "walk"])
def workspace(request: pytest.FixtureRequest, root: Path) -> Workspace:
    if request.param == "openat2" and not has_openat2():
        pytest.skip("this kernel has no openat2")
    return Workspace(root, walk=request.param == "walk")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The folder of a workspace, beside a folder with a secret."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "key").write_bytes(SECRET)
    root = tmp_path / "w"
    root.mkdir()
    return root


def refuses_everything(workspace: Workspace, path: str) -> None:
    with pytest.raises(FileRefused):
        workspace.read(path)
    with pytest.raises(FileRefused):
        workspace.write(path, b"overwritten")
    with pytest.raises(FileRefused):
        workspace.write(path, b"appended", append=True)


@pytest.mark.parametrize(
    "target", ["../outside/key", "{outside}/key", "nowhere", "/proc/self/maps"]
)
def test_a_link_in_place_of_a_file_is_not_followed(
    workspace: Workspace, root: Path, target: str
) -> None:
    (root / "a").symlink_to(target.format(outside=root.parent / "outside"))
    refuses_everything(workspace, "a")
    assert (root.parent / "outside/key").read_bytes() == SECRET
    assert not (root / "nowhere").exists()
    assert workspace.listing().entries[0].kind == "other"
    assert workspace.delete("a") == 1
    assert (root.parent / "outside/key").read_bytes() == SECRET


@pytest.mark.parametrize("target", ["../outside", "{outside}", "/proc/self/root", "/proc/self/cwd"])
def test_a_link_in_place_of_a_folder_is_not_followed(
    workspace: Workspace, root: Path, target: str
) -> None:
    (root / "d").symlink_to(target.format(outside=root.parent / "outside"))
    refuses_everything(workspace, "d/key")
    refuses_everything(workspace, "d/new")
    with pytest.raises(FileRefused):
        workspace.listing("d")
    with pytest.raises(FileRefused):
        workspace.delete("d/key")
    assert workspace.usage().entries == 1
    workspace.delete("d")
    assert [path.name for path in (root.parent / "outside").iterdir()] == ["key"]


def test_a_link_inside_the_workspace_is_not_followed_either(
    workspace: Workspace, root: Path
) -> None:
    (root / "real").write_bytes(b"x")
    (root / "a").symlink_to("real")
    refuses_everything(workspace, "a")


def test_the_folder_itself_may_be_no_link(workspace: Workspace, root: Path) -> None:
    root.rmdir()
    root.symlink_to("outside")
    with pytest.raises(FileRefused):
        workspace.read("key")
    with pytest.raises(FileRefused):
        workspace.write("new", b"x")
    with pytest.raises(FileRefused):
        workspace.delete(".")


def test_a_fifo_or_socket_holds_nobody_up(workspace: Workspace, root: Path) -> None:
    os.mkfifo(root / "fifo")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(os.path.relpath(root / "socket"))
        for name in ("fifo", "socket"):
            refuses_everything(workspace, name)
            with pytest.raises(FileRefused):
                workspace.listing(name)
    assert workspace.delete(".") == 2


def test_a_device_is_not_opened(workspace: Workspace, root: Path) -> None:
    try:
        os.mknod(root / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("only root makes devices")
    refuses_everything(workspace, "null")


def test_a_hard_link_is_not_opened(workspace: Workspace, root: Path) -> None:
    os.link(root.parent / "outside/key", root / "a")
    refuses_everything(workspace, "a")
    assert workspace.delete("a") == 1
    assert (root.parent / "outside/key").read_bytes() == SECRET


def test_a_huge_file_is_read_in_parts(workspace: Workspace, root: Path) -> None:
    with (root / "huge").open("wb") as file:
        file.truncate(1 << 40)
    part = workspace.read("huge", max_bytes=1 << 40)
    assert (len(part.data), part.size_bytes) == (MAX_READ_BYTES, 1 << 40)
    with pytest.raises(WorkspaceFull):
        workspace.write("huge", b"x", append=True)
    with pytest.raises(WorkspaceFull):
        workspace.write("another", b"x")
    workspace.write("huge", b"x")
    assert workspace.read("huge").data == b"x"


def test_too_many_files_can_be_listed_and_deleted(workspace: Workspace, root: Path) -> None:
    for number in range(10_001):
        (root / f"{number:05}").touch()
    page = workspace.listing()
    assert page.entries[0].name == "00000"
    assert len(page.entries) < 1_000
    assert workspace.listing(cursor=page.next_cursor).entries[0].name > page.entries[-1].name
    assert workspace.usage().entries == 10_001
    with pytest.raises(WorkspaceFull, match="holds more than 10000 files and folders; delete"):
        workspace.write("another", b"x")
    assert workspace.delete(".") == 10_001
    workspace.write("another", b"x")


def test_a_tree_deeper_than_any_path_can_be_counted_and_deleted(
    workspace: Workspace, root: Path
) -> None:
    here = os.open(root, os.O_RDONLY)
    for _ in range(2_000):
        os.mkdir("deeper", dir_fd=here)
        there = os.open("deeper", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = there
    os.close(here)
    assert not workspace.usage().complete
    with pytest.raises(WorkspaceFull, match="nested"):
        workspace.write("a", b"x")
    assert workspace.delete("deeper") == 2_000
    assert workspace.usage().entries == 0


def test_a_folder_that_was_closed_can_be_deleted(workspace: Workspace, root: Path) -> None:
    (root / "closed/inner").mkdir(parents=True)
    (root / "closed/inner/file").touch()
    (root / "closed/inner").chmod(0o500)
    (root / "closed").chmod(0)
    assert workspace.delete("closed") == 3


def test_names_that_are_no_unicode_are_shown_and_can_be_deleted_with_their_folder(
    workspace: Workspace, root: Path
) -> None:
    (root / "d").mkdir()
    (root / "d" / os.fsdecode(b"\xff\n\x1b[31m")).touch()
    (root / "d" / "-rf *").touch()
    shown = [entry.name for entry in workspace.listing("d").entries]
    assert shown == ["-rf *", "\\udcff\\n\\x1b[31m"]
    assert workspace.delete("d") == 3


def test_what_is_swapped_meanwhile_never_lets_anything_in_or_out(
    workspace: Workspace, root: Path, flipping: None
) -> None:
    seen: set[bytes] = set()
    for number in range(1_500):
        try:
            seen.add(workspace.read("d/key").data)
            workspace.write("d/key", b"inside", append=number % 2 == 0)
        except (FileMissing, FileRefused):
            continue
        finally:
            assert (root.parent / "outside/key").read_bytes() == SECRET
    assert not any(SECRET in data for data in seen)
    assert [path.name for path in (root.parent / "outside").iterdir()] == ["key"]


def test_a_tree_that_is_swapped_while_it_is_deleted_takes_nothing_outside_with_it(
    workspace: Workspace, root: Path, flipping: None
) -> None:
    for _ in range(500):
        try:
            workspace.delete("d")
            (root / "new").mkdir()
            (root / "new/key").touch()
            (root / "new").rename(root / "d")
        except (FileMissing, FileRefused):
            continue
        except FileExistsError:
            (root / "new/key").unlink()
            (root / "new").rmdir()
    assert (root.parent / "outside/key").read_bytes() == SECRET


@pytest.fixture
def flipping(root: Path) -> Iterator[None]:
    """`d` is a folder of the workspace now, and a link out of it then, all the time."""
    if sys.platform != "linux":
        pytest.skip("this system cannot exchange two names at once")
    (root / "d").mkdir()
    (root / "d/key").write_bytes(b"inside")
    (root / "link").symlink_to("../outside")
    names = [str(root / name) for name in ("d", "link")]
    flip = subprocess.Popen([sys.executable, "-I", "-S", "-c", FLIP, *names])
    try:
        yield
    finally:
        flip.kill()
        flip.wait()
