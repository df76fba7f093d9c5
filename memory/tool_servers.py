"""MCP servers of others: how each is reached, what tools it had when last asked, who has them.

Only kept here: talking to them is server/external's. No secret is kept: a value says by
`$secret:NAME` where one belongs. What agents are offered is what is stored here, so a server that
changes its tools changes nothing before somebody lists them again. Every change is an event.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict
from dataclasses import replace as with_changes
from datetime import UTC
from typing import Any, Final
from uuid import uuid4

from memory.errors import InvalidValue, UnknownToolServer
from memory.limits import check_text
from memory.records import Agent
from memory.tool_server_records import Attached, Grants, Launch, SeenTool, ToolServer
from memory.transaction import Reader, Row, Transaction, to_json

MAX_SERVERS: Final = 100
MAX_NAMES_SHOWN: Final = 20
MAX_TOOLS_BYTES: Final = 2_000_000

_NAME = re.compile(r"[A-Za-z0-9]+(?:[_-]?[A-Za-z0-9]+)*")
_MAX_NAME_CHARS: Final = 24
"""The names of its tools begin with it, and have 64 characters at most."""


def create_server(
    transaction: Transaction, name: str, launch: Launch, tools: Sequence[SeenTool] | None = None
) -> ToolServer:
    """Store a server; no agent has its tools yet. tools: None: it was not asked yet.

    Raises:
        InvalidValue: the name is taken or none, or there are too many.
    """
    check_new(transaction, name)
    server = ToolServer(
        key=transaction.value("next_key"),
        id=f"server-{uuid4()}",
        name=name,
        launch=launch,
        enabled=True,
        tools=tuple(tools or ()),
        listed_at=None if tools is None else transaction.now,
        created_at=transaction.now,
        updated_at=transaction.now,
    )
    transaction.run("insert_tool_server", id=server.id, name=name, **_columns(server))
    transaction.record("tool_server.create", server.id, None, after=describe(server))
    return server


def check_new(reader: Reader, name: str) -> None:
    """Refuse a name that no new server can have.

    Raises:
        InvalidValue: it is taken or none, or there are too many servers.
    """
    if len(name) > _MAX_NAME_CHARS or not _NAME.fullmatch(name):
        raise InvalidValue(
            f"{name[:80]!r} cannot be a server's name; use 1 to {_MAX_NAME_CHARS} letters and"
            " digits, with single '-' or '_' between them"
        )
    if reader.row("find_tool_server", server=name) is not None:
        raise InvalidValue(f"a server named {name!r} exists already; choose another name")
    if len(reader.rows("tool_server_names", limit=MAX_SERVERS)) == MAX_SERVERS:
        raise InvalidValue(f"there are {MAX_SERVERS} servers, which is the limit; remove one")


def find_server(reader: Reader, server: str) -> ToolServer:
    """Return the server with this id or name.

    Raises:
        UnknownToolServer: naming some that exist.
    """
    row = reader.row("find_tool_server", server=server)
    if row is None:
        rows = reader.rows("tool_server_names", limit=MAX_NAMES_SHOWN)
        raise UnknownToolServer(server, [name for (name,) in rows])
    return _server(row)


def list_servers(reader: Reader, after: int = 0, limit: int = 50) -> list[ToolServer]:
    """Return servers in the order in which they were added, those after a given key."""
    return [_server(row) for row in reader.rows("list_tool_servers", after=after, limit=limit)]


def set_tools(
    transaction: Transaction, server: ToolServer, tools: Sequence[SeenTool]
) -> ToolServer:
    """Keep what a server listed now. What agents have of it stays, also what is gone from it."""
    changed = with_changes(
        server, tools=tuple(tools), listed_at=transaction.now, updated_at=transaction.now
    )
    return _update(transaction, server, changed)


def set_enabled(transaction: Transaction, server: ToolServer, enabled: bool) -> ToolServer:
    """Let its tools be called, or not for now."""
    return _update(
        transaction,
        server,
        with_changes(server, enabled=enabled, updated_at=transaction.now),
    )


def delete_server(transaction: Transaction, server: ToolServer) -> list[str]:
    """Remove a server and take its tools from every agent.

    Returns:
        The names of the agents that had some.
    """
    users = transaction.rows("users_of_tool_server", server_key=server.key)
    for key, id_, _, tool in users:
        _detach(transaction, (key, id_), server, tool)
    transaction.run("delete_tool_server", key=server.key)
    transaction.record("tool_server.delete", server.id, None, before=describe(server))
    return list(dict.fromkeys(name for _, _, name, _ in users))


def attach(transaction: Transaction, agent: Agent, server: ToolServer, tool: str | None) -> bool:
    """Give an agent one tool of a server, by its name there, or all; returns whether it is new.

    Raises:
        InvalidValue: the server has no such tool, or it cannot be offered.
    """
    if tool is not None:
        _check_usable(server, tool)
    names = _names(transaction, agent, server)
    if (tool or "") in names:
        return False
    transaction.run(
        "attach_tool_server", agent_key=agent.key, server_key=server.key, tool=tool or ""
    )
    after = {"name": server.name, "tool": tool}
    transaction.record("tool_server.attach", server.id, agent.id, after=after)
    return True


def detach(transaction: Transaction, agent: Agent, server: ToolServer, tool: str | None) -> bool:
    """Take one tool of a server from an agent, or all that it has; returns whether it had it.

    Raises:
        InvalidValue: it has the server as a whole, so single tools cannot be taken.
    """
    names = _names(transaction, agent, server)
    if tool is not None and tool not in names and "" in names:
        raise InvalidValue(
            f"agent {agent.name!r} has {server.name!r} as a whole; detach the server, then attach"
            " the tools that it keeps"
        )
    gone = names if tool is None else [name for name in names if name == tool]
    for name in gone:
        _detach(transaction, (agent.key, agent.id), server, name)
    return bool(gone)


def attached(reader: Reader, agent: Agent) -> list[Attached]:
    """Return what an agent has, by server, in the order in which they were added."""
    return [
        Attached(_server(row[:-1]), "" in row[-1], tuple(name for name in row[-1] if name))
        for row in reader.rows("attached_tool_servers", agent_key=agent.key)
    ]


def users(reader: Reader, server: ToolServer) -> dict[str, list[str]]:
    """Return, by the name of each agent that has tools of a server, their names; "" is all."""
    found: dict[str, list[str]] = {}
    for _, _, name, tool in reader.rows("users_of_tool_server", server_key=server.key):
        found.setdefault(name, []).append(tool)
    return found


def forget_agent(transaction: Transaction, agent: Agent) -> None:
    """Take from an agent that is deleted what it has."""
    for has in attached(transaction, agent):
        detach(transaction, agent, has.server, None)


def copy_attached(transaction: Transaction, source: Agent, clone: Agent) -> None:
    """Give a clone what the other has."""
    for has in attached(transaction, source):
        for tool in ("" if has.whole else None, *has.names):
            if tool is not None:
                transaction.run(
                    "attach_tool_server", agent_key=clone.key, server_key=has.server.key, tool=tool
                )
                after = {"name": has.server.name, "tool": tool or None}
                transaction.record("tool_server.attach", has.server.id, clone.id, after=after)


def describe(server: ToolServer) -> dict[str, Any]:
    """A server as events keep it: of its tools only which they were."""
    return {
        "name": server.name,
        "launch": _launch_columns(server.launch),
        "enabled": server.enabled,
        "tools": {tool.name: tool.digest for tool in server.tools},
    }


def _update(transaction: Transaction, server: ToolServer, changed: ToolServer) -> ToolServer:
    transaction.run("update_tool_server", **_columns(changed))
    before, after = describe(server), describe(changed)
    if before != after:
        transaction.record("tool_server.update", server.id, None, before, after)
    return changed


def _check_usable(server: ToolServer, name: str) -> None:
    for tool in server.tools:
        if tool.name == name:
            if tool.unusable:
                raise InvalidValue(
                    f"tool {name[:80]!a} of {server.name!r} cannot be used: {tool.unusable}"
                )
            return
    have = ", ".join(tool.name for tool in server.tools[:MAX_NAMES_SHOWN]) or "none"
    raise InvalidValue(
        f"{server.name!r} has no tool {name[:80]!a}; tools: {have}; mcp_server_refresh lists them"
        " again"
    )


def _names(reader: Reader, agent: Agent, server: ToolServer) -> list[str]:
    for has in attached(reader, agent):
        if has.server.key == server.key:
            return [*([""] if has.whole else []), *has.names]
    return []


def _detach(
    transaction: Transaction, agent: tuple[int, str], server: ToolServer, tool: str
) -> None:
    key, id_ = agent
    transaction.run("detach_tool_server", agent_key=key, server_key=server.key, tool=tool)
    before = {"name": server.name, "tool": tool or None}
    transaction.record("tool_server.detach", server.id, id_, before=before)


def _launch_columns(launch: Launch) -> dict[str, Any]:
    columns = asdict(launch)
    columns["environment"], columns["headers"] = dict(launch.environment), dict(launch.headers)
    return columns


def _columns(server: ToolServer) -> dict[str, Any]:
    tools = check_text(to_json([asdict(t) for t in server.tools]), "its tools", MAX_TOOLS_BYTES)
    return {
        "key": server.key,
        "launch": to_json(_launch_columns(server.launch)),
        "enabled": server.enabled,
        "tools": tools,
        "listed_at": None if server.listed_at is None else server.listed_at.replace(tzinfo=None),
        "now": server.updated_at.replace(tzinfo=None),
    }


def _server(row: Row) -> ToolServer:
    key, id_, name, launch, enabled, tools, listed_at, created_at, updated_at = row
    columns = json.loads(launch)
    grants = columns["grants"]
    return ToolServer(
        key=key,
        id=id_,
        name=name,
        launch=Launch(
            **{
                **columns,
                "command": tuple(columns["command"]),
                "grants": Grants(
                    tuple(grants["paths"]), tuple(grants["network"]), grants["unsandboxed"]
                ),
            }
        ),
        enabled=enabled,
        tools=tuple(SeenTool(**tool) for tool in json.loads(tools)),
        listed_at=None if listed_at is None else listed_at.replace(tzinfo=UTC),
        created_at=created_at.replace(tzinfo=UTC),
        updated_at=updated_at.replace(tzinfo=UTC),
    )
