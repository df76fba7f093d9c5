"""Files of an agent's workspace, for hosts: what its code made, and what its code shall find.

They lie outside of memory: a write is noted in the journal, and the files themselves have no
history. A repeat of a request changes nothing, as with memory.
"""

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

import anyio.to_thread

from agent.custom.workspace_tools import entry_line
from memory import agents
from memory.errors import InvalidValue
from memory.transaction import Transaction
from sandbox.workspace import Workspace
from sandbox.workspace_records import Entry, FilePart
from sandbox.workspace_text import NotText, text_of
from server.counted import counted, files_and_folders
from server.memory_access import MemoryAccess
from server.memory_tools import FULL_ONLY, ChangesAgent, with_cursor
from server.registry import Call, Tool
from server.reply_size import PAGE_BYTES, fitting, json_bytes
from server.workspace_models import (
    DeleteFile,
    FileLine,
    FilePage,
    FileRead,
    FilesDeleted,
    FileWritten,
    ListFiles,
    ReadFile,
    WriteFile,
)

if TYPE_CHECKING:  # hosts list the tools before DuckDB is imported
    from memory.store import MemoryStore

_LISTED: Final = 100
_MAX_OFFSET_DIGITS: Final = 15
_BINARY_BYTES: Final = PAGE_BYTES * 3 // 4 - 3

M = TypeVar("M", FileWritten, FilesDeleted)


@dataclass(frozen=True, slots=True)
class WorkspaceTools:
    """What the tools do."""

    access: MemoryAccess

    async def list(self, call: Call, a: ListFiles) -> FilePage:
        """workspace_list."""
        workspace = await self._of(call, a.agent_id)

        def work() -> FilePage:
            page = workspace.listing(a.path, a.cursor, _LISTED)
            lines = [_line(entry) for entry in page.entries]
            count = fitting([json_bytes(line.model_dump()) + 1 for line in lines], PAGE_BYTES)
            cursor = page.next_cursor
            if count < len(lines):
                cursor = workspace.listing(a.path, a.cursor, count).next_cursor
            return FilePage(
                path=a.path,
                files=lines[:count],
                used_bytes=workspace.usage().total_bytes,
                limit_bytes=workspace.limits.total_bytes,
                next_cursor=cursor,
            )

        return await anyio.to_thread.run_sync(work)

    async def read(self, call: Call, a: ReadFile) -> FileRead:
        """workspace_read."""
        workspace, offset = await self._of(call, a.agent_id), _offset(a.cursor)

        def work() -> FileRead:
            return _shown(a.path, workspace.read(a.path, offset, PAGE_BYTES))

        return await anyio.to_thread.run_sync(work)

    async def write(self, call: Call, a: WriteFile) -> FileWritten:
        """workspace_write."""
        data = _bytes_of(a)

        def work(workspace: Workspace) -> FileWritten:
            size = workspace.write(a.path, data, a.append)
            return FileWritten(path=a.path, size_bytes=size)

        return await self._changed(call, "workspace_write", a, FileWritten, work)

    async def delete(self, call: Call, a: DeleteFile) -> FilesDeleted:
        """workspace_delete."""

        def work(workspace: Workspace) -> FilesDeleted:
            return FilesDeleted(path=a.path, deleted=workspace.delete(a.path))

        return await self._changed(call, "workspace_delete", a, FilesDeleted, work)

    async def _of(self, call: Call, agent: str) -> Workspace:
        """The workspace of an agent that exists for the caller."""
        state = await self.access.state(call.caller, agent)
        return await (await self.access.runtime()).outside.sandbox.files(state.agent.id)

    async def _changed(
        self,
        call: Call,
        tool: str,
        a: ChangesAgent,
        result: type[M],
        work: Callable[[Workspace], M],
    ) -> M:
        before = await self.access.first_result(call, tool, a, result)
        if before is not None:
            return before
        workspace = await self._of(call, a.agent_id)
        done = await anyio.to_thread.run_sync(work, workspace)

        def noted(_: "MemoryStore", transaction: Transaction) -> M:
            agent = agents.find_agent(transaction, a.agent_id)
            action = tool.replace("_", ".")
            after: dict[str, Any] = done.model_dump(mode="json")
            transaction.record(action, done.path, agent.id, after=after)
            return done

        return await self.access.write(call, tool, a, result, noted)


def workspace_tools(access: MemoryAccess) -> tuple[Tool, ...]:
    """The table of these tools, in the order hosts list them."""
    do = WorkspaceTools(access)
    return (
        Tool(
            name="workspace_list",
            title="List files of an agent",
            description="List a folder of the workspace of an agent, where its code keeps files.",
            arguments=ListFiles,
            result=FilePage,
            run=do.list,
            text=_page_text,
            read_only=True,
            toolsets=FULL_ONLY,
        ),
        Tool(
            name="workspace_read",
            title="Read a file of an agent",
            description="Read a file of the workspace of an agent.",
            arguments=ReadFile,
            result=FileRead,
            run=do.read,
            text=_read_text,
            read_only=True,
            toolsets=FULL_ONLY,
        ),
        Tool(
            name="workspace_write",
            title="Write a file of an agent",
            description="Write a file of the workspace of an agent, with the folders it is in.",
            arguments=WriteFile,
            result=FileWritten,
            run=do.write,
            text=lambda done: f"{done.path} has {counted(done.size_bytes, 'byte')}.",
            destructive=True,
            toolsets=FULL_ONLY,
        ),
        Tool(
            name="workspace_delete",
            title="Delete a file of an agent",
            description="Delete a file or folder of the workspace of an agent.",
            arguments=DeleteFile,
            result=FilesDeleted,
            run=do.delete,
            text=lambda done: f"Deleted {files_and_folders(done.deleted)}.",
            destructive=True,
            toolsets=FULL_ONLY,
        ),
    )


def _line(entry: Entry) -> FileLine:
    return FileLine(
        name=entry.name,
        kind=entry.kind,
        size_bytes=entry.size_bytes,
        modified_at=entry.modified_at.isoformat(timespec="seconds"),
    )


def _page_text(page: FilePage) -> str:
    lines = [entry_line(line.name, line.kind, line.size_bytes) for line in page.files]
    used = f"[{page.used_bytes} of {page.limit_bytes} bytes are used]"
    return with_cursor("\n".join([*lines, used]), page.next_cursor)


def _offset(cursor: str | None) -> int:
    if cursor is None:
        return 0
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= _MAX_OFFSET_DIGITS):
        raise InvalidValue(f"{cursor[:40]!a} is no cursor of a file; start without one")
    return int(cursor)


def _shown(path: str, part: FilePart) -> FileRead:
    """As much of a part as fits into a reply."""
    try:
        while True:
            found = text_of(part)
            room = json_bytes(found.text)
            if room <= PAGE_BYTES + 2:
                break
            # Characters that JSON escapes take up to six bytes.
            part = FilePart(part.data[: len(part.data) // 2], part.offset, part.size_bytes)
        content, encoding, end = found.text, "utf-8", found.next_offset
    except NotText:
        data = part.data[:_BINARY_BYTES]
        content, encoding = base64.b64encode(data).decode(), "base64"
        after = part.offset + len(data)
        end = after if after < part.size_bytes and data else None
    return FileRead.model_validate(
        {
            "path": path,
            "content": content,
            "encoding": encoding,
            "size_bytes": part.size_bytes,
            "next_cursor": None if end is None else str(end),
        }
    )


def _read_text(read: FileRead) -> str:
    if read.encoding == "base64":
        text = f"[base64, of a file of {read.size_bytes} bytes that is no text]\n{read.content}"
        return with_cursor(text, read.next_cursor)
    return with_cursor(read.content or "[an empty file]", read.next_cursor)


def _bytes_of(a: WriteFile) -> bytes:
    try:
        if a.encoding == "base64":
            return base64.b64decode(a.content, validate=True)
        return a.content.encode()
    except (binascii.Error, ValueError):
        raise InvalidValue(f"the content is not valid {a.encoding}; nothing was written") from None
