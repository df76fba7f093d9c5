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


def test_what_the_command_line_calls_first_needs_the_standard_library_alone() -> None:
    ours = modules_after("import server.standard_streams, server.imports")
    assert packages(ours) - packages(modules_after("")) == {"server"}


def test_garbage_is_collected_again_after_the_imports() -> None:
    try:
        with paused_collection():
            assert not gc.isenabled()
        assert gc.isenabled()
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()
