"""Real sandboxes for tests; where none is possible the test is skipped and says why."""

import os
import shlex
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from sandbox.interpreter import ToolPython, find_interpreter
from sandbox.namespaces import NamespaceSandbox
from sandbox.places import temporary_places
from sandbox.protocol import Availability
from sandbox.settings import SandboxSettings
from sandbox.unprivileged import find_child


@asynccontextmanager
async def isolated(settings: SandboxSettings) -> AsyncIterator[NamespaceSandbox]:
    """A sandbox of this machine; without spare processes, each call waits for its end as well."""
    async with AsyncExitStack() as stack:
        places = stack.enter_context(temporary_places())
        sandbox = NamespaceSandbox(places, settings)
        if settings.warm_workers:
            await stack.enter_async_context(sandbox.open())
        found = await sandbox.availability()
        skip_where_impossible(found)
        yield sandbox


def skip_where_impossible(found: Availability) -> None:
    """Skip where this machine cannot isolate; where an attempt to break out got through, fail."""
    if found.tier is None and found.tried:
        pytest.fail(f"{found.cause}: {found.tried}")
    if found.tier is None:
        pytest.skip(f"nothing can be isolated here: {found.cause}. {found.cure}")


def tool_python() -> ToolPython:
    """The Python that runs tools here, as whoever it does."""
    child = find_child()
    return ToolPython(find_interpreter(child).path, child)


@contextmanager
def open_folder() -> Iterator[Path]:
    """A folder that every user may read and write; those of pytest are closed to others."""
    with tempfile.TemporaryDirectory(prefix="mnemon-test-") as folder:
        Path(folder).chmod(0o777)
        yield Path(folder)


def noting_python(folder: Path, python: str) -> tuple[Path, Callable[[], set[int]]]:
    """A Python that notes as whom it is run, and what was noted."""
    notes = folder / "users"
    notes.touch()
    notes.chmod(0o666)
    script = folder / "noting-python"
    words = shlex.quote(os.fspath(notes)), shlex.quote(python)
    script.write_text('#!/bin/sh\nid -u >> {}\nexec {} "$@"\n'.format(*words))
    script.chmod(0o755)
    return script, lambda: set(map(int, notes.read_text().split()))
