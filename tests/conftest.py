"""What every test may rely on: no settings from the person's own environment, a real mnemon."""

import fcntl
import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import settings

from sandbox.places import places_beside, remove_tree

# A shell that runs the tests in the background has them ignore Ctrl-C, and what they start too.
signal.signal(signal.SIGINT, signal.default_int_handler)

FIXTURES = Path(__file__).parent / "fixtures"

# Machines are shared and slow at times: what takes long is no failure, and CI repeats itself.
settings.register_profile("shared", deadline=None, derandomize=True)
settings.load_profile("shared")


@pytest.fixture(autouse=True)
def no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("MNEMON_"):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def no_owner_left_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    """End the owners that a test's hosts started, and remove what they keep elsewhere."""
    used = "tmp_path" in request.fixturenames
    directory: Path | None = request.getfixturevalue("tmp_path") if used else None
    yield
    for lock in directory.rglob("owner.lock") if directory else ():
        end_owner(lock)
    for database in directory.rglob("mnemon.duckdb") if directory and is_root() else ():
        remove_tree(places_beside(database.parent, is_root=True).root)


def is_root() -> bool:
    """Whether workspaces lie outside of the data directories, where nobody else removes them."""
    return os.geteuid() == 0


def end_owner(lock: Path) -> None:
    """Kill the process that holds the lock; a reused pid is spared, for nobody holds it then."""
    with lock.open("r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with suppress(ProcessLookupError, ValueError):
                os.kill(json.loads(file.read())["pid"], signal.SIGKILL)
            fcntl.flock(file, fcntl.LOCK_EX)


@pytest.fixture(scope="session")
def mnemon() -> str:
    """The installed command."""
    return str(Path(sys.executable).with_name("mnemon"))


@pytest.fixture(scope="session")
def model_file() -> Path:
    """A trained GGUF file, 2 MB, that speaks the language of a memory agent."""
    return FIXTURES / "tiny-memory-agent" / "tiny-memory-agent.gguf"
