"""Spare processes: one waits after a call, none is used twice, and none is left at the end."""

import ctypes
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from sandbox.namespaces import NamespaceSandbox
from sandbox.policy import MIB, Policy
from sandbox.pool import HeldFolders
from sandbox.protocol import Outcome, ToolRun
from sandbox.settings import SandboxSettings
from sandbox.shape import shape_of
from sandbox.watch import descendants
from tests.sandbox.sandboxes import isolated

# Its value is what only this process has.
WHO = ToolRun("import os\nopen('/tmp/used', 'a').write('x')\n[open('/tmp/used').read()]", None)
PATIENCE_S = 20.0


def children() -> set[int]:
    return set(descendants(os.getpid())) - {os.getpid()}


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def has_ended(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


async def waiting(sandbox: NamespaceSandbox, than: frozenset[int] = frozenset()) -> frozenset[int]:
    """The spare processes, once there are others than those."""
    with anyio.fail_after(PATIENCE_S):
        while not sandbox.idle_pids() or sandbox.idle_pids() == than:
            await anyio.lowlevel.checkpoint()
    return sandbox.idle_pids()


async def test_after_a_call_one_process_waits_and_each_is_used_once() -> None:
    async with isolated(SandboxSettings()) as sandbox:
        first = await sandbox.run(WHO)
        spare = await waiting(sandbox)
        second = await sandbox.run(WHO)
        other = await waiting(sandbox, than=spare)
        assert [first.result, second.result] == [["x"], ["x"]]
        assert not spare & other
        with anyio.fail_after(PATIENCE_S):
            while not all(map(has_ended, spare)):
                await anyio.lowlevel.checkpoint()
    assert children() == set()


async def test_another_policy_or_workspace_gets_another_process() -> None:
    async with isolated(SandboxSettings()) as sandbox:
        await sandbox.run(WHO)
        spare = await waiting(sandbox)
        workspace = sandbox.places.make_workspace("a", await sandbox.child())
        for run in (
            ToolRun("1", None, policy=Policy(memory_bytes=100 * MIB)),
            ToolRun("1", None, policy=Policy(subprocesses=True)),
            ToolRun("1", None, workspace=workspace),
        ):
            assert (await sandbox.run(run)).status == "ok"
            assert spare <= sandbox.idle_pids()


async def test_a_workspace_made_anew_under_its_name_is_not_the_one_that_a_process_has() -> None:
    async with isolated(SandboxSettings()) as sandbox:
        child = await sandbox.child()
        workspace = sandbox.places.make_workspace("a", child)
        run = ToolRun("open('note', 'w').write('x')", None, workspace=workspace)
        await sandbox.run(run)
        await waiting(sandbox)
        (workspace / "note").unlink()
        workspace.rmdir()
        # The other takes the number of the folder that is gone, which may be given out anew.
        sandbox.places.make_workspace("b", child)
        sandbox.places.make_workspace("a", child)
        assert (await sandbox.run(run)).status == "ok"
        assert (workspace / "note").read_text() == "x"


async def test_no_more_wait_than_are_allowed_and_closing_ends_them() -> None:
    async with isolated(SandboxSettings(warm_workers=2)) as sandbox:
        for number in range(4):
            await sandbox.run(ToolRun("1", None, policy=Policy(memory_bytes=(100 + number) * MIB)))
        await waiting(sandbox)
        await sandbox.aclose()
        assert children() == set()
        assert (await sandbox.run(ToolRun("1", None))).status == "ok"


async def test_a_call_that_outlasts_the_sandbox_ends_well_and_leaves_nothing() -> None:
    began, closed = anyio.Event(), anyio.Event()
    outcomes: list[Outcome] = []

    async def wait(_: Mapping[str, Any]) -> str:
        began.set()
        await closed.wait()
        return "done"

    async def call(sandbox: NamespaceSandbox) -> None:
        run = ToolRun("memory.wait()", None, methods={"memory.wait": wait})
        outcomes.append(await sandbox.run(run))

    async with anyio.create_task_group() as calls:
        async with isolated(SandboxSettings()) as sandbox:
            before = open_descriptors()
            calls.start_soon(call, sandbox)
            await began.wait()
        closed.set()
    assert [outcome.result for outcome in outcomes] == ["done"]
    assert children() == set()
    assert open_descriptors() <= before


@contextmanager
def as_process_one() -> Iterator[None]:
    """As in a container: whoever loses its parent becomes a child of this process."""
    prctl, subreaper = ctypes.CDLL(None).prctl, 36
    prctl(subreaper, 1, 0, 0, 0)
    try:
        yield
    finally:
        prctl(subreaper, 0, 0, 0, 0)


@pytest.mark.parametrize("warm_workers", [0, 4])
async def test_nothing_is_left_for_process_one_to_wait_for(warm_workers: int) -> None:
    with as_process_one():
        async with isolated(SandboxSettings(warm_workers=warm_workers)) as sandbox:
            for source in ("1", "import os\nos._exit(0)", "import time\ntime.sleep(60)"):
                await sandbox.run(ToolRun(source, None, policy=Policy(wall_s=0.5)))
            if warm_workers:
                await waiting(sandbox)
        assert children() == set()


def test_a_folder_that_is_held_is_told_from_one_that_took_its_place(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    folder.mkdir()
    shape = shape_of(ToolRun("1", None, workspace=folder), writable=True)
    held = HeldFolders(shape)
    assert held.are_current()
    for _ in range(20):  # its number may be given out again as soon as nobody has it
        folder.rmdir()
        assert not held.are_current()
        folder.mkdir()
        assert not held.are_current()
    held.close()
    with pytest.raises(FileNotFoundError):
        HeldFolders(shape_of(ToolRun("1", None, workspace=tmp_path / "b"), writable=True))


async def test_a_spare_process_that_was_killed_is_not_used() -> None:
    async with isolated(SandboxSettings()) as sandbox:
        await sandbox.run(WHO)
        spare = await waiting(sandbox)
        for pid in spare:
            os.kill(pid, 9)
        with anyio.fail_after(PATIENCE_S):
            while not all(map(has_ended, spare)):
                await anyio.lowlevel.checkpoint()
        assert (await sandbox.run(WHO)).status == "ok"


async def test_spare_processes_that_nobody_wants_go() -> None:
    async with isolated(SandboxSettings(idle_s=0.05)) as sandbox:
        await sandbox.run(WHO)
        await waiting(sandbox)
        with anyio.fail_after(PATIENCE_S):
            while sandbox.idle_pids() or children():
                await anyio.lowlevel.checkpoint()
