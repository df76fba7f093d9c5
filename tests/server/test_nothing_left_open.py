"""A server that was closed leaves no descriptor, thread or process in the process that had it."""

import os
import shutil
import sys
import threading
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from sandbox.watch import descendants
from tests.sandbox.sandboxes import open_folder, tool_python
from tests.server.code_host import code_host
from tests.server.test_mcp_servers import LOOSE, Person, at_host

TOOL = '''def double(n: int) -> int:
    """Double a number.

    Args:
        n: It.
    """
    return 2 * n
'''
ROUNDS = 5

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc tells what is open")


def open_descriptors() -> Counter[str]:
    """What descriptors of this process lead to, without numbers that differ each time."""
    found = Counter[str]()
    for number in os.listdir("/proc/self/fd"):  # noqa: PTH208 - names, not paths
        try:
            target = os.readlink(f"/proc/self/fd/{number}")  # noqa: PTH115
        except FileNotFoundError:
            continue  # that of the listing itself
        found[target.partition(":[")[0]] += 1
    return found


def threads() -> tuple[list[str], int]:
    """Those of Python by name, and how many others there are, as libraries start them.

    Those that wait for work in threads are a pool of the event loop's, and end with it.
    """
    running = {int(task.name) for task in Path("/proc/self/task").iterdir()}
    of_python = list(threading.enumerate())
    names = sorted(each.name for each in of_python if "AnyIO worker" not in each.name)
    return names, len(running - {each.native_id for each in of_python})


async def use(data: str) -> None:
    async with code_host(data) as host:
        first = await host.code("print('hello')\n40 + 2")
        assert first["result"] == 42
        made: Any = await host.call("tool_create", source=TOOL)
        assert made["status"] == "done", made
        for n in (1, 2):
            await host.call("tool_run", agent_id="Ada", tool_id="double", arguments={"n": n})
        await host.call("workspace_write", agent_id="Ada", path="note", content="x")
        await host.call("workspace_list", agent_id="Ada")
        await host.call("archival_memory_insert", agent_id="Ada", content="Tea.")
        await host.call("archival_memory_search", agent_id="Ada", query="tea")
        await host.code("raise ValueError")


async def use_programs(_: str) -> None:
    async with at_host(Person()) as host:
        with open_folder() as folder:
            shutil.copy(Path(__file__).parent / "external" / "plain_mcp.py", folder / "server.py")
            command = [str(tool_python().path), str(folder / "server.py")]
            reads, network = [str(folder)], ["example.com:443"]
            held = {"name": "held", "command": command, "read_paths": reads, "network": network}
            for given, tool in ((held, "do"), (LOOSE, "say")):
                added = await host("add", **given)
                assert (added["status"], added["problem"]) == ("done", "")
                await host("attach", server=given["name"], agent_id="Ada", tool=tool)
            await host.use("toy__say", text="x")


@pytest.mark.parametrize("used", [use, use_programs])
async def test_a_server_opened_and_closed_again_and_again_leaves_nothing_open(
    tmp_path: Path, used: Callable[[str], Awaitable[None]]
) -> None:
    await used(str(tmp_path / "first"))  # what is loaded once stays
    before = open_descriptors(), threads()
    for number in range(ROUNDS):
        await used(":memory:" if number % 2 else str(tmp_path / str(number)))
    assert (open_descriptors(), threads()) == before
    assert descendants(os.getpid()) == [os.getpid()]
