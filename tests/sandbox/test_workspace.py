"""The files of a workspace, as a server uses them beside untrusted code."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.beneath import has_openat2
from sandbox.errors import FileMissing, FileRefused, WorkspaceFull
from sandbox.workspace import Workspace
from sandbox.workspace_paths import names_of, shown_name
from sandbox.workspace_records import WorkspaceLimits

Make = Callable[..., Workspace]


@pytest.fixture(params=["openat2", "walk"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    """Makes the workspace at tmp_path/w, with either way to open files."""
    if request.param == "openat2" and not has_openat2():
        pytest.skip("this kernel has no openat2")

    def made(**arguments: object) -> Workspace:
        return Workspace(tmp_path / "w", walk=request.param == "walk", **arguments)  # type: ignore[arg-type]

    return made


def test_what_is_written_is_read_and_listed(make: Make) -> None:
    workspace = make()
    assert workspace.listing().entries == ()
    assert workspace.write("notes/a.txt", b"Ada") == 3
    assert workspace.write("notes/a.txt", b" Lovelace", append=True) == 12
    assert workspace.write(".hidden", b"") == 0
    part = workspace.read("notes/a.txt", offset=4, max_bytes=4)
    assert (part.data, part.offset, part.size_bytes) == (b"Love", 4, 12)
    assert [(e.name, e.kind, e.size_bytes) for e in workspace.listing().entries] == [
        (".hidden", "file", 0),
        ("notes", "folder", 0),
    ]
    assert [e.name for e in workspace.listing("./notes/").entries] == ["a.txt"]
    assert workspace.usage().entries == 3


def test_a_listing_goes_on_where_the_page_before_ended(make: Make) -> None:
    workspace = make()
    for name in "edcba":
        workspace.write(name, b"")
    first = workspace.listing(limit=2)
    second = workspace.listing(cursor=first.next_cursor, limit=3)
    assert [e.name for e in first.entries + second.entries] == list("abcde")
    assert second.next_cursor is None
    with pytest.raises(FileRefused, match="no cursor"):
        workspace.listing(cursor="not one")


def test_what_is_deleted_is_gone(make: Make) -> None:
    workspace = make()
    workspace.write("a/b/c", b"1")
    workspace.write("a/d", b"2")
    assert workspace.delete("a") == 4
    with pytest.raises(FileMissing, match="listing"):
        workspace.delete("a")
    workspace.write("x", b"")
    workspace.write("y", b"")
    with pytest.raises(FileRefused, match="everything"):
        workspace.delete("")
    assert workspace.delete(".") == 2
    assert workspace.usage().entries == 0


def test_a_write_leaves_the_old_file_or_the_new_one_and_nothing_else(make: Make) -> None:
    workspace = make(limits=WorkspaceLimits(total_bytes=20_000, entries=3, file_bytes=10))
    workspace.write("a", b"12345")
    for data, append in ((b"x" * 11, False), (b"x" * 6, True)):
        with pytest.raises(WorkspaceFull, match="at most 10 bytes, not 11; make several"):
            workspace.write("a", data, append)
    assert workspace.read("a").data == b"12345"
    assert [e.name for e in workspace.listing().entries] == ["a"]


def test_a_workspace_grows_up_to_its_limits(make: Make) -> None:
    workspace = make(limits=WorkspaceLimits(total_bytes=100_000, entries=4))
    workspace.write("a", b"x" * 50_000)
    with pytest.raises(WorkspaceFull, match=r"of 100000 bytes; delete .*workspace_delete"):
        workspace.write("b", b"x" * 50_000)
    workspace.write("a", b"x" * 90_000)
    with pytest.raises(WorkspaceFull, match="files and folders"):
        workspace.write("1/2/3/4", b"")
    assert workspace.usage().entries == 1
    workspace.write("1/2/3", b"")
    workspace.write("1/2/3", b"once more")


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/etc/passwd", "absolute"),
        ("../secret", "goes up"),
        ("a/../../secret", "goes up"),
        ("a\0b", "NUL"),
        ("\ud800", "Unicode"),
        ("x" * 256, "255 bytes"),
        ("é" * 128, "255 bytes"),
        ("x/" * 400 + "x", "nested"),
        ("x" * 2_000, "1024"),
        ("", "names no file"),
        (".", "names no file"),
        ("a/", "names no file"),
    ],
)
def test_a_path_that_cannot_be_is_refused(make: Make, path: str, why: str) -> None:
    workspace = make()
    for act in (workspace.read, lambda p: workspace.write(p, b"x")):
        with pytest.raises(FileRefused, match=why):
            act(path)
    assert workspace.listing().entries == ()


@given(st.text(max_size=40))
def test_a_path_leads_to_plain_names_or_nowhere(path: str) -> None:
    try:
        names = names_of(path)
    except FileRefused:
        return
    assert all(name not in ("", ".", "..") and "/" not in name for name in names)


@given(st.binary(min_size=1, max_size=30))
def test_a_name_of_any_bytes_can_be_shown(name: bytes) -> None:
    shown = shown_name(os.fsdecode(name))
    assert shown.encode().decode().isprintable()


def test_a_folder_is_no_file_and_a_file_no_folder(make: Make) -> None:
    workspace = make()
    workspace.write("folder/file", b"x")
    with pytest.raises(FileRefused, match="is a folder"):
        workspace.read("folder")
    with pytest.raises(FileRefused, match="is a folder"):
        workspace.write("folder", b"x")
    for act in (workspace.listing, workspace.read):
        with pytest.raises(FileRefused, match="no folder"):
            act("folder/file/deeper") if act == workspace.read else act("folder/file")
    with pytest.raises(FileRefused, match="no folder"):
        workspace.write("folder/file/deeper", b"x")


def test_files_belong_to_the_user_of_the_sandbox(make: Make, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root gives files away")
    workspace = make(owner=(65_534, 65_533))
    workspace.write("new/a", b"x")
    workspace.write("new/a", b"y", append=True)
    for path in ("w", "w/new", "w/new/a"):
        status = (tmp_path / path).stat()
        assert (status.st_uid, status.st_gid) == (65_534, 65_533)
    assert workspace.read("new/a").data == b"xy"
    (tmp_path / "w" / "roots").write_text("secret")
    with pytest.raises(FileRefused, match="another user"):
        workspace.read("roots")


def test_files_are_private_to_their_owner(make: Make, tmp_path: Path) -> None:
    make().write("a/b", b"x")
    assert stat.S_IMODE((tmp_path / "w/a/b").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "w/a").stat().st_mode) == 0o700
