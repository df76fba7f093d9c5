"""The filters in real processes: what a tool tries, and what the kernel answers."""

import errno
import os
import platform
import signal
import socket
from pathlib import Path
from typing import Any

import pytest

from sandbox.seccomp import late_filter, outer_filter
from sandbox.syscalls import SYSCALLS
from tests.sandbox.boot_process import ARCH, configuration, ready, started

CALLS = SYSCALLS.get(ARCH, {})

pytestmark = pytest.mark.skipif(
    platform.system() != "Linux" or not CALLS, reason=f"no filter for {ARCH}"
)

TRY = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
def tool(calls):
    answers = {}
    for name, number, arguments in calls:
        ctypes.set_errno(0)
        words = [a.encode() if isinstance(a, str) else ctypes.c_long(a) for a in arguments]
        answers[name] = ctypes.get_errno() if libc.syscall(number, *words) == -1 else 0
    return answers
"""

NEW_USER_NAMESPACE = 0x10000000

FORBIDDEN: list[tuple[str, list[Any], int]] = [
    ("socket", [2, 1, 0], errno.EPERM),
    ("socket", [1, 1, 0], errno.EPERM),
    ("socketpair", [1, 2, 0, "x" * 8], errno.EPERM),
    ("ptrace", [0, 0, 0, 0], errno.EPERM),
    ("unshare", [NEW_USER_NAMESPACE], errno.EPERM),
    ("setns", [0, 0], errno.EPERM),
    ("mount", ["none", "/mnt", "tmpfs", 0, 0], errno.EPERM),
    ("chroot", ["/"], errno.EPERM),
    ("bpf", [0, "x" * 128, 128], errno.EPERM),
    ("keyctl", [0, -3, 0], errno.EPERM),
    ("userfaultfd", [0], errno.EPERM),
    ("perf_event_open", ["x" * 128, 0, -1, -1, 0], errno.EPERM),
    ("shmget", [0, 4096, 0o1600], errno.EPERM),
    ("setuid", [os.getuid()], errno.EPERM),
    ("sched_setscheduler", [0, 0, "\0" * 8], errno.EPERM),
    ("open_by_handle_at", [-100, "x" * 32, 0], errno.EPERM),
    ("ioctl", [0, 0x5412 | 1 << 32, "x"], errno.EPERM),
    ("memfd_create", ["x", 0], errno.ENOSYS),
    ("io_uring_setup", [4, "\0" * 128], errno.ENOSYS),
    ("clone3", ["\0" * 88, 88], errno.ENOSYS),
]
ONLY_LATE: list[tuple[str, list[Any], int]] = [
    ("clone", [int(signal.SIGCHLD), 0, 0, 0, 0], errno.EPERM),
    ("execve", ["/bin/true", 0, 0], errno.EPERM),
    ("execveat", [-100, "/bin/true", 0, 0, 0], errno.EPERM),
    ("seccomp", [1, 0, 0], errno.EPERM),
    ("prctl", [22, 2, 0, 0, 0], errno.EPERM),
]


@pytest.mark.parametrize(
    ("program", "tried"),
    [
        (lambda: outer_filter(ARCH), FORBIDDEN),
        (lambda: late_filter(ARCH), FORBIDDEN + ONLY_LATE),
        (lambda: late_filter(ARCH, subprocesses=True), FORBIDDEN),
    ],
    ids=["outer", "late", "late with subprocesses"],
)
def test_what_is_forbidden_fails_with_the_error_that_the_filter_names(
    program: Any, tried: list[tuple[str, list[Any], int]], tmp_path: Path
) -> None:
    named = {f"{n} {name}": (name, each, error) for n, (name, each, error) in enumerate(tried)}
    calls = [[key, CALLS[name], arguments] for key, (name, arguments, _) in named.items()]
    with ready(tmp_path, late=program()) as boot:
        answers = boot.run(TRY, arguments={"calls": calls}).result
    assert answers == {key: error for key, (_, _, error) in named.items()}


def test_a_call_newer_than_the_table_does_not_exist(tmp_path: Path) -> None:
    calls = [["newer", max(CALLS.values()) + 1, []], ["much newer", 1_000, []]]
    with ready(tmp_path) as boot:
        answers = boot.run(TRY, arguments={"calls": calls}).result
    assert answers == {"newer": errno.ENOSYS, "much newer": errno.ENOSYS}


@pytest.mark.skipif(ARCH != "x86_64", reason="x32 is of x86-64 only")
def test_an_x32_call_kills(tmp_path: Path) -> None:
    with ready(tmp_path) as boot:
        ended = boot.run(TRY, arguments={"calls": [["getpid", 0x40000000 + 39, []]]})
    assert (ended.frames, ended.status) == ([], -signal.SIGSYS)


INT_80 = """
import ctypes, mmap
def tool():
    page = mmap.mmap(-1, 4096, prot=7)
    page.write(b"\\xb8\\x14\\x00\\x00\\x00\\xcd\\x80\\xc3")  # mov eax, 20; int 0x80; ret
    address = ctypes.addressof(ctypes.c_char.from_buffer(page))
    return ctypes.CFUNCTYPE(ctypes.c_int)(address)()
"""


@pytest.mark.skipif(ARCH != "x86_64", reason="int 0x80 is of x86-64 only")
def test_a_call_by_the_32_bit_gate_kills(tmp_path: Path) -> None:
    with ready(tmp_path) as boot:
        ended = boot.run(INT_80)
    # Some kernels have no such gate; then it is a fault.
    assert ended.frames == []
    assert ended.status in (-signal.SIGSYS, -signal.SIGSEGV)


ALONE = """
import os, signal, shutil, threading
def tool(server):
    open('file', 'w').close()
    refused = []
    for attempt in (lambda: os.kill(server, 0), lambda: os.kill(-1, 0), lambda: os.kill(0, 0),
                    lambda: os.chmod('file', 0o777), lambda: os.utime('file'),
                    lambda: os.setxattr('file', 'user.x', b'')):
        try: attempt()
        except PermissionError: refused.append(True)
    signal.signal(signal.SIGUSR1, lambda *_: refused.append('signal'))
    os.kill(os.getpid(), signal.SIGUSR1)
    thread = threading.Thread(target=refused.append, args=('thread',))
    thread.start()
    thread.join()
    return refused
"""


def test_a_process_without_namespaces_touches_no_other(tmp_path: Path) -> None:
    with started(tmp_path) as boot:
        boot.send(configuration(late_filter(ARCH, alone_as=boot.process.pid)))
        assert boot.frame() is not None
        ended = boot.run(ALONE, arguments={"server": os.getpid()})
    assert ended.result == [True] * 6 + ["signal", "thread"]


def test_threads_work_where_processes_do_not(tmp_path: Path) -> None:
    source = (
        "import os, subprocess\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "def tool():\n"
        "    with ThreadPoolExecutor(32) as pool:\n"
        "        total = sum(pool.map(lambda n: n * n, range(100)))\n"
        "    refused = []\n"
        "    for start in (os.fork, lambda: subprocess.run(['/bin/true']),\n"
        "                  lambda: os.posix_spawn('/bin/true', ['true'], {})):\n"
        "        try: start()\n"
        "        except PermissionError: refused.append(True)\n"
        "    return [total, refused]\n"
    )
    with ready(tmp_path) as boot:
        assert boot.run(source).result == [328_350, [True] * 3]


def test_programs_start_where_they_are_granted(tmp_path: Path) -> None:
    source = (
        "import subprocess\n"
        "def tool():\n"
        "    return subprocess.run(['/bin/echo', 'hi'], capture_output=True, text=True).stdout\n"
    )
    with ready(tmp_path, late=late_filter(ARCH, subprocesses=True)) as boot:
        assert boot.run(source).result == "hi\n"


def test_asyncio_works(tmp_path: Path) -> None:
    source = (
        "import asyncio\n"
        "async def tool():\n"
        "    later = asyncio.to_thread(lambda: 1)\n"
        "    return await later + await asyncio.wait_for(asyncio.sleep(0, 2), 5)\n"
    )
    with ready(tmp_path) as boot:
        assert boot.run(source).result == 3


def test_with_network_tcp_is_connected_and_nothing_else_is_made(tmp_path: Path) -> None:
    source = (
        "import socket\n"
        "def tool(port):\n"
        "    said = []\n"
        "    with socket.create_connection(('127.0.0.1', port)) as link:\n"
        "        link.sendall(b'hello')\n"
        "    for kinds in ((1, 1), (10, 1), (2, 2), (2, 3), (16, 3), (2, 1, 262)):\n"
        "        try: socket.socket(*kinds).close()\n"
        "        except PermissionError: said.append(kinds[0])\n"
        "    try: socket.create_server(('127.0.0.1', 0))\n"
        "    except PermissionError: said.append('listen')\n"
        "    return said\n"
    )
    with socket.create_server(("127.0.0.1", 0)) as server:
        with ready(tmp_path, late=late_filter(ARCH, network=True)) as boot:
            ended = boot.run(source, arguments={"port": server.getsockname()[1]})
        server.settimeout(5)
        with server.accept()[0] as link:
            assert link.recv(10) == b"hello"
    assert ended.result == [1, 10, 2, 2, 16, 2, "listen"]
