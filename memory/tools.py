"""Tools as objects: source that people and agents wrote, its versions, and which agents have it.

Only kept here: what a source means is agent/custom's, running it the sandbox's. Every change is an
event with the whole tool before and after, so that any version can be read back. No cache holds
tools: what an agent has is read when it is asked for (the working set knows nothing of it).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from dataclasses import replace as with_changes
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from memory.errors import (
    InvalidValue,
    ToolNameTaken,
    UnknownTool,
    UnknownVersion,
    VersionMoved,
)
from memory.limits import (
    MAX_DESCRIPTION_CHARS,
    check_object,
    check_requirements,
    check_return_limit,
    check_source,
    check_tags,
    check_text,
    check_tool_name,
)
from memory.records import Agent
from memory.transaction import Reader, Row, Transaction, to_json

MAX_NAMES_SHOWN = 20
MAX_TOOLS_OF_AGENT = 100
"""More schemas than a local window holds."""
DEFAULT_RETURN_CHARS = 50_000


@dataclass(frozen=True, slots=True)
class NewTool:
    """What a new tool is made of; whoever creates it is its author.

    schema: JSON Schema of its arguments. policy: JSON that agent/custom/tool_policy.py reads.
    requirements: packages as pip names them. package_lock: what they come to, by its name (see
    locks.py); None: nobody was asked yet.
    """

    name: str
    description: str
    source: str
    schema: Mapping[str, Any]
    policy: Mapping[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()
    return_limit_chars: int = DEFAULT_RETURN_CHARS
    requires_approval: bool = False
    package_lock: str | None = None


@dataclass(frozen=True, slots=True)
class StoredTool:
    """A tool as it is, or was at one of its versions. author: who created it, as in Origin."""

    key: int
    id: str
    name: str
    description: str
    source: str
    schema: dict[str, Any]
    policy: dict[str, Any]
    tags: tuple[str, ...]
    requirements: tuple[str, ...]
    return_limit_chars: int
    requires_approval: bool
    author: str
    version: int
    created_at: datetime
    updated_at: datetime
    package_lock: str | None = None


@dataclass(frozen=True, slots=True)
class WhichTools:
    """Which tools are wanted; what is not given excludes none.

    name: part of the name. text: part of the name or the description. Both without regard to case.
    agent: those that it has.
    """

    name: str | None = None
    text: str | None = None
    tags_any: tuple[str, ...] = ()
    tags_all: tuple[str, ...] = ()
    agent: Agent | None = None


def create_tool(transaction: Transaction, new: NewTool, writer: Agent | None = None) -> StoredTool:
    """Store a new tool; no agent has it yet. writer: the agent that wrote it (see is_writer).

    Raises:
        ToolNameTaken: names are unique, without regard to case.
        InvalidValue: some value cannot be stored.
    """
    tool = checked(
        StoredTool(
            key=transaction.value("next_key"),
            id=f"tool-{uuid4()}",
            name=new.name,
            description=new.description,
            source=new.source,
            schema=dict(new.schema),
            policy=dict(new.policy),
            tags=new.tags,
            requirements=new.requirements,
            return_limit_chars=new.return_limit_chars,
            requires_approval=new.requires_approval,
            author=transaction.origin.actor,
            version=1,
            created_at=transaction.now,
            updated_at=transaction.now,
            package_lock=new.package_lock,
        )
    )
    refuse_taken_name(transaction, tool.name)
    transaction.run("insert_tool", id=tool.id, **_columns(tool))
    agent_id = None if writer is None else writer.id
    transaction.record("tool.create", tool.id, agent_id, after=describe(tool))
    return tool


def is_writer(reader: Reader, agent: Agent, tool: StoredTool) -> bool:
    """Whether this agent wrote a tool, whatever either was called then or is now."""
    actor = f"agent:{agent.name}"
    found = reader.row("is_writer", tool_id=tool.id, agent_id=agent.id, actor=actor)
    return found is not None


def find_tool(reader: Reader, tool: str) -> StoredTool:
    """Return the tool with this id or name.

    Raises:
        UnknownTool: naming some that exist.
    """
    row = reader.row("find_tool", tool=tool, visible=reader.visible_ids)
    if row is None:
        rows = reader.rows("tool_names", limit=MAX_NAMES_SHOWN + 1, visible=reader.visible_ids)
        names = [name for (name,) in rows]
        raise UnknownTool(tool, names[:MAX_NAMES_SHOWN], len(names) > MAX_NAMES_SHOWN)
    return _tool(row)


def at_version(reader: Reader, tool: StoredTool, version: int) -> StoredTool:
    """Return a tool as it was at one of its versions.

    Raises:
        UnknownVersion: it never had it.
    """
    if version == tool.version:
        return tool
    row = reader.row("tool_version", id=tool.id, version=version)
    if row is None:
        raise UnknownVersion(tool.name, version, tool.version)
    happened_at, after = row
    columns = json.loads(after)
    lists = {name: tuple(columns[name]) for name in ("tags", "requirements")}
    then = {**columns, **lists, "updated_at": happened_at.replace(tzinfo=UTC)}
    return with_changes(tool, **{"package_lock": None, **then})  # older events do not name it


def list_tools(
    reader: Reader, after: int = 0, limit: int = 50, which: WhichTools | None = None
) -> list[StoredTool]:
    """Return tools in the order of their creation, those after a given key."""
    which = which or WhichTools()
    rows = reader.rows(
        "list_tools",
        after=after,
        limit=limit,
        visible=reader.visible_ids,
        agent_key=None if which.agent is None else which.agent.key,
        name=which.name,
        text=which.text,
        tags_any=to_json(which.tags_any) if which.tags_any else None,
        tags_all=to_json(which.tags_all) if which.tags_all else None,
    )
    return [_tool(row) for row in rows]


def update_tool(
    transaction: Transaction,
    tool: StoredTool,
    changes: Mapping[str, Any],
    expected_version: int | None = None,
) -> StoredTool:
    """Change fields of NewTool; what changes nothing makes no version.

    With other requirements it has no lock of packages any more, unless one comes with them.

    Args:
        expected_version: the version that whoever decided had seen; None: any.

    Raises:
        VersionMoved: the tool is at another version.
        ToolNameTaken: another tool has the name.
        InvalidValue: some value cannot be stored.
    """
    if expected_version is not None and tool.version != expected_version:
        raise VersionMoved(f"tool {tool.name!r}", expected_version, tool.version)
    changed = checked(with_changes(tool, **changes))
    if changed.requirements != tool.requirements and "package_lock" not in changes:
        changed = with_changes(changed, package_lock=None)
    if changed == tool:
        return tool
    if changed.name != tool.name:
        refuse_taken_name(transaction, changed.name, changed.key)
    changed = with_changes(changed, updated_at=transaction.now)
    version = transaction.value("update_tool", version=tool.version, **_columns(changed))
    if version is None:  # the caller read it in another transaction
        now = find_tool(transaction, tool.id)
        raise VersionMoved(f"tool {tool.name!r}", tool.version, now.version)
    changed = with_changes(changed, version=version)
    transaction.record("tool.update", tool.id, None, describe(tool), describe(changed))
    return changed


def delete_tool(transaction: Transaction, tool: StoredTool) -> list[str]:
    """Delete a tool and take it from every agent; its event keeps it.

    Returns:
        The names of the agents that had it.
    """
    users = users_of_tool(transaction, tool)
    for agent_id, _ in users:
        transaction.record("tool.detach", tool.id, agent_id, before={"name": tool.name})
    transaction.run("detach_everywhere", tool_key=tool.key)
    transaction.run("delete_tool", key=tool.key)
    transaction.record("tool.delete", tool.id, None, before=describe(tool))
    return [name for _, name in users]


def attach_tool(transaction: Transaction, agent: Agent, tool: StoredTool) -> bool:
    """Give a tool to an agent, as its last; returns whether it had it not yet.

    Raises:
        InvalidValue: the agent has as many as it may.
    """
    if any(has.key == tool.key for has in tools_of(transaction, agent)):
        return False
    check_room(transaction, agent)
    position = transaction.value("next_tool_position", agent_key=agent.key)
    transaction.run("attach_tool", agent_key=agent.key, tool_key=tool.key, position=position)
    transaction.record("tool.attach", tool.id, agent.id, after={"name": tool.name})
    return True


def check_room(reader: Reader, agent: Agent) -> None:
    """Refuse one more tool when the agent cannot have it.

    Raises:
        InvalidValue: it has as many as it may.
    """
    if len(tools_of(reader, agent)) >= MAX_TOOLS_OF_AGENT:
        raise InvalidValue(
            f"agent {agent.name!r} has {MAX_TOOLS_OF_AGENT} tools, which is the limit; detach one"
        )


def detach_tool(transaction: Transaction, agent: Agent, tool: StoredTool) -> bool:
    """Take a tool from an agent; it stays. Returns whether it had it."""
    if not any(has.key == tool.key for has in tools_of(transaction, agent)):
        return False
    transaction.run("detach_tool", agent_key=agent.key, tool_key=tool.key)
    transaction.record("tool.detach", tool.id, agent.id, before={"name": tool.name})
    return True


def tools_of(reader: Reader, agent: Agent) -> list[StoredTool]:
    """Return the tools of an agent, in the order in which it got them."""
    return [_tool(row) for row in reader.rows("tools_of_agent", agent_key=agent.key)]


def users_of_tool(reader: Reader, tool: StoredTool) -> list[tuple[str, str]]:
    """Return id and name of every agent that has a tool, of those who asks may know of."""
    rows = reader.rows("users_of_tool", tool_key=tool.key, visible=reader.visible_ids)
    return [(id_, name) for id_, name in rows]


def refuse_taken_name(reader: Reader, name: str, key: int | None = None) -> None:
    """Refuse a name that another tool has than the one with this key.

    Raises:
        ToolNameTaken: one has.
    """
    row = reader.row("find_tool", tool=name, visible=None)
    if row is not None and row[0] != key:
        raise ToolNameTaken(name, "another tool")


def describe(tool: StoredTool) -> dict[str, Any]:
    """A tool as events keep it: all but its id and when it was made."""
    return {
        "name": tool.name,
        "description": tool.description,
        "source": tool.source,
        "schema": tool.schema,
        "policy": tool.policy,
        "tags": list(tool.tags),
        "requirements": list(tool.requirements),
        "return_limit_chars": tool.return_limit_chars,
        "requires_approval": tool.requires_approval,
        "package_lock": tool.package_lock,
        "author": tool.author,
        "version": tool.version,
    }


def checked(tool: StoredTool) -> StoredTool:
    """A tool as it is to be stored.

    Raises:
        InvalidValue: some value cannot be.
    """
    check_tool_name(tool.name)
    check_text(tool.description, "description", MAX_DESCRIPTION_CHARS)
    check_source(tool.source)
    check_object(tool.schema, "the schema", "let it say less")
    check_object(tool.policy, "policy", "grant less")
    check_return_limit(tool.return_limit_chars)
    return with_changes(
        tool, tags=check_tags(tool.tags), requirements=check_requirements(tool.requirements)
    )


def _columns(tool: StoredTool) -> dict[str, Any]:
    columns = describe(tool)
    del columns["version"]
    for name in ("schema", "policy", "tags", "requirements"):
        columns[name] = to_json(columns[name])
    return {**columns, "key": tool.key, "now": tool.updated_at.replace(tzinfo=None)}


def _tool(row: Row) -> StoredTool:
    tool = StoredTool(*row)
    return with_changes(
        tool,
        schema=json.loads(row[5]),
        policy=json.loads(row[6]),
        tags=tuple(tool.tags),
        requirements=tuple(tool.requirements),
        created_at=tool.created_at.replace(tzinfo=UTC),
        updated_at=tool.updated_at.replace(tzinfo=UTC),
    )
