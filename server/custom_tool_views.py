"""Stored tools as hosts see them, within what a reply may hold."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from memory.locks import find_lock
from memory.tools import StoredTool, describe, users_of_tool
from memory.transaction import Reader, to_json
from server.custom_tool_models import (
    ToolAttached,
    ToolDeleted,
    ToolLine,
    ToolPage,
    ToolRan,
    ToolShown,
)
from server.memory_tools import with_cursor
from server.memory_uris import piece_of
from server.reply_size import PAGE_BYTES, first_of, fitting, json_bytes, shortened
from server.shown_source import digest, line_count, mark

# A reply holds these once as text and once as structure, beside a piece of the source.
_DESCRIPTION_BYTES: Final = 800
_OBJECT_BYTES: Final = 1_000
_NAMES_BYTES: Final = 300
_TEXT_BYTES: Final = PAGE_BYTES - _DESCRIPTION_BYTES - 2 * _OBJECT_BYTES - 4 * _NAMES_BYTES
_LINE_BYTES: Final = 300


def tool_line(tool: StoredTool) -> ToolLine:
    """A tool in a list; of its description the first line."""
    first = tool.description.partition("\n")[0]
    return ToolLine(
        id=tool.id,
        name=tool.name,
        description=shortened(first, _LINE_BYTES, f"tool_get {tool.name}"),
        tags=first_of(tool.tags, _NAMES_BYTES),
        version=tool.version,
        author=tool.author,
        requires_approval=tool.requires_approval,
    )


def page_of(found: Sequence[StoredTool], limit: int) -> ToolPage:
    """As many tools as fit a page; found holds one more than the limit when there are more."""
    shown = [tool_line(tool) for tool in found[:limit]]
    count = fitting([json_bytes(line.model_dump()) + 1 for line in shown], PAGE_BYTES)
    return ToolPage(
        tools=shown[:count],
        next_cursor=str(found[count - 1].key) if count < len(found) else None,
    )


def show_tool(reader: Reader, tool: StoredTool) -> ToolShown:
    """A tool without its source."""
    agents = [name for _, name in users_of_tool(reader, tool)]
    lock = find_lock(reader, tool.package_lock or "")
    shown = {
        "description": shortened(tool.description, _DESCRIPTION_BYTES, "part settings"),
        "json_schema": _short_object(tool.schema),
        "policy": _short_object(tool.policy),
        "tags": first_of(tool.tags, _NAMES_BYTES),
        "requirements": first_of(tool.requirements, _NAMES_BYTES),
    }
    whole = _settings(tool)
    return ToolShown(
        id=tool.id,
        name=tool.name,
        **shown,
        packages=[] if lock is None else first_of(lock.packages, _NAMES_BYTES),
        return_limit_chars=tool.return_limit_chars,
        requires_approval=tool.requires_approval,
        author=tool.author,
        version=tool.version,
        created_at=tool.created_at.isoformat("T", "seconds"),
        updated_at=tool.updated_at.isoformat("T", "seconds"),
        source_sha256=digest(tool.source),
        source_lines=line_count(tool.source),
        agents=first_of(agents, _NAMES_BYTES),
        cut=any(value != whole[name] for name, value in shown.items()),
    )


def show_part(shown: ToolShown, tool: StoredTool, part: str, cursor: str | None) -> ToolShown:
    """A tool with a piece of its source, or of its settings.

    Raises:
        InvalidValue: the cursor is none of this text.
    """
    text = tool.source if part == "source" else to_json(_settings(tool))
    piece = piece_of(text, cursor, _TEXT_BYTES)
    return shown.model_copy(update={"text": piece.text, "next_cursor": piece.next_cursor})


def shown_text(shown: ToolShown) -> str:
    """A tool as a model reads it."""
    if shown.status == "waiting":
        return shown.said()
    asks = "; a person is asked at each call" if shown.requires_approval else ""
    lines = [
        f"Tool {shown.name} ({shown.id}), version {shown.version} of {shown.updated_at}, by"
        f" {shown.author}{asks}.",
        shown.description,
        f"Arguments: {to_json(shown.json_schema)}",
    ]
    lines += [f"Policy: {to_json(shown.policy)}"] if shown.policy else []
    lines += [f"Requirements: {', '.join(shown.requirements)}"] if shown.requirements else []
    lines += [f"Packages: {', '.join(shown.packages)}"] if shown.packages else []
    lines += [f"Not installed yet: {shown.problem}"] if shown.problem else []
    lines += [f"Tags: {', '.join(shown.tags)}"] if shown.tags else []
    lines += [
        f"Source: {mark(shown.source_sha256, shown.source_lines)}",
        f"Return limit: {shown.return_limit_chars} characters",
        f"Agents: {', '.join(shown.agents) or 'none'}",
    ]
    if shown.text:
        lines.append(shown.text)
    return with_cursor("\n".join(lines), shown.next_cursor)


def page_text(page: ToolPage) -> str:
    """A list of tools as a model reads it."""
    lines = [
        f"- {tool.name} ({tool.id}): {tool.description}"
        + (f" [{', '.join(tool.tags)}]" if tool.tags else "")
        for tool in page.tools
    ]
    return with_cursor("\n".join(lines) or "There are no tools.", page.next_cursor)


def deleted_text(deleted: ToolDeleted) -> str:
    """What was deleted."""
    had = f"; {', '.join(deleted.agents)} had it" if deleted.agents else ""
    return f"Deleted tool {deleted.name}{had}."


def attached_text(done: ToolAttached) -> str:
    """Whether an agent has a tool now."""
    already = "" if done.changed else ", as before"
    return f"Agent {done.agent} {'has' if done.attached else 'has no'} tool {done.tool}{already}."


def ran_text(ran: ToolRan) -> str:
    """What came of a run, or a page of it."""
    return with_cursor(f"Error: {ran.text}" if ran.failed else ran.text, ran.next_cursor)


def first_agents(names: Sequence[str]) -> list[str]:
    """As many names of agents as fit."""
    return first_of(names, PAGE_BYTES // 2)


def _settings(tool: StoredTool) -> dict[str, Any]:
    """All of a tool but its source, under the names that its tools have."""
    stored = describe(tool)
    return {
        "json_schema": stored.pop("schema"),
        **{k: v for k, v in stored.items() if k != "source"},
    }


def _short_object(value: Mapping[str, Any]) -> dict[str, Any]:
    """An object that fits, or where to read it: half of one would pass for the whole."""
    size = json_bytes(value)
    return dict(value) if size <= _OBJECT_BYTES else {"…": f"{size} bytes: part settings"}
