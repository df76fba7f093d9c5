"""What the start of a stdio server costs: a host shows nothing before the first answer."""

import gc
import subprocess
import sys

from server.imports import paused_collection
from tests.server.processes import ROOT


def modules_after(statement: str) -> set[str]:
    """Return the names of all modules that a fresh process has after a statement."""
    program = f"{statement}\nimport sys\nprint(*sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def packages(modules: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in modules} - set(sys.stdlib_module_names)


def test_stdio_imports_no_package_that_the_sdk_does_not() -> None:
    ours = modules_after("import server.protocol, server.stdio")
    lowlevel = modules_after("import mcp.server.lowlevel")
    assert packages(ours) - packages(lowlevel) == {"agent", "server"}
    assert "server.http" not in ours


# As a host does at its start; but for what is then opened in the background.
LISTED = """
from dataclasses import replace
import anyio
from mcp.client import Client
from server.app import App
from server.config import Settings
from server.protocol import build_server
registry = App(Settings(data=":memory:")).registry()
async def tools_listed():
    server = build_server(replace(registry, on_second_message=lambda: None))
    async with Client(server, mode="legacy") as client:
        assert (await client.list_tools()).tools
anyio.run(tools_listed)
"""


def test_the_default_toolset_is_listed_without_what_its_tools_do_not_need() -> None:
    ours = modules_after(LISTED)
    sdk = modules_after("import mcp.client, mcp.server.lowlevel")
    assert packages(ours) - packages(sdk) == {"agent", "memory", "sandbox", "server"}
    assert {name for name in ours if name.startswith("sandbox.")} == {"sandbox.errors"}
    assert {name for name in ours if name.startswith("server.external.")} == {
        "server.external.errors"
    }
    assert not {name for name in ours if name.startswith(("agent.custom", "server.custom_tool"))}
    late = {"agent.tools", "server.further_tools", "server.agent_creation", "server.packages"}
    assert late & ours == set()
    # What is imported besides is of these few, so that a table of tools cannot come along unseen.
    tables = {name for name in ours if name.startswith("server.") and name.endswith("_tools")}
    assert tables == {"server.memory_tools", "server.search_tools"}


def test_the_front_needs_the_standard_library_alone_and_little_of_it() -> None:
    bare = modules_after("")
    ours = modules_after("import server.cli, server.front") - bare
    assert packages(ours) == {"server"}
    dear = {"argparse", "asyncio", "json", "pathlib", "re", "subprocess", "threading", "typing"}
    assert dear & ours == set()


def test_garbage_is_collected_again_after_the_imports() -> None:
    try:
        with paused_collection():
            assert not gc.isenabled()
        assert gc.isenabled()
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()
