"""What the program inside gives up, and what a tool finds around it."""

import os
import resource
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from sandbox.seccomp import late_filter
from tests.sandbox.boot_process import ARCH, PYTHON, configuration, ready, run, started

SYSTEM = ["/usr", "/lib", "/lib64", "/etc", "/proc", str(Path(PYTHON).resolve().parents[1])]


def test_a_tool_finds_the_environment_that_was_sent(tmp_path: Path) -> None:
    source = "import os\ndef tool(): return [os.environ['KEY'], os.getenv('HOME')]\n"
    ended = run(tmp_path, source, environment={"KEY": "sécret"})
    assert ended.result == ["sécret", None]


def test_the_environment_reaches_programs(tmp_path: Path) -> None:
    source = (
        "import subprocess\n"
        "def tool(): return subprocess.check_output(['sh', '-c', 'echo $KEY'], text=True)\n"
    )
    with ready(tmp_path, late=late_filter(ARCH, subprocesses=True)) as boot:
        assert boot.run(source, environment={"KEY": "1"}).result == "1\n"


def test_a_file_of_the_workspace_can_be_imported_and_stands_for_no_module_of_python(
    tmp_path: Path,
) -> None:
    (tmp_path / "mine.py").write_text("VALUE = 1\n")
    for name in ("json", "random", "asyncio", "sitecustomize", "tool", "boot"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('shadowed')\n")
    source = (
        "import asyncio, json, random, mine\n"
        "def tool(): return [mine.VALUE, json.loads('1'), random.randint(1, 1)]\n"
    )
    assert run(tmp_path, source).result == [1, 1, 1]


def test_packages_come_before_the_workspace_and_after_python(tmp_path: Path) -> None:
    workspace, packages = tmp_path / "workspace", tmp_path / "packages"
    for folder, value in ((workspace, 1), (packages, 2)):
        folder.mkdir()
        (folder / "thing.py").write_text(f"VALUE = {value}\n")
    (packages / "json.py").write_text("raise SystemExit('shadowed')\n")
    source = "import json, thing\ndef tool(): return thing.VALUE\n"
    assert run(workspace, source, packages=str(packages)).result == 2


def test_the_packages_of_a_venv_are_found(tmp_path: Path) -> None:
    version = subprocess.run(
        [PYTHON, "-c", "import sys; print('python%d.%d' % sys.version_info[:2])"],
        capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    folder = tmp_path / "venv" / "lib" / version / "site-packages"
    folder.mkdir(parents=True)
    (folder / "thing.py").write_text("VALUE = 3\n")
    source = "import thing\ndef tool(): return thing.VALUE\n"
    assert run(tmp_path, source, packages=str(tmp_path / "venv")).result == 3


def test_the_source_is_a_module_that_is_not_main(tmp_path: Path) -> None:
    source = (
        "from __future__ import annotations\n"
        "import dataclasses, pickle, sys, typing\n"
        "@dataclasses.dataclass\n"
        "class Point:\n"
        "    x: int\n"
        "if __name__ == '__main__': raise SystemExit\n"
        "def tool():\n"
        "    copy = pickle.loads(pickle.dumps(Point(1)))\n"
        "    return [copy.x, typing.get_type_hints(Point)['x'].__name__, sys.argv]\n"
    )
    assert run(tmp_path, source).result == [1, "int", ["<tool>"]]


def test_neither_the_link_nor_a_stray_descriptor_is_open_to_what_a_tool_starts(
    tmp_path: Path,
) -> None:
    source = (
        "import os, subprocess\n"
        "def tool():\n"
        "    listed = subprocess.check_output(\n"
        "        ['ls', '/proc/self/fd'], close_fds=False, text=True).split()\n"
        "    return [sorted(os.listdir('/proc/self/fd'), key=int), listed]\n"
    )
    with ready(tmp_path, late=late_filter(ARCH, subprocesses=True)) as boot:
        mine, theirs = boot.run(source).result
    assert len(mine) == 5  # three streams, the link, the listing
    assert theirs == ["0", "1", "2", "3"]  # the last one is the listing


def test_limits_are_set_and_never_raised(tmp_path: Path) -> None:
    source = (
        "import resource as r\n"
        "def tool(): return [r.getrlimit(r.RLIMIT_NOFILE), r.getrlimit(r.RLIMIT_CORE)]\n"
    )
    with ready(tmp_path, rlimits={"NOFILE": 77, "CORE": 0}) as boot:
        assert boot.run(source).result == [[77, 77], [0, 0]]
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with ready(tmp_path, rlimits={"NOFILE": hard + 1}) as boot:
        assert boot.run(source).result[0] == [hard, hard]


def test_no_program_gains_privileges(tmp_path: Path) -> None:
    source = "def tool(): return 'NoNewPrivs:\\t1' in open('/proc/self/status').read()\n"
    assert run(tmp_path, source).result


def test_many_threads_fit_into_a_small_address_space(tmp_path: Path) -> None:
    source = (
        "import threading\n"
        "def tool():\n"
        "    enough = threading.Event()\n"
        "    threads = [threading.Thread(target=enough.wait) for _ in range(100)]\n"
        "    for thread in threads: thread.start()\n"
        "    enough.set()\n"
        "    return len(threads)\n"
    )
    with ready(tmp_path, rlimits={"AS": 512 << 20}) as boot:
        assert boot.run(source).result == 100


FILES = """
import os
def tool(outside):
    open('mine', 'w').write('x')
    os.rename('mine', 'renamed')
    refused = []
    for attempt in (lambda: open(outside + '/secret').read(),
                    lambda: open(outside + '/new', 'w'),
                    lambda: os.listdir(outside),
                    lambda: os.truncate(outside + '/secret', 0),
                    lambda: os.link('renamed', outside + '/link'),
                    lambda: os.unlink(outside + '/secret'),
                    lambda: open('/etc/hostname', 'a')):
        try: attempt()
        except OSError as error: refused.append(error.errno in (1, 13, 18))
    return [os.listdir('.'), refused]
"""


def landlock(workspace: Path) -> dict[str, Any]:
    return {
        "read": [*SYSTEM, "/no/such/path"],
        "write": [str(workspace), "/dev/null"],
        "tcp": False,
    }


def has_landlock(workspace: Path) -> int:
    with started(workspace) as boot:
        boot.send(configuration(landlock=landlock(workspace)))
        frame = boot.frame()
        assert frame is not None
        abi: int = frame["landlock_abi"]
        return abi


def test_landlock_leaves_the_workspace_and_what_is_read(tmp_path: Path) -> None:
    workspace, outside = tmp_path / "workspace", tmp_path / "outside"
    workspace.mkdir()
    outside.mkdir()
    (outside / "secret").write_text("s")
    if not has_landlock(workspace):
        pytest.skip("this kernel has no Landlock")
    with ready(workspace, landlock=landlock(workspace)) as boot:
        ended = boot.run(FILES, arguments={"outside": str(outside)})
    assert ended.result == [["renamed"], [True] * 7]
    assert (outside / "secret").read_text() == "s"


def test_landlock_reaches_no_port_and_no_other_process(tmp_path: Path) -> None:
    abi = has_landlock(tmp_path)
    if abi < 6:
        pytest.skip(f"Landlock of this kernel is ABI {abi}; ports need 4, signals and names 6")
    source = (
        "import os, socket\n"
        "def tool(port, name, pid):\n"
        "    refused = []\n"
        "    for attempt in (lambda: socket.create_connection(('127.0.0.1', port)),\n"
        "                    lambda: socket.create_server(('127.0.0.1', 0)),\n"
        "                    lambda: socket.socket(socket.AF_UNIX).connect('\\0' + name),\n"
        "                    lambda: os.kill(pid, 0)):\n"
        "        try: attempt()\n"
        "        except PermissionError: refused.append(True)\n"
        "    return refused\n"
    )
    name = f"mnemon-test-{os.getpid()}"
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as unix:
        unix.bind("\0" + name)
        unix.listen()
        arguments = {"port": tcp.getsockname()[1], "name": name, "pid": os.getpid()}
        with ready(tmp_path, late=None, landlock=landlock(tmp_path)) as boot:
            assert boot.run(source, arguments=arguments).result == [True] * 4


def test_without_a_call_the_program_ends_by_itself(tmp_path: Path) -> None:
    with ready(tmp_path) as boot:
        boot.link.shutdown(socket.SHUT_WR)
        assert boot.process.wait(timeout=20) == 0


def test_a_filter_that_cannot_be_installed_ends_the_program_before_the_tool(
    tmp_path: Path,
) -> None:
    with ready(tmp_path, late=b"\xff" * 8) as boot:
        ended = boot.run("def tool(): print('ran')")
    assert (ended.frames, ended.stdout) == ([], "")
    assert "system call" in ended.stderr


def test_modules_are_loaded_while_nobody_waits(tmp_path: Path) -> None:
    source = "import sys\ndef tool(): return 'decimal' in sys.modules\n"
    assert not run(tmp_path, source).result
    with ready(tmp_path, preload=["decimal"]) as boot:
        maps = Path(f"/proc/{boot.process.pid}/maps")
        while "_decimal" not in maps.read_text():
            assert boot.process.poll() is None
        assert boot.run(source).result


def test_a_signal_of_the_terminal_is_an_error_of_the_tool(tmp_path: Path) -> None:
    source = (
        "import os, signal\ndef tool():\n    os.kill(os.getpid(), signal.SIGINT)\n    return 1\n"
    )
    ended = run(tmp_path, source)
    assert ended.error["type"] == "KeyboardInterrupt"
    assert ended.status != -signal.SIGINT
