"""Packages of tools: what is installed is what was locked, and nothing runs on the way."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import anyio
import pytest

from sandbox.errors import InvalidRequirements, PackagesUnavailable
from sandbox.installers import Installer, find_installer
from sandbox.interpreter import ToolPython
from sandbox.package_folders import PackageFolders, PackageLimits, collect
from sandbox.requirements import make_lock
from sandbox.unprivileged import find_child
from tests.sandbox.sandboxes import noting_python, open_folder, tool_python
from tests.sandbox.wheels import source_distribution, wheel

Make = Callable[..., PackageFolders]
WITHOUT_UV = {"PATH": ""}


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    with open_folder() as folder:
        yield folder


@pytest.fixture(params=["pip", "uv"])
def installer(request: pytest.FixtureRequest) -> Installer:
    if request.param == "pip":
        return find_installer(WITHOUT_UV)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    if shutil.which("uv", path=path) is None:
        pytest.skip("uv is not installed here")
    return find_installer({"PATH": path})


@pytest.fixture
def index(tmp_path: Path) -> Path:
    folder = tmp_path / "index"
    folder.mkdir()
    return folder


@pytest.fixture
def folders(tmp_path: Path, index: Path, installer: Installer) -> Make:
    def make(
        limits: PackageLimits | None = None, python: ToolPython | None = None, **environment: str
    ) -> PackageFolders:
        (tmp_path / "uv.toml").write_text(f"no-index = true\nfind-links = [{str(index)!r}]\n")
        offline = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(index), "PIP_CONFIG_FILE": os.devnull}
        offline |= {"UV_CONFIG_FILE": str(tmp_path / "uv.toml")}
        given = {"HOME": str(tmp_path), **(environment or offline)}
        python = python or tool_python()
        return PackageFolders(tmp_path / "packages", python, installer, given, limits)

    return make


def left(tmp_path: Path) -> list[str]:
    """What lies in the root of the folders, but for the notes."""
    root = tmp_path / "packages"
    return sorted(p.name for p in root.iterdir() if p.suffix != ".lock") if root.exists() else []


def imported(folder: Path, code: str) -> str:
    """What code prints that finds the folder as a tool does."""
    start = f"import sys; sys.path.append({str(folder)!r}); {code}"
    run = subprocess.run(
        [sys.executable, "-I", "-S", "-B", "-c", start], capture_output=True, text=True, check=True
    )
    return run.stdout.strip()


async def test_what_was_resolved_is_installed_and_can_be_imported_and_not_changed(
    tmp_path: Path, index: Path, folders: Make
) -> None:
    for version in ("1.0", "1.5", "2.0"):
        wheel(index, "tea", version, requires=("cup>=1",))
    wheel(index, "cup")
    lines: list[str] = []
    lock = await folders().resolve(["Tea<2"], lines.append)
    assert lock.packages == ("cup==1.0", "tea==1.5")
    assert left(tmp_path) == []
    folder = await folders().build(lock, lines.append)
    assert folder == tmp_path / "packages" / lock.key
    assert imported(folder, "import tea, cup; print(tea.VERSION, cup.VERSION)") == "1.5 1.0"
    modes = {path.stat().st_mode & 0o777 for path in folder.rglob("*") if path.is_file()}
    assert modes <= {0o444, 0o555}
    assert folder.stat().st_mode & 0o777 == 0o555
    assert left(tmp_path) == [lock.key]
    assert any("tea" in line for line in lines)
    assert (tmp_path / "packages" / f"{lock.key}.lock").read_text() == lock.text


async def test_they_are_installed_by_the_user_of_tools_and_belong_to_the_server(
    tmp_path: Path, index: Path, folders: Make
) -> None:
    wheel(index, "tea")
    python, users = noting_python(tmp_path, str(tool_python().path))
    child = find_child()
    by_noting = folders(python=ToolPython(python, child))
    folder = await by_noting.build(await by_noting.resolve(["tea"]))
    assert users() == {child.uid}
    assert {path.stat().st_uid for path in (folder, *folder.rglob("*"))} == {os.geteuid()}


async def test_what_is_there_is_not_installed_again(
    tmp_path: Path, index: Path, folders: Make
) -> None:
    path = wheel(index, "tea")
    lock = await folders().resolve(["tea"])
    folder = await folders().build(lock)
    path.unlink()
    lines: list[str] = []
    assert await folders().build(lock, lines.append) == folder
    assert lines == []


async def test_an_empty_list_is_an_empty_folder(tmp_path: Path, folders: Make) -> None:
    lock = await folders().resolve([])
    assert list((await folders().build(lock)).iterdir()) == []


async def test_a_package_that_would_have_to_be_built_is_refused_and_its_code_does_not_run(
    tmp_path: Path, index: Path, folders: Make
) -> None:
    source_distribution(index, "brew", touches=tmp_path / "ran")
    with pytest.raises(PackagesUnavailable, match=r"brew.*Only wheels") as no:
        await folders().resolve(["brew"])
    assert "\n" not in str(no.value)
    assert not (tmp_path / "ran").exists()
    assert left(tmp_path) == []


async def test_an_address_in_a_wheels_metadata_is_not_followed_to_code(
    tmp_path: Path, index: Path, folders: Make
) -> None:
    path = source_distribution(tmp_path, "brew", touches=tmp_path / "ran")
    wheel(index, "tea", requires=(f"brew @ {path.as_uri()}",))
    wheel(index, "milk", requires=(f"brew @ git+{tmp_path.as_uri()}",))
    good = wheel(tmp_path, "cup")
    wheel(index, "mug", requires=(f"cup @ {good.as_uri()}",))
    for name in ("tea", "milk", "mug"):
        with pytest.raises((PackagesUnavailable, InvalidRequirements)):
            await folders().resolve([name])
    assert not (tmp_path / "ran").exists()
    assert left(tmp_path) == []


async def test_a_file_that_python_would_run_at_start_is_not_run(
    tmp_path: Path, index: Path, folders: Make
) -> None:
    touch = f"import pathlib; pathlib.Path({str(tmp_path / 'ran')!r}).touch()\n"
    wheel(index, "tea", files={"tea.py": "", "tea.pth": touch, "sitecustomize.py": touch})
    folder = await folders().build(await folders().resolve(["tea"]))
    assert imported(folder, "import tea; print(1)") == "1"
    assert not (tmp_path / "ran").exists()


async def test_versions_that_exclude_each_other_or_do_not_exist_are_said_to(
    index: Path, folders: Make
) -> None:
    wheel(index, "cup", "1.0")
    wheel(index, "cup", "2.0")
    wheel(index, "tea", requires=("cup<2",))
    with pytest.raises(PackagesUnavailable, match=r"resolving cup>=2, tea failed; (pip|uv) says"):
        await folders().resolve(["tea", "cup>=2"])
    with pytest.raises(PackagesUnavailable, match=r"cup==3\.0"):
        await folders().resolve(["cup==3.0"])
    with pytest.raises(PackagesUnavailable, match="nothing-there"):
        await folders().resolve(["nothing-there"])


async def test_a_file_that_is_not_the_one_that_was_locked_is_not_installed(
    tmp_path: Path, index: Path, folders: Make
) -> None:
    wheel(index, "tea")
    lock = await folders().resolve(["tea"])
    wheel(index, "tea", files={"tea.py": "raise SystemExit\n"})
    with pytest.raises(PackagesUnavailable, match=r"(?i)hash"):
        await folders().build(lock)
    assert left(tmp_path) == []


@pytest.mark.parametrize(
    "path",
    ["../escaped.py", "../../escaped.py", "ABSOLUTE", "tea-1.0.data/data/../../../escaped.py"],
)
async def test_a_wheel_that_writes_outside_of_its_folder_writes_nothing_there(
    tmp_path: Path, index: Path, folders: Make, path: str
) -> None:
    inside = path.replace("ABSOLUTE", str(tmp_path / "escaped.py"))
    wheel(index, "tea", files={"tea.py": "", inside: ""})
    try:
        folder = await folders().build(await folders().resolve(["tea"]))
    except PackagesUnavailable:
        assert left(tmp_path) == []
    else:
        assert imported(folder, "import tea; print(1)") == "1"
    outside = {tmp_path, tmp_path / "packages"}
    assert not any((folder / "escaped.py").exists() for folder in outside)


async def test_two_builds_of_one_lock_at_once_make_one_folder(
    tmp_path: Path, index: Path, folders: Make
) -> None:
    wheel(index, "tea")
    lock = await folders().resolve(["tea"])
    built: list[Path] = []

    async def build() -> None:
        built.append(await folders().build(lock))

    async with anyio.create_task_group() as group:
        group.start_soon(build)
        group.start_soon(build)
    assert built == [tmp_path / "packages" / lock.key] * 2
    assert left(tmp_path) == [lock.key]
    assert imported(built[0], "import tea; print(tea.VERSION)") == "1.0"


async def test_a_build_that_is_cancelled_leaves_nothing(
    tmp_path: Path, index: Path, folders: Make
) -> None:
    wheel(index, "tea")
    lock = await folders().resolve(["tea"])
    with anyio.CancelScope() as scope:
        await folders().build(lock, lambda _: scope.cancel())
    assert scope.cancelled_caught
    assert left(tmp_path) == []


async def test_time_and_space_are_bounded(tmp_path: Path, index: Path, folders: Make) -> None:
    wheel(index, "tea", files={"tea.py": "", "large": "x" * 3_000_000})
    wheel(index, "many", files={f"many/{n}.py": "" for n in range(300)})
    limits = PackageLimits(max_bytes=1_000_000, max_files=200)
    for name, why in (("tea", "more than 1000000 bytes"), ("many", "more than 200 files")):
        lock = await folders().resolve([name])
        with pytest.raises(PackagesUnavailable, match=f"installing packages was stopped: .*{why}"):
            await folders(limits).build(lock)
    with pytest.raises(PackagesUnavailable, match=r"it took more than 0\.001 seconds"):
        await folders(PackageLimits(resolve_s=0.001)).resolve(["tea"])
    assert left(tmp_path) == []


async def test_an_index_that_is_not_reached_is_said_to_be(folders: Make) -> None:
    nowhere = "http://127.0.0.1:1/simple"
    environment = {"PIP_INDEX_URL": nowhere, "UV_INDEX_URL": nowhere}
    environment |= {"PIP_CONFIG_FILE": os.devnull, "UV_NO_CONFIG": "1", "UV_HTTP_RETRIES": "0"}
    with pytest.raises(PackagesUnavailable, match="The package index was not reached"):
        await folders(**environment).resolve(["tea"])


async def test_folders_that_nobody_needs_are_deleted_and_used_ones_stay(
    tmp_path: Path, index: Path, folders: Make
) -> None:
    wheel(index, "tea")
    wheel(index, "cup")
    tea, cup = await folders().resolve(["tea"]), await folders().resolve(["cup"])
    for lock in (tea, cup):
        await folders().build(lock)
    left_behind = tmp_path / "packages" / ".building-x"
    left_behind.mkdir()
    long_ago = time.time() - 2 * 24 * 3600
    os.utime(left_behind, (long_ago, long_ago))
    root = tmp_path / "packages"
    assert collect(root, {tea.key, cup.key}, unused_s=0) == []
    assert collect(root, {tea.key}, unused_s=3600) == []
    assert collect(root, {tea.key}, unused_s=0) == [cup.key]
    assert left(tmp_path) == [tea.key]
    assert not (tmp_path / "packages" / f"{cup.key}.lock").exists()


async def test_a_lock_for_another_python_is_not_installed(folders: Make) -> None:
    lock = make_lock([("tea", "1.0", ["sha256:" + "0" * 64])], "cpython-27 2.7 linux")
    with pytest.raises(PackagesUnavailable, match=r"resolved for cpython-27 2.7 linux.*again"):
        await folders().build(lock)


async def test_a_python_that_does_not_run_is_said_not_to(tmp_path: Path) -> None:
    folders = PackageFolders(
        tmp_path, ToolPython(tmp_path / "no", find_child()), find_installer(WITHOUT_UV), {}
    )
    with pytest.raises(PackagesUnavailable, match="/no does not run"):
        await folders.resolve(["tea"])


def test_without_an_installer_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pip", None)  # as where Python came without it
    with pytest.raises(PackagesUnavailable, match="there is neither: install uv, or run"):
        find_installer(WITHOUT_UV)
