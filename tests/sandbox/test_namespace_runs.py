"""Runs in the sandbox of Linux, without spare processes: what comes back, ends them, is left."""

import os
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import anyio
import pytest

from sandbox.errors import InvalidRun
from sandbox.namespaces import NamespaceSandbox
from sandbox.policy import MIB, Policy
from sandbox.protocol import MethodRefused, ToolRun
from sandbox.settings import SandboxSettings
from sandbox.watch import descendants
from tests.sandbox.sandboxes import isolated


@pytest.fixture(scope="module")
async def sandbox() -> AsyncIterator[NamespaceSandbox]:
    async with isolated(SandboxSettings(warm_workers=0)) as found:
        yield found


@pytest.fixture
async def workspace(sandbox: NamespaceSandbox, request: pytest.FixtureRequest) -> Path:
    name = f"agent-{abs(hash(request.node.name))}"
    return sandbox.places.make_workspace(name, await sandbox.child())


def children() -> set[int]:
    return set(descendants(os.getpid())) - {os.getpid()}


async def test_a_function_is_called_and_its_answer_and_output_come_back(
    sandbox: NamespaceSandbox,
) -> None:
    source = "def add(a, b):\n    print('adding')\n    return {'sum': a + b}\n"
    outcome = await sandbox.run(ToolRun(source, "add", {"a": 2, "b": 3}))
    assert (outcome.status, outcome.tier) == ("ok", "namespaces")
    assert (outcome.result, outcome.stdout) == ({"sum": 5}, "adding\n")


async def test_a_script_answers_with_its_last_line(sandbox: NamespaceSandbox) -> None:
    outcome = await sandbox.run(ToolRun("x = 20\nx * 2 + 2", None))
    assert outcome.result == 42


async def test_what_a_tool_raises_comes_back_in_words(sandbox: NamespaceSandbox) -> None:
    outcome = await sandbox.run(ToolRun("def f():\n    raise ValueError('no tea')\n", "f"))
    assert (outcome.status, outcome.error) == ("error", "ValueError: no tea (line 2)")


async def test_it_is_nobody_without_a_home_and_sees_two_processes(
    sandbox: NamespaceSandbox,
) -> None:
    source = """
import os
def f():
    status = open("/proc/self/status").read()
    return {
        "uid": os.getuid(), "name": os.uname().nodename, "here": os.listdir("."),
        "pids": [name for name in os.listdir("/proc") if name.isdigit()],
        "rights": [line.split()[1] for line in status.splitlines() if line.startswith("Cap")],
        "names": sorted(os.environ), "groups": [g for g in os.getgroups() if g != 65534],
    }
"""
    seen = (await sandbox.run(ToolRun(source, "f", environment={"TOKEN": "t"}))).result
    assert (seen["uid"], seen["name"], seen["here"]) == (65534, "sandbox", [])
    assert len(seen["pids"]) <= 2
    assert set(seen["rights"]) == {"0000000000000000"}
    assert seen["groups"] == []
    assert set(seen["names"]) == {
        "HOME", "LANG", "MALLOC_ARENA_MAX", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "PATH",
        "PWD", "TOKEN",
    }  # fmt: skip


async def test_a_workspace_stays_and_everything_else_is_gone(
    sandbox: NamespaceSandbox, workspace: Path
) -> None:
    source = "def f(at):\n    open(at, 'a').write('x')\n    return open(at).read()\n"

    async def again(at: str) -> Any:
        return (await sandbox.run(ToolRun(source, "f", {"at": at}, workspace=workspace))).result

    assert [await again("note"), await again("note")] == ["x", "xx"]
    assert [await again("/tmp/note"), await again("/tmp/note")] == ["x", "x"]  # noqa: S108
    assert (workspace / "note").read_text() == "xx"


async def test_a_workspace_that_may_only_be_read_cannot_be_changed(
    sandbox: NamespaceSandbox, workspace: Path
) -> None:
    policy = Policy(workspace_writable=False)
    run = ToolRun("open('note', 'w')", None, policy=policy, workspace=workspace)
    outcome = await sandbox.run(run)
    assert outcome.status == "error"
    assert os.listdir(workspace) == []  # noqa: PTH208


async def test_a_full_workspace_can_be_read_and_the_tool_is_told(
    sandbox: NamespaceSandbox, workspace: Path
) -> None:
    (workspace / "large").write_bytes(os.urandom(2 * MIB))
    policy = Policy(workspace_bytes=MIB)
    source = (
        "import os\ntry:\n    open('more', 'w')\nexcept OSError: pass\nos.path.getsize('large')"
    )
    outcome = await sandbox.run(ToolRun(source, None, policy=policy, workspace=workspace))
    assert outcome.result == 2 * MIB
    assert "read-only until files are deleted (file_delete, workspace_delete," in outcome.stderr
    assert not (workspace / "more").exists()


@pytest.mark.parametrize(
    ("source", "policy", "status", "words"),
    [
        ("while True: pass", {"cpu_s": 1}, "limit", "1 s of processor time"),
        ("import time\ntime.sleep(60)", {"wall_s": 0.3}, "timeout", "within 0.3 s"),
        ("x = bytearray(2_000_000_000)", {"memory_bytes": 64 * MIB}, "error", "MemoryError"),
        ("import os\nos._exit(0)", {}, "killed", "exit code 0"),
        ("import os\nos.closerange(3, 100)\nimport time\ntime.sleep(60)", {},
         "killed", "closed its channel"),
        ("import ctypes\nctypes.string_at(0)", {}, "killed", "SIGSEGV"),
        ("'x' * 2_000_000", {}, "error", ""),
        ("x = 1\nfor _ in range(500): open(f'{x}', 'w').write('x' * 1_000_000); x += 1",
         {"workspace_bytes": 8 * MIB}, "error", "No space left"),
    ],
)  # fmt: skip
async def test_what_ends_a_run_too_early_is_named(
    sandbox: NamespaceSandbox, source: str, policy: dict[str, Any], status: str, words: str
) -> None:
    outcome = await sandbox.run(ToolRun(source, None, policy=Policy(**policy)))
    assert outcome.status == status, outcome
    assert words in (outcome.error or "")
    assert children() == set()


async def test_a_workspace_over_its_quota_ends_the_run(
    sandbox: NamespaceSandbox, workspace: Path
) -> None:
    source = "n = 0\nwhile True:\n    open(f'{n % 40}', 'w').write('x' * 1_000_000)\n    n += 1\n"
    policy = Policy(workspace_bytes=4 * MIB)
    outcome = await sandbox.run(ToolRun(source, None, policy=policy, workspace=workspace))
    assert outcome.status == "limit"
    assert "its workspace holds" in (outcome.error or "")


async def test_files_of_others_on_the_disk_of_a_read_only_workspace_do_not_count(
    sandbox: NamespaceSandbox, workspace: Path
) -> None:
    policy = Policy(workspace_writable=False, workspace_entries=20)
    source = "import time\ntime.sleep(0.5)\n'done'"  # while it is looked at a few times
    outcome = await sandbox.run(ToolRun(source, None, policy=policy, workspace=workspace))
    assert outcome.result == "done", outcome


async def test_many_empty_files_in_memory_end_the_run(sandbox: NamespaceSandbox) -> None:
    source = "n = 0\nwhile True:\n    open(f'/tmp/{n}', 'w').close()\n    n += 1\n"
    outcome = await sandbox.run(ToolRun(source, None, policy=Policy(workspace_entries=2_000)))
    assert (outcome.status, outcome.error) == ("limit", "it made more than 2,000 files in /tmp")


async def test_output_without_end_is_counted_and_not_kept(sandbox: NamespaceSandbox) -> None:
    source = "import os\nfor _ in range(100):\n    os.write(1, b'x' * 65_536)\n"
    outcome = await sandbox.run(ToolRun(source, None, policy=Policy(output_bytes=1_000)))
    assert outcome.stdout == "x" * 1_000 + "\n[6,552,600 more bytes were not kept]\n"


async def test_a_method_is_answered_refused_or_ends_the_run(sandbox: NamespaceSandbox) -> None:
    async def double(arguments: Mapping[str, Any]) -> Any:
        if arguments["n"] < 0:
            raise MethodRefused("n is below 0")
        return 2 * arguments["n"]

    source = """
def f():
    try:
        memory.double(n=-1)
    except ToolMethodError as refused:
        return [memory.double(n=4), str(refused)]
"""
    run = ToolRun(source, "f", methods={"memory.double": double})
    assert (await sandbox.run(run)).result == [8, "n is below 0"]
    with pytest.raises(KeyError):
        await sandbox.run(ToolRun("memory.double()", None, methods={"memory.double": double}))
    assert children() == set()


async def test_the_101st_method_call_ends_the_run(sandbox: NamespaceSandbox) -> None:
    calls = 0

    async def count(_: Mapping[str, Any]) -> Any:
        nonlocal calls
        calls += 1

    source = "for _ in range(101): memory.count()"
    outcome = await sandbox.run(ToolRun(source, None, methods={"memory.count": count}))
    assert (outcome.status, calls) == ("limit", 100)


async def test_a_cancelled_run_leaves_no_process(sandbox: NamespaceSandbox) -> None:
    before = children()
    started = time.monotonic()
    with anyio.move_on_after(0.2) as scope:
        await sandbox.run(ToolRun("import time\ntime.sleep(60)", None))
    assert scope.cancelled_caught
    assert time.monotonic() - started < 10
    assert children() == before


async def test_what_runs_has_no_descriptor_of_ours(
    sandbox: NamespaceSandbox, tmp_path: Path
) -> None:
    with (tmp_path / "secret").open("w") as file:
        os.set_inheritable(file.fileno(), True)
        names = "[f'/proc/self/fd/{n}' for n in os.listdir('/proc/self/fd')]"
        source = f"import os\n[os.readlink(n) for n in {names} if os.path.islink(n)]"
        found = (await sandbox.run(ToolRun(source, None))).result
    assert sorted(name.split(":")[0] for name in found) == ["/dev/null", "pipe", "pipe", "socket"]


@pytest.mark.parametrize(
    "run",
    [
        ToolRun("1", None, {"x": float("nan")}),
        ToolRun("1", None, {"x": {1, 2}}),
        ToolRun("'\udc80'", None),
        ToolRun("1", None, environment={"LD_PRELOAD": "x"}),
        ToolRun("1", None, workspace=Path("relative")),
        ToolRun("1", None, workspace=Path("/nowhere/at/all")),
    ],
)
async def test_a_run_that_is_not_well_formed_is_refused(
    sandbox: NamespaceSandbox, run: ToolRun
) -> None:
    with pytest.raises(InvalidRun):
        await sandbox.run(run)


async def test_twenty_runs_at_once_do_not_mix(sandbox: NamespaceSandbox) -> None:
    answers: dict[int, Any] = {}

    async def one(number: int) -> None:
        run = ToolRun("def f(n):\n    return n * n\n", "f", {"n": number})
        answers[number] = (await sandbox.run(run)).result

    async with anyio.create_task_group() as tasks:
        for number in range(20):
            tasks.start_soon(one, number)
    assert answers == {number: number * number for number in range(20)}
    assert children() == set()
