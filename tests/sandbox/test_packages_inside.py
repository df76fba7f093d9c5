"""Packages of a tool, seen from inside the whole sandbox."""

import sys

import pytest

from sandbox.installers import find_installer
from sandbox.namespaces import NamespaceSandbox
from sandbox.package_folders import PackageFolders
from sandbox.places import temporary_places
from sandbox.protocol import ToolRun
from sandbox.settings import SandboxSettings
from tests.sandbox.sandboxes import open_folder, skip_where_impossible, tool_python
from tests.sandbox.wheels import wheel

USE = """
import os, sys
def use():
    import tea
    said = {"version": tea.VERSION, "pth": "ran" in os.environ, "from": tea.__file__}
    for act in (
        lambda: open(tea.__file__, "a"),
        lambda: open("/venv/new.py", "w"),
        lambda: os.remove(tea.__file__),
        lambda: os.chmod(tea.__file__, 0o777),
        lambda: os.mkdir("/venv/json"),
    ):
        try:
            act()
            said["changed"] = True
        except OSError:
            pass
    return said
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the sandbox of namespaces is of Linux")
async def test_a_tool_imports_its_packages_and_changes_nothing_of_them() -> None:
    touch = "import os; os.environ['ran'] = '1'\n"
    with open_folder() as index, temporary_places() as places:
        wheel(index, "tea", files={"tea.py": "VERSION = '1.0'\n", "tea.pth": touch})
        async with NamespaceSandbox(places, SandboxSettings(warm_workers=0)).open() as sandbox:
            found = await sandbox.availability()
            skip_where_impossible(found)
            environment = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(index), "PATH": ""}
            installer = find_installer(environment)
            folders = PackageFolders(places.make_packages(), tool_python(), installer, environment)
            folder = await folders.build(await folders.resolve(["tea"]))
            outcome = await sandbox.run(ToolRun(USE, "use", packages=folder))
    assert not folder.exists()
    assert outcome.status == "ok", outcome
    assert outcome.result == {"version": "1.0", "pth": False, "from": "/venv/tea.py"}
