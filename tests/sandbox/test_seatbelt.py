"""The sandbox of macOS, with stand-ins for sandbox-exec: only one that holds everything is used.

The stand-ins take sandbox-exec's arguments. One runs the program and isolates nothing. The other
reads the folders out of the profile and holds the program to them as Linux can: Landlock and a
filter of system calls. What this shows is that all around sandbox-exec works and that nothing runs
where it does not hold; not what macOS does.
"""

import base64
import os
import platform
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import anyio
import pytest

from sandbox.choose import open_sandbox
from sandbox.errors import SandboxUnavailable
from sandbox.inside.program import boot_program
from sandbox.places import temporary_places
from sandbox.policy import MIB, Policy
from sandbox.protocol import ToolRun
from sandbox.refusals import WINDOWS
from sandbox.seatbelt import SeatbeltSandbox
from sandbox.seccomp import late_filter
from sandbox.self_attack import PROBES
from sandbox.settings import SandboxSettings
from sandbox.watch import descendants
from tests.sandbox.sandboxes import open_folder, skip_where_impossible, tool_python

HELLO = ToolRun("def f(name):\n    return 'hello ' + name\n", "f", {"name": "Ada"})
HOLDS_NOTHING = '#!/bin/sh\nshift 2\nexec "$@"\n'
OWN_ID = 0x7ABCDEF0
HOLDS = """#!{python} -IB
import base64, marshal, os, re, sys
parts = {{"__name__": "parts", "__file__": ""}}
exec(compile(base64.b64decode({parts!r}), "<parts>", "exec"), parts)
rules, program, channel = sys.argv[2], sys.argv[-2], sys.argv[-1]
def folders(allowed):
    return re.findall(r'allow ' + allowed + r' \\((?:subpath|literal) "([^"]+)"', rules)
with open(program, "rb") as file:
    code = marshal.loads(file.read()[16:])
system = ["/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache"]
# The kernel has no right of its own for "/", which is a folder like any other here.
read = [name for name in folders("file-read\\\\*") if name != "/"]
write = [*folders("file-write\\\\*"), "/dev/null"]
parts["give_up_privileges"]()
parts["restrict_access"]({{"read": read + system, "write": write, "tcp": False}})
own_filter = base64.b64decode({held!r}).replace(
    ({own_id}).to_bytes(4, "little"), os.getpid().to_bytes(4, "little"))
parts["filter_system_calls"](own_filter)
sys.argv = [program, channel]
exec(code, {{"__name__": "__main__"}})
"""


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with open_folder() as opened:
        yield opened


def stand_in(folder: Path, text: str) -> Path:
    path = folder / "sandbox-exec"
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture(scope="module")
async def seatbelt(folder: Path) -> AsyncIterator[SeatbeltSandbox]:
    if sys.platform != "linux":
        pytest.skip("the stand-in is made of what Linux has")
    text = HOLDS.format(
        python=tool_python().path,
        parts=base64.b64encode(boot_program()),
        held=base64.b64encode(late_filter(platform.machine(), alone_as=OWN_ID)),
        own_id=OWN_ID,
    )
    sandbox = SeatbeltSandbox(SandboxSettings(), stand_in(folder, text))
    skip_where_impossible(await sandbox.availability())
    yield sandbox


async def test_where_everything_is_held_tools_run_and_say_where(seatbelt: SeatbeltSandbox) -> None:
    found = await seatbelt.availability()
    assert (found.tier, set(found.tried.values())) == ("seatbelt", {True})
    assert set(found.tried) == set(PROBES) - {"connect_by_grant"}
    assert "never tried on a Mac" in found.cause
    outcome = await seatbelt.run(HELLO)
    assert (outcome.status, outcome.result, outcome.tier) == ("ok", "hello Ada", "seatbelt")


async def test_where_anything_gets_through_nothing_is_run() -> None:
    with open_folder() as folder:
        sandbox = SeatbeltSandbox(SandboxSettings(), stand_in(folder, HOLDS_NOTHING))
        found = await sandbox.availability()
        assert found.tier is None
        assert "read a file outside of its workspace" in found.cause
        with pytest.raises(SandboxUnavailable, match="a tool could"):
            await sandbox.run(HELLO)


async def test_where_it_starts_no_python_that_is_said() -> None:
    with open_folder() as folder:
        broken = stand_in(folder, "#!/bin/sh\necho 'invalid profile' >&2\nexit 65\n")
        found = await SeatbeltSandbox(SandboxSettings(), broken).availability()
    assert found.tier is None
    assert "starts no Python here" in found.cause and "invalid profile" in found.cause


async def test_a_workspace_lasts_and_the_rest_of_the_disk_is_closed(
    seatbelt: SeatbeltSandbox, folder: Path
) -> None:
    workspace = folder / "workspace"
    workspace.mkdir()
    workspace.chmod(0o777)
    run = ToolRun("open('kept', 'w').write('here')", None, workspace=workspace)
    assert (await seatbelt.run(run)).status == "ok"
    assert (workspace / "kept").read_text() == "here"
    closed = ToolRun(f"open({str(folder / 'sandbox-exec')!r}).read()", None)
    assert "Permission" in ((await seatbelt.run(closed)).error or "")


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("x = bytearray(400_000_000)\nwhile True: pass\n", "MiB of memory together"),
        (
            "import tempfile\nd = tempfile.gettempdir()\nn = 0\n"
            "while True:\n    open(f'{d}/{n}', 'w').close()\n    n += 1\n",
            "TMPDIR holds more than",
        ),
    ],
)
async def test_limits_that_macos_does_not_keep_are_watched(
    seatbelt: SeatbeltSandbox, source: str, words: str
) -> None:
    policy = Policy(memory_bytes=64 * MIB, workspace_entries=1_000)
    outcome = await seatbelt.run(ToolRun(source, None, policy=policy))
    assert outcome.status == "limit"
    assert words in (outcome.error or "")


async def test_a_run_that_is_too_long_or_cancelled_is_ended(seatbelt: SeatbeltSandbox) -> None:
    before = descendants(os.getpid())
    endless = ToolRun("while True: pass\n", None, policy=Policy(wall_s=1))
    assert (await seatbelt.run(endless)).status == "timeout"
    with anyio.move_on_after(0.5) as scope:
        await seatbelt.run(ToolRun("while True: pass\n", None))
    assert scope.cancelled_caught
    assert descendants(os.getpid()) == before


@pytest.mark.parametrize(
    "policy", [Policy(subprocesses=True), Policy(network=("example.com:443",))]
)
async def test_what_it_cannot_hold_is_refused(seatbelt: SeatbeltSandbox, policy: Policy) -> None:
    with pytest.raises(SandboxUnavailable, match="may not start programs or use the network"):
        await seatbelt.run(ToolRun("1", None, policy=policy))


async def test_on_macos_it_is_used_only_where_it_was_asked_for() -> None:
    with temporary_places() as places:
        async with open_sandbox(places, system="darwin") as usual:
            assert "seatbelt_beta" in (await usual.availability()).cure
        asked = SandboxSettings(seatbelt_beta=True)
        async with open_sandbox(places, asked, system="darwin") as beta:
            found = await beta.availability()
            if sys.platform != "darwin":
                assert "there is no /usr/bin/sandbox-exec" in found.cause


async def test_the_flag_changes_nothing_on_other_systems() -> None:
    asked = SandboxSettings(seatbelt_beta=True, minimum="namespaces")
    with temporary_places() as places:
        async with open_sandbox(places, asked, system="win32") as sandbox:
            assert (await sandbox.availability()).cause == WINDOWS.cause
        async with open_sandbox(places, asked, system="linux") as sandbox:
            assert (await sandbox.availability()).tier in {"namespaces", None}
