"""The files of an agent's workspace as tools: file_list, file_read, file_write, file_delete.

An agent has those that it is set to by name. They see what its code left there (run_code, custom
tools), and its code sees what they wrote. What is no text is left to code.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import anyio.to_thread

from agent.custom.arguments import checked_arguments
from agent.outside import Done, OutsideCall, OutsideTool, ToolSource
from agent.settings import settings_of
from memory.records import Agent, AgentState
from sandbox.errors import FileRefused
from sandbox.workspace import Workspace
from sandbox.workspace_records import Kind
from sandbox.workspace_text import NotText, text_of

WorkspaceOf = Callable[[Agent], Awaitable[Workspace]]
"""The workspace of an agent."""

READ_BYTES: Final = 16_000
_LISTED: Final = 100

Schema = Mapping[str, Any]
Use = Callable[[Workspace, Mapping[str, Any]], str]


@dataclass(frozen=True, slots=True)
class _FileTool:
    description: str
    arguments: Schema
    required: tuple[str, ...]
    use: Use


def workspace_tools(workspace_of: WorkspaceOf) -> dict[str, OutsideTool]:
    """All of them, by name, in the order in which a model is told of them."""
    return {name: _tool(name, tool, workspace_of) for name, tool in _TOOLS.items()}


def workspace_source(workspace_of: WorkspaceOf) -> ToolSource:
    """Those that an agent is set to by name."""
    tools = workspace_tools(workspace_of)

    def source(state: AgentState) -> Mapping[str, OutsideTool]:
        named = settings_of(state.agent).tools or ()
        return {name: tool for name, tool in tools.items() if name in named}

    return source


def entry_line(name: str, kind: Kind, size_bytes: int) -> str:
    """A line of a listing."""
    match kind:
        case "folder":
            return f"{name}/"
        case "file":
            return f"{name} ({size_bytes} bytes)"
    return f"{name} (a link or the like, which is not opened)"


def _tool(name: str, tool: _FileTool, workspace_of: WorkspaceOf) -> OutsideTool:
    schema = {
        "type": "object",
        "properties": tool.arguments,
        "required": list(tool.required),
        "additionalProperties": False,
    }

    async def run(call: OutsideCall) -> Done:
        arguments = checked_arguments(name, schema, call.arguments)
        workspace = await workspace_of(call.agent)
        return Done(await anyio.to_thread.run_sync(partial(tool.use, workspace, arguments)))

    return OutsideTool(name, tool.description, schema, run, actor=f"tool:{name}")


def _list(workspace: Workspace, arguments: Mapping[str, Any]) -> str:
    page = workspace.listing(arguments.get("path", ""), arguments.get("cursor"), _LISTED)
    lines = [entry_line(e.name, e.kind, e.size_bytes) for e in page.entries]
    if page.next_cursor is not None:
        lines.append(f"[more: file_list with cursor {page.next_cursor!r}]")
    return "\n".join(lines) or "There is nothing in it."


def _read(workspace: Workspace, arguments: Mapping[str, Any]) -> str:
    path = arguments["path"]
    part = workspace.read(path, arguments.get("offset", 0), READ_BYTES)
    try:
        text = text_of(part)
    except NotText:
        raise FileRefused(
            path, f"is no UTF-8 text there (it has {part.size_bytes} bytes); read it with code"
        ) from None
    if text.next_offset is None:
        return text.text or "The file is empty."
    more = part.size_bytes - text.next_offset
    return f"{text.text}\n[{more} more bytes: file_read with offset {text.next_offset}]"


def _write(workspace: Workspace, arguments: Mapping[str, Any]) -> str:
    path, append = arguments["path"], arguments.get("append", False)
    try:
        data = arguments["content"].encode()
    except UnicodeEncodeError:
        raise FileRefused(path, "cannot be written: the content is not valid Unicode") from None
    return f"{path} has {workspace.write(path, data, append)} bytes."


def _delete(workspace: Workspace, arguments: Mapping[str, Any]) -> str:
    gone = workspace.delete(arguments["path"])
    return "Deleted." if gone == 1 else f"Deleted {gone} files and folders."


_PATH: Final = {"type": "string", "description": "Within the workspace, as notes/a.txt."}

_TOOLS: Final[Mapping[str, _FileTool]] = {
    "file_list": _FileTool(
        "List a folder of your workspace.",
        {
            "path": {"type": "string", "description": "A folder; left out: the workspace."},
            "cursor": {"type": "string", "description": "As the page before gave it."},
        },
        (),
        _list,
    ),
    "file_read": _FileTool(
        "Read a text file of your workspace.",
        {
            "path": _PATH,
            "offset": {"type": "integer", "minimum": 0, "description": "In bytes."},
        },
        ("path",),
        _read,
    ),
    "file_write": _FileTool(
        "Write a text file of your workspace, with the folders that it is in.",
        {
            "path": _PATH,
            "content": {"type": "string"},
            "append": {"type": "boolean", "description": "At its end, in place of all of it."},
        },
        ("path", "content"),
        _write,
    ),
    "file_delete": _FileTool(
        "Delete a file or folder of your workspace.",
        {"path": {**_PATH, "description": "A file, a folder with all in it, or . for all."}},
        ("path",),
        _delete,
    ),
}
