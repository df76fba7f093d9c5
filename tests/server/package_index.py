"""An index of packages on this machine, and hosts of tools that import from it."""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import anyio
import pytest
from mcp import Client

from sandbox.places import places_beside, remove_tree
from sandbox.protocol import Availability
from server.app import open_app
from server.config import Settings
from tests.sandbox.sandboxes import open_folder, skip_where_impossible
from tests.server.test_approvals import Person
from tests.server.test_custom_tools import Host

USE = '''def brew(cups: int = 1) -> dict:
    """Brew tea."""
    import tea
    return {"version": tea.VERSION, "from": tea.__file__}
'''
BREWED = '{"version":"1.0","from":"/venv/tea.py"}'
OTHER = USE.replace("brew", "steep")


@contextmanager
def only_index(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A folder that is all that installers know of."""
    with open_folder() as folder:
        _let_installers_know(folder, monkeypatch, tmp_path)
        yield folder


def _let_installers_know(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith(("PIP_", "UV_")):
            monkeypatch.delenv(name)
    (tmp_path / "uv.toml").write_text(f"no-index = true\nfind-links = [{str(folder)!r}]\n")
    monkeypatch.setenv("UV_CONFIG_FILE", str(tmp_path / "uv.toml"))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))


def kept_data(tmp_path: Path) -> Iterator[Path]:
    """A data directory; what its sandbox keeps elsewhere is gone afterwards."""
    data = tmp_path / "data"
    yield data
    remove_tree(packages_of(data).parent)


def packages_of(data: Path) -> Path:
    """Where packages of a data directory lie."""
    return places_beside(data, is_root=os.geteuid() == 0).packages


def installed(data: Path) -> list[str]:
    """The keys of the locks that are installed."""
    root = packages_of(data)
    return sorted(path.name for path in root.iterdir() if path.is_dir()) if root.exists() else []


def skip_without_sandbox() -> None:
    """Skip where nothing can be isolated."""

    async def found() -> Availability:
        async with open_app(Settings(data=":memory:", embedder="none")) as app:
            return await (await app.runtime()).outside.sandbox.availability()

    skip_where_impossible(anyio.run(found))


@asynccontextmanager
async def hosting(data: Path | str, person: Person | None = None) -> AsyncIterator[Host]:
    """A host on a data directory; skips where nothing can be isolated."""
    settings = Settings(data=str(data), embedder="none", toolset="full")
    with anyio.fail_after(120):
        async with (
            open_app(settings) as app,
            Client(app.server(), elicitation_callback=person) as client,
        ):
            found = await (await app.runtime()).outside.sandbox.availability()
            skip_where_impossible(found)
            yield Host(app, client)
