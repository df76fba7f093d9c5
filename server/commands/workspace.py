"""`mnemon workspace list | read | write | delete`: the files of an agent, from the terminal."""

import base64
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from agent.custom.workspace_tools import entry_line
from server.asked_session import open_asked
from server.config import ConfigError, Settings, expanded
from server.console import Console
from server.counted import counted, files_and_folders
from server.tool_session import ToolSession
from server.workspace_models import FilePage, FileRead, FilesDeleted, FileWritten

_PORTION_BYTES: Final = 256 * 1024
"""Written in one call."""


def run(settings: Settings, options: dict[str, Any], console: Console) -> int:
    """Do one of the actions."""
    with open_asked(settings, options["given"], console, False) as tools:
        match options["action"]:
            case "list":
                _list(tools, options, console)
            case "read":
                _read(tools, options, console)
            case "write":
                _write(tools, options, console)
            case _:
                _delete(tools, options, console)
    return 0


def _list(tools: ToolSession, options: dict[str, Any], console: Console) -> None:
    asked = {"agent_id": options["agent_id"], "path": options["path"]}
    page = FilePage.model_validate(tools.call("workspace_list", asked))
    while page.next_cursor is not None:
        more = tools.call("workspace_list", {**asked, "cursor": page.next_cursor})
        following = FilePage.model_validate(more)
        page = following.model_copy(update={"files": page.files + following.files})
    lines = [entry_line(file.name, file.kind, file.size_bytes) for file in page.files]
    used = f"{page.used_bytes:,} of {page.limit_bytes:,} bytes are used"
    console.show(page, "\n".join([*(lines or ["no files"]), used]))


def _read(tools: ToolSession, options: dict[str, Any], console: Console) -> None:
    """Print a file as it is, or write it to a file out here."""
    data = b"".join(_parts(tools, options))
    if options["output"] is not None:
        path = expanded(Path(options["output"]))
        try:
            path.write_bytes(data)
        except OSError as error:
            raise ConfigError(f"{path} cannot be written: {error.strerror}") from error
        console.show({"path": str(path), "size_bytes": len(data)}, f"{path}: {len(data):,} bytes")
    elif console.as_json:
        encoded = base64.b64encode(data).decode()
        shown = {"path": options["path"], "content": encoded, "encoding": "base64"}
        console.show(shown, "")
    else:
        sys.stdout.buffer.write(data)


def _parts(tools: ToolSession, options: dict[str, Any]) -> Iterator[bytes]:
    asked, cursor = {"agent_id": options["agent_id"], "path": options["path"]}, None
    while True:
        read = FileRead.model_validate(tools.call("workspace_read", {**asked, "cursor": cursor}))
        base64_ = read.encoding == "base64"
        yield base64.b64decode(read.content) if base64_ else read.content.encode()
        if read.next_cursor is None:
            return
        cursor = read.next_cursor


def _write(tools: ToolSession, options: dict[str, Any], console: Console) -> None:
    data = _data(options["file"])
    written: dict[str, Any] = {}
    for start in range(0, max(len(data), 1), _PORTION_BYTES):
        portion = base64.b64encode(data[start : start + _PORTION_BYTES]).decode()
        arguments = {
            "agent_id": options["agent_id"],
            "path": options["path"],
            "content": portion,
            "encoding": "base64",
            "append": start > 0,
        }
        written = tools.call("workspace_write", arguments)
    done = FileWritten.model_validate(written)
    console.show(done, f"{done.path} has {counted(done.size_bytes, 'byte')}")


def _delete(tools: ToolSession, options: dict[str, Any], console: Console) -> None:
    arguments = {"agent_id": options["agent_id"], "path": options["path"]}
    done = FilesDeleted.model_validate(tools.call("workspace_delete", arguments))
    console.show(done, f"deleted {files_and_folders(done.deleted)}")


def _data(file: str) -> bytes:
    if file == "-":
        return sys.stdin.buffer.read()
    path = expanded(Path(file))
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
