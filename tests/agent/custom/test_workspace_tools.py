"""Files of its workspace as an agent's model reads and writes them."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.custom.workspace_tools import READ_BYTES, workspace_source, workspace_tools
from agent.outside import OutsideCall
from agent.tools import OUTSIDE_BY_NAME
from memory.errors import InvalidValue
from memory.records import Agent, AgentState
from sandbox.errors import FileRefused, SandboxError
from sandbox.workspace import Workspace
from sandbox.workspace_records import FilePart
from sandbox.workspace_text import NotText, text_of

NOW = datetime.now(UTC)


def agent(**settings: Any) -> Agent:
    return Agent(1, "agent-1", "Ada", "", "", "UTC", None, (), 2, 0, NOW, NOW, settings=settings)


class Files:
    """The tools over the workspace at a folder."""

    def __init__(self, root: Path) -> None:
        async def workspace_of(_: Agent) -> Workspace:
            return Workspace(root)

        self.workspace_of = workspace_of
        self.tools = workspace_tools(workspace_of)

    async def __call__(self, tool: str, **arguments: Any) -> str:
        done = await self.tools[tool].run(OutsideCall(agent(), arguments))
        assert not done.failed
        return done.text


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path / "w")


async def test_a_model_writes_lists_reads_and_deletes(files: Files) -> None:
    assert await files("file_list") == "There is nothing in it."
    assert (
        await files("file_write", path="notes/a.txt", content="Adá") == "notes/a.txt has 4 bytes."
    )
    await files("file_write", path="notes/a.txt", content="\n", append=True)
    assert await files("file_list") == "notes/"
    assert await files("file_list", path="notes") == "a.txt (5 bytes)"
    assert await files("file_read", path="notes/a.txt") == "Adá\n"
    assert await files("file_delete", path="notes") == "Deleted 2 files and folders."
    assert await files("file_list") == "There is nothing in it."


async def test_a_long_file_is_read_on_where_the_part_before_ended(files: Files) -> None:
    written = "é" * READ_BYTES
    await files("file_write", path="a", content=written)
    read, offset = "", 0
    while True:
        text = await files("file_read", path="a", offset=offset)
        part, _, more = text.partition("\n[")
        read += part
        if not more:
            break
        offset = int(more.rpartition(" ")[2].rstrip("]"))
    assert read == written


async def test_a_long_folder_is_listed_on(files: Files, tmp_path: Path) -> None:
    (tmp_path / "w").mkdir()
    for number in range(150):
        (tmp_path / "w" / f"{number:03}").touch()
    first = (await files("file_list")).splitlines()
    cursor = first[-1].rpartition(" ")[2].strip("]'")
    second = (await files("file_list", cursor=cursor)).splitlines()
    assert [line[:3] for line in first[:-1] + second] == [f"{n:03}" for n in range(150)]


async def test_what_is_no_text_is_left_to_code(files: Files, tmp_path: Path) -> None:
    (tmp_path / "w").mkdir()
    (tmp_path / "w" / "a.png").write_bytes(b"\x89PNG\0")
    with pytest.raises(FileRefused, match=r"5 bytes.*with code"):
        await files("file_read", path="a.png")


@pytest.mark.parametrize(
    ("tool", "arguments", "problem"),
    [
        ("file_read", {}, "path"),
        ("file_read", {"path": "a", "offset": -1}, "offset"),
        ("file_write", {"path": "a"}, "content"),
        ("file_write", {"path": "a", "content": "", "mode": "w"}, "mode"),
        ("file_delete", {"path": 3}, "path"),
    ],
)
async def test_arguments_that_do_not_fit_are_named(
    files: Files, tool: str, arguments: Mapping[str, Any], problem: str
) -> None:
    with pytest.raises(InvalidValue, match=problem):
        await files(tool, **arguments)


@pytest.mark.parametrize("path", ["../a", "/etc/passwd", "a\0"])
async def test_paths_out_are_refused(files: Files, path: str) -> None:
    for tool in ("file_read", "file_delete", "file_list"):
        with pytest.raises(SandboxError):
            await files(tool, path=path)
    with pytest.raises(SandboxError):
        await files("file_write", path=path, content="x")


def test_an_agent_has_those_that_it_is_set_to(files: Files) -> None:
    def tools_of(agent: Agent) -> list[str]:
        return list(workspace_source(files.workspace_of)(AgentState(agent, (), (), 0)))

    assert tools_of(agent()) == []
    assert tools_of(agent(tools=["file_write", "file_list"])) == ["file_list", "file_write"]
    assert set(files.tools) < set(OUTSIDE_BY_NAME)


@given(st.text(), st.integers(4, 9))
def test_parts_of_a_text_joined_give_it_back(text: str, size: int) -> None:
    data = text.replace("\0", "").encode()
    joined, offset = "", 0
    while True:
        part = text_of(FilePart(data[offset : offset + size], offset, len(data)))
        joined += part.text
        if part.next_offset is None:
            break
        assert part.next_offset > offset
        offset = part.next_offset
    assert joined.encode() == data


@given(st.binary(max_size=12), st.integers(0, 20))
def test_any_bytes_are_text_or_not(data: bytes, more: int) -> None:
    try:
        part = text_of(FilePart(data, 0, len(data) + more))
    except NotText:
        return
    assert data.startswith(part.text.encode())
