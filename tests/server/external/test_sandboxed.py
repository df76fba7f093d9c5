"""Servers that are programs, in the sandbox of this machine: what they can and cannot do.

Real processes; skipped, with the reason, where nothing can be isolated.
"""

import os
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from memory.tool_server_records import Grants, Launch, ToolServer
from sandbox.errors import InvalidRun
from sandbox.policy import MIB
from sandbox.programs import BOUNDS as USUAL
from sandbox.programs import checked_reads
from sandbox.watch import MEMORY_MARGIN_BYTES
from server.external.errors import ConnectionLost, ServerUnreachable
from server.external.sandboxed import SandboxedCommands
from server.external.servers import Answer, ExternalServers
from server.sandboxes import ProcessSandbox
from tests.sandbox.proxied import HERE, Recorder, echo
from tests.sandbox.proxied import server as listening
from tests.sandbox.sandboxes import skip_where_impossible
from tests.server.external.conftest import SECRETS, wait_until_ended

BOUNDS = replace(USUAL, entries=500, memory_bytes=64 * MIB)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that every user can read, with the server and a file."""
    path = Path(tempfile.mkdtemp(prefix="mnemon-test-"))
    path.chmod(0o755)
    shutil.copy(Path(__file__).with_name("plain_mcp.py"), path / "server.py")
    (path / "note").write_text("for the server")
    for file in path.iterdir():
        file.chmod(0o644)
    yield path
    shutil.rmtree(path)


@pytest.fixture
async def servers(folder: Path) -> AsyncIterator[ExternalServers]:
    with anyio.fail_after(120):
        async with anyio.create_task_group() as tasks:
            sandbox = ProcessSandbox(None)
            sandbox.begin(tasks)
            found = await sandbox.availability()
            skip_where_impossible(found)
            data = folder / "data"
            data.mkdir()
            servers = ExternalServers(
                lambda names: {name: SECRETS[name] for name in names},
                SandboxedCommands(sandbox.ground, data, HERE, BOUNDS),
            )
            servers.begin(tasks)
            try:
                yield servers
            finally:
                await servers.aclose()
                await sandbox.aclose()


def granted(folder: Path, *network: str) -> Grants:
    return Grants(paths=(str(folder / "server.py"),), network=network)


def server(folder: Path, grants: Grants | None = None) -> ToolServer:
    now = datetime.now(UTC)
    launch = Launch(
        "stdio",
        command=("/usr/bin/python3", str(folder / "server.py")),
        environment={"MY_TOKEN": "$secret:files"},
        grants=grants or granted(folder),
    )
    return ToolServer(1, "server-1", "plain", launch, True, (), None, now, now)


@pytest.fixture
def is_python_there() -> None:
    if not Path("/usr/bin/python3").exists():
        pytest.skip("there is no /usr/bin/python3 for the server to run on")


pytestmark = pytest.mark.usefixtures("is_python_there")


async def test_a_server_works_in_the_sandbox_and_gets_no_further(
    servers: ExternalServers, folder: Path
) -> None:
    plain = server(folder)

    async def do(what: str, name: str = "") -> Answer:
        return await servers.call(plain, "do", {"what": what, "name": name})

    with socket.create_server(("127.0.0.1", 0)) as listening:
        connected = await do("connect", str(listening.getsockname()[1]))
    assert connected.failed
    assert (await do("read", str(folder / "note"))).failed
    assert (await do("read", "/etc/passwd")).failed
    assert (await do("write", str(folder / "server.py"))).failed
    assert (await do("write", "/usr/x")).failed
    assert (await do("write", "/workspace/x")) == Answer("1", False)
    assert (await do("list", "/workspace")) == Answer("x", False)
    environment = (await do("environment")).text
    assert "[secret files]" in environment
    assert os.environ["HOME"] not in environment or os.environ["HOME"] == "/workspace"
    assert len([n for n in (await do("list", "/proc")).text.split() if n.isdigit()]) <= 3
    uid, _ = (await do("user")).text.split()
    assert uid == "65534"
    assert (await do("run", "echo started")).text == "started\n"


async def test_a_server_reads_what_it_was_granted(servers: ExternalServers, folder: Path) -> None:
    plain = server(folder, Grants(paths=(str(folder / "server.py"), str(folder / "note"))))
    read = await servers.call(plain, "do", {"what": "read", "name": str(folder / "note")})
    assert read == Answer("for the server", False)


async def test_what_a_server_started_ends_with_it(servers: ExternalServers, folder: Path) -> None:
    plain = server(folder)
    mark = f"{os.getpid()}.5"
    runs = 'until [ "$(cat /proc/$!/comm)" = sleep ]; do :; done'
    script = f"setsid sleep {mark} >&- 2>&- & {runs}"
    await servers.call(plain, "do", {"what": "run", "name": script})
    (left,) = (pid for pid, line in command_lines().items() if line.startswith(f"sleep\0{mark}"))
    await servers.forget(plain.id)
    await anyio.to_thread.run_sync(wait_until_ended, left)


async def test_a_server_whose_processes_take_too_much_memory_together_is_killed_and_named(
    servers: ExternalServers, folder: Path
) -> None:
    plain = server(folder)
    enough = (BOUNDS.memory_bytes + MEMORY_MARGIN_BYTES) // MIB
    each = enough // 3
    few = await servers.call(plain, "do", {"what": "memory", "name": f"1 {each}"})
    assert not few.failed
    said = r"was killed: its processes used \d+ MiB of memory together, of at most 64 MiB"
    with pytest.raises(ConnectionLost, match=said):
        await servers.call(plain, "do", {"what": "memory", "name": f"4 {each}"})
        await servers.call(plain, "do", {"what": "wait"})
    # The next call finds it started anew.
    assert not (await servers.call(plain, "do", {"what": "user"})).failed


@pytest.mark.parametrize("where", ["/tmp", "/dev/shm", "/workspace"])  # noqa: S108
async def test_a_server_that_makes_too_many_files_is_killed_and_named(
    servers: ExternalServers, folder: Path, where: str
) -> None:
    plain = server(folder)
    few = await servers.call(plain, "do", {"what": "files", "name": f"{where} 100"})
    assert few.text == "made"
    with pytest.raises(ConnectionLost, match=f"was killed: it made more than 500 files in {where}"):
        await servers.call(plain, "do", {"what": "files", "name": f"{where} 600"})
        await servers.call(plain, "do", {"what": "wait"})


async def test_a_grant_that_cannot_be_refuses_the_start(
    servers: ExternalServers, folder: Path
) -> None:
    for grants, why in (
        (Grants(network=("example.com",)), "no host:port"),
        (Grants(paths=(str(folder),)), "mnemon itself"),
        (Grants(paths=("/proc",)), "the system's"),
    ):
        plain = server(folder, grants)
        with pytest.raises(ServerUnreachable, match=why):
            await servers.call(plain, "do", {"what": "user"})
        await servers.forget(plain.id)


async def test_a_server_reaches_the_host_that_it_was_granted_and_no_other(
    servers: ExternalServers, folder: Path
) -> None:
    async with listening(Recorder()) as port:
        plain = server(folder, granted(folder, f"api.test:{port}"))

        async def do(what: str, name: str) -> str:
            return (await servers.call(plain, "do", {"what": what, "name": name})).text

        assert await do("fetch", f"http://api.test:{port}/") == "hi"
        started = f"import urllib.request as u; print(u.urlopen('http://api.test:{port}/').read())"
        assert await do("run", f'/usr/bin/python3 -c "{started}"') == "b'hi'\n"
        for host in ("other.test", "127.0.0.1", "169.254.169.254"):
            answer = await do("fetch", f"http://{host}:{port}/")
            assert f"HTTP Error 403: {host}:{port} is not granted" in answer
        assert "ConnectionRefusedError" in await do("connect", str(port))
        for kind in ("AF_INET SOCK_DGRAM", "AF_INET6 SOCK_STREAM", "AF_UNIX SOCK_STREAM"):
            assert "PermissionError" in await do("socket", kind)
        assert "PermissionError" in await do("accept", "")
        # Its pipes, and what lists them: nothing by which it could hand anything to this process.
        assert await do("list", "/proc/self/fd") == "0 1 2 3"


async def test_a_server_without_grants_has_no_sockets_and_knows_no_proxy(
    servers: ExternalServers, folder: Path
) -> None:
    plain = server(folder)
    made = await servers.call(plain, "do", {"what": "socket", "name": "AF_INET SOCK_STREAM"})
    assert made.failed
    assert "PermissionError" in made.text
    environment = await servers.call(plain, "do", {"what": "environment"})
    assert "proxy" not in environment.text.lower()


async def test_what_a_server_reaches_is_closed_with_it(
    servers: ExternalServers, folder: Path
) -> None:
    ended = anyio.Event()

    async def hold(stream: anyio.abc.SocketStream) -> None:
        try:
            await echo(stream)
        finally:
            ended.set()

    async with listening(hold) as port:
        plain = server(folder, granted(folder, f"api.test:{port}"))
        before = listeners()
        held = await servers.call(plain, "do", {"what": "hold", "name": f"api.test:{port}"})
        assert held.text.startswith("HTTP/1.1 200")
        assert listeners() > before
        await servers.forget(plain.id)
        with anyio.fail_after(10):
            await ended.wait()
        assert listeners() == before


async def test_a_server_that_misses_a_file_says_how_it_is_granted(
    servers: ExternalServers, folder: Path
) -> None:
    (folder / "other.py").write_text("import server_that_is_not_there")
    plain = server(folder, Grants(paths=(str(folder / "other.py"),)))
    other = replace(plain.launch, command=("/usr/bin/python3", str(folder / "other.py")))
    with pytest.raises(ServerUnreachable, match=r"No module named.*\(in the sandbox.*--read\)"):
        await servers.list_tools("plain", "1", other)


async def test_nothing_is_left_of_a_granted_server_that_cannot_start(
    servers: ExternalServers, folder: Path
) -> None:
    plain = server(folder, granted(folder, "api.test:443"))
    nowhere = replace(plain, launch=replace(plain.launch, command=("/usr/bin/nowhere",)))
    before = listeners()
    with pytest.raises(ServerUnreachable, match="No such file"):
        await servers.call(nowhere, "do", {"what": "user"})
    await servers.forget(plain.id)
    assert listeners() == before


@pytest.mark.parametrize("path", ["/", "relative", "/proc/self", "/etc", "/a/../etc", "/dev"])
def test_paths_of_the_system_are_not_granted(path: str) -> None:
    with pytest.raises(InvalidRun):
        checked_reads([path], [])


def listeners() -> set[str]:
    """What this process listens on by TCP, also in namespaces of others."""
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(OSError), socket.socket(fileno=os.dup(int(entry.name))) as link:
            is_tcp = link.family == socket.AF_INET and link.type == socket.SOCK_STREAM
            if is_tcp and link.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                found.add(str(entry.readlink()))
    return found


def command_lines() -> dict[int, str]:
    lines = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                lines[int(entry.name)] = (entry / "cmdline").read_text()
    return lines
