import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import anyio
import pytest

import agent
from agent.errors import ModelCrashed, ModelError, ModelFileInvalid, ModelUnavailable
from agent.model import ChatMessage, Prompt, Reply
from agent.models.llama import WORKER_MODULE, LlamaModel
from agent.models.model_file import Engine, choose_engine
from tests.agent.models.conftest import MakeModel

ROOT = Path(agent.__file__).parents[1]
HELLO = Prompt((ChatMessage("user", "Hello"),))
# Fills the window: seconds of work for the fixture, so there is time to interrupt it.
LONG = Prompt((ChatMessage("user", "z" * 3900),))


@pytest.fixture
async def model(make_model: MakeModel) -> AsyncIterator[LlamaModel]:
    async with make_model() as model:
        yield model


async def loaded_pid(model: LlamaModel) -> int:
    await model.describe()
    assert model.worker_pid is not None
    return model.worker_pid


def file_of(path: Path, content: bytes | None) -> Path:
    if content is not None:
        path.write_bytes(content)
    return path


def first_part(path: Path, share: float) -> bytes:
    whole = path.read_bytes()
    return whole[: int(len(whole) * share)]


def wait_for_end(pidfd: int, deadline_s: float) -> bool:
    """Wait for a process that is no child of ours."""
    return bool(select.select([pidfd], [], [], deadline_s)[0])


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "does not exist"),
        (b"", "is empty"),
        (b"GG", "is not a GGUF file"),
        (b"PK\x03\x04" + b"\0" * 100, "is not a GGUF file"),
        (b"GGUF\x03\0\0\0", "is cut off within its header"),
        (b"GGUF" + b"\xff" * 100, "is damaged or incomplete"),
    ],
)
async def test_a_path_that_is_no_model_is_refused_with_the_reason(
    make_model: MakeModel, tmp_path: Path, content: bytes | None, problem: str
) -> None:
    path = file_of(tmp_path / "m.gguf", content)
    async with make_model(path) as model:
        with pytest.raises(ModelFileInvalid, match=problem) as caught:
            await model.describe()
    assert caught.value.path == path


async def test_a_directory_is_no_model(tmp_path: Path) -> None:
    async with LlamaModel(tmp_path) as model:
        with pytest.raises(ModelFileInvalid, match="is a directory"):
            await model.complete(HELLO, 10)


@pytest.mark.parametrize("share", [0.001, 0.01, 0.5, 0.999])
async def test_a_truncated_model_is_refused(
    make_model: MakeModel, tmp_path: Path, model_path: Path, share: float
) -> None:
    path = file_of(tmp_path / "m.gguf", first_part(model_path, share))
    async with make_model(path) as model:
        with pytest.raises(ModelFileInvalid, match="is damaged or incomplete"):
            await model.describe()
        assert model.worker_pid is None


async def test_a_missing_engine_is_named_with_the_command_that_installs_it(
    model: LlamaModel, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, extra = {
        "llama-cpp": ("llama_cpp", "local"),
        "xllamacpp": ("xllamacpp", "xllamacpp"),
    }[engine]
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ModelUnavailable, match=rf'{module}.*pip install "mnemon\[{extra}\]"'):
        await model.describe()


@pytest.mark.parametrize("absent", ["llama_cpp", "xllamacpp"])
def test_whichever_engine_is_installed_is_taken(
    monkeypatch: pytest.MonkeyPatch, absent: str
) -> None:
    modules = {"llama_cpp", "xllamacpp", "llguidance", "jinja2", "numpy"}
    present = {name: ModuleType(name) for name in modules}
    for name, module in present.items():
        module.__spec__ = ModuleSpec(name, None)
        monkeypatch.setitem(sys.modules, name, module)
    assert choose_engine("auto") == "llama-cpp"
    assert choose_engine("xllamacpp") == "xllamacpp"
    monkeypatch.setitem(sys.modules, absent, None)
    assert choose_engine("auto") == {"llama_cpp": "xllamacpp", "xllamacpp": "llama-cpp"}[absent]


def test_where_no_engine_is_installed_both_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "llama_cpp", None)
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    with pytest.raises(ModelUnavailable, match=r"mnemon\[local\].*mnemon\[xllamacpp\]"):
        choose_engine("auto")


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("{{ raise_exception('System role not supported') }}", "System role not supported"),
        ("{{ messages[-1].content }}", r"leaves out messages \(system text, "),
        ("{% for", "does not compile"),
    ],
)
async def test_a_template_that_does_not_show_all_messages_is_refused_at_once(
    make_model: MakeModel, source: str, problem: str
) -> None:
    async with make_model(chat_template=source) as model:
        with pytest.raises(ModelUnavailable, match=problem):
            await model.describe()


async def test_a_worker_killed_in_the_middle_of_a_request_is_a_crash_and_the_next_call_works(
    model: LlamaModel,
) -> None:
    pid = await loaded_pid(model)
    os.kill(pid, signal.SIGSTOP)  # so that the request is surely in work when it dies
    errors = []

    async def ask() -> None:
        try:
            await model.complete(HELLO, 10)
        except ModelError as error:
            errors.append(error)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        await anyio.wait_all_tasks_blocked()
        os.kill(pid, signal.SIGKILL)

    assert [type(error) for error in errors] == [ModelCrashed]
    assert "SIGKILL" in str(errors[0])
    assert (await model.complete(HELLO, 10)).parsed == Reply("Hello! How can I help?")
    assert model.worker_pid not in (None, pid)


async def test_a_worker_that_died_between_calls_is_replaced_without_an_error(
    model: LlamaModel,
) -> None:
    pid = await loaded_pid(model)
    pidfd = os.pidfd_open(pid)
    os.kill(pid, signal.SIGKILL)
    await anyio.to_thread.run_sync(wait_for_end, pidfd, 10)
    os.close(pidfd)
    assert (await model.complete(HELLO, 10)).parsed == Reply("Hello! How can I help?")


async def test_a_worker_that_hangs_is_killed_after_its_deadline(make_model: MakeModel) -> None:
    async with make_model(silence_deadline_s=0.3) as model:
        pid = await loaded_pid(model)
        os.kill(pid, signal.SIGSTOP)
        with pytest.raises(ModelCrashed, match=r"said nothing for 0\.3 s"):
            await model.complete(HELLO, 10)
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
        assert (await model.complete(HELLO, 10)).parsed == Reply("Hello! How can I help?")


async def test_a_cancelled_generation_stops_at_once_and_the_same_worker_serves_on(
    model: LlamaModel,
) -> None:
    pid = await loaded_pid(model)
    started = time.monotonic()
    with anyio.move_on_after(0.05) as scope:
        await model.complete(LONG, 100)
    assert scope.cancelled_caught
    assert time.monotonic() - started < 1.5
    assert (await model.complete(HELLO, 10)).parsed == Reply("Hello! How can I help?")
    assert model.worker_pid == pid


async def test_a_cancelled_worker_that_does_not_stop_is_killed(model: LlamaModel) -> None:
    pid = await loaded_pid(model)
    os.kill(pid, signal.SIGSTOP)
    with anyio.move_on_after(0.05):
        await model.complete(HELLO, 10)
    assert model.worker_pid is None
    assert (await model.complete(HELLO, 10)).parsed == Reply("Hello! How can I help?")


async def test_requests_of_several_tasks_are_all_answered(model: LlamaModel) -> None:
    replies = []

    async def ask() -> None:
        replies.append((await model.complete(HELLO, 10)).parsed)

    async with anyio.create_task_group() as tasks:
        for _ in range(8):
            tasks.start_soon(ask)
    assert replies == [Reply("Hello! How can I help?")] * 8


async def test_after_closing_no_worker_is_left_and_calls_are_refused(model: LlamaModel) -> None:
    pid = await loaded_pid(model)
    await model.aclose()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    with pytest.raises(ModelUnavailable, match="was closed"):
        await model.describe()


async def test_closing_in_the_middle_of_a_request_ends_it(model: LlamaModel) -> None:
    pid = await loaded_pid(model)
    outcome = []

    async def ask() -> None:
        try:
            await model.complete(LONG, 100)
        except ModelError as error:
            outcome.append(error)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        await anyio.wait_all_tasks_blocked()
        await model.aclose()
    assert [type(error) for error in outcome] == [ModelUnavailable]
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_server_that_is_killed_leaves_no_worker_behind(model_path: Path, engine: Engine) -> None:
    script = (
        "import anyio, sys; from pathlib import Path; from agent.models.llama import *\n"
        "async def main():\n"
        "    model = LlamaModel(Path(sys.argv[1]), options=LlamaOptions(engine=sys.argv[2]))\n"
        "    await model.describe()\n"
        "    print(model.worker_pid, flush=True)\n"
        "    await anyio.sleep_forever()\n"
        "anyio.run(main)\n"
    )
    command = [sys.executable, "-c", script, str(model_path), engine]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, text=True) as server:
        assert server.stdout is not None
        pidfd = os.pidfd_open(int(server.stdout.readline()))
        server.kill()
    assert wait_for_end(pidfd, 10)
    os.close(pidfd)


def test_a_worker_that_reads_what_is_no_frame_ends() -> None:
    command = [sys.executable, "-P", "-m", WORKER_MODULE]
    pipe = subprocess.PIPE
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, env=environment) as worker:
        assert worker.stdin is not None
        assert worker.stderr is not None
        worker.stdin.write(b"\xff\xff\xff\xff")
        worker.stdin.flush()  # and not closed: only the frame can end it
        try:
            assert worker.wait(10) == 1
            assert b"a frame of 4294967295 bytes" in worker.stderr.read()
        finally:
            worker.kill()


def test_importing_the_model_imports_no_engine() -> None:
    script = (
        "import sys, agent.models.llama, agent.models.scripted\n"
        "heavy = {'llama_cpp', 'xllamacpp', 'llguidance', 'numpy', 'jinja2'} & set(sys.modules)\n"
        "sys.exit(repr(heavy) if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT)
