"""Arguments and results of the tools for files of an agent's workspace."""

from typing import Annotated, Literal

from pydantic import Field, WithJsonSchema

from agent.memory_tools import Result
from server.memory_tools import ChangesAgent, ForAgent

Path = Annotated[str, Field(max_length=1_024), WithJsonSchema({"type": "string"})]
Encoding = Literal["utf-8", "base64"]


class ListFiles(ForAgent):
    """Arguments of workspace_list."""

    path: Path = Field("", description="A folder.")
    cursor: str | None = None


class ReadFile(ForAgent):
    """Arguments of workspace_read."""

    path: Path
    cursor: str | None = None


class WriteFile(ChangesAgent):
    """Arguments of workspace_write."""

    path: Path
    content: str
    encoding: Encoding = "utf-8"
    append: bool = False


class DeleteFile(ChangesAgent):
    """Arguments of workspace_delete."""

    path: Path = Field(description="A file, a folder with all in it, or . for all.")


class FileLine(Result):
    """What a folder holds. kind "other": a link or the like, which is never opened."""

    name: str
    kind: Literal["file", "folder", "other"]
    size_bytes: int
    modified_at: str


class FilePage(Result):
    """A page of a folder, by name. used_bytes: of the whole workspace, of at most limit_bytes."""

    path: str
    files: list[FileLine]
    used_bytes: int
    limit_bytes: int
    next_cursor: str | None = None


class FileRead(Result):
    """Part of a file. encoding "base64": the bytes are no text."""

    path: str
    content: str
    encoding: Encoding
    size_bytes: int
    next_cursor: str | None = None


class FileWritten(Result):
    """What a file holds now."""

    path: str
    size_bytes: int


class FilesDeleted(Result):
    """How many files and folders are gone."""

    path: str
    deleted: int
