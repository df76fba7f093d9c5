"""MCP servers of others as hosts and people read them, and what they are added from. Pure."""

import shlex
from typing import Final

from memory.errors import InvalidValue
from memory.tool_server_records import Grants, Launch, SeenTool, ToolServer
from sandbox.policy import Policy, checked_environment
from server.counted import counted
from server.external.addresses import check_headers, check_url
from server.external.references import check_values
from server.mcp_server_models import (
    AddServer,
    ServerAttached,
    ServerLine,
    ServerListed,
    ServerPage,
    ServerShown,
    ToolLine,
)
from server.memory_tools import with_cursor
from server.reply_size import shortened

_SHOWN_BYTES: Final = 300
_MAX_PATHS: Final = 50


def launch_of(a: AddServer) -> Launch:
    """How a server that is added is reached.

    Raises:
        InvalidValue: neither or both ways are given, or a value cannot be.
        InvalidRun: a name of the environment, or a host:port, cannot be.
    """
    if (a.command is None) == (a.url is None):
        raise InvalidValue("give either a command, for stdio, or a url, for HTTP")
    if a.url is not None:
        if a.environment or a.read_paths or a.network or a.unsandboxed:
            raise InvalidValue(
                "environment, read_paths, network and unsandboxed are for a command, not for a url"
            )
        check_url(a.url)
        check_headers(a.headers)
        check_values(a.headers, "header")
        return Launch(
            "http",
            url=a.url,
            headers=a.headers,
            call_timeout_s=a.call_timeout_s,
            connect_timeout_s=a.connect_timeout_s,
        )
    command = tuple(a.command or ())
    _check_command(a, command)
    grants = Grants(tuple(a.read_paths), tuple(a.network), a.unsandboxed)
    return Launch(
        "stdio",
        command=command,
        environment=a.environment,
        grants=grants,
        call_timeout_s=a.call_timeout_s,
        connect_timeout_s=a.connect_timeout_s,
    )


def may(launch: Launch) -> str:
    """What a server could do, for the person who is asked."""
    if launch.transport == "http":
        return "What agents tell it leaves this machine, or reaches another program here."
    grants = launch.grants
    if grants.unsandboxed:
        return "It runs WITHOUT a sandbox: it may do everything that you may on this machine."
    reads = f"may read {', '.join(grants.paths)}" if grants.paths else "may read no files of yours"
    net = f"may reach {', '.join(grants.network)}" if grants.network else "has no network"
    return f"It runs in a sandbox, {reads} and {net}."


def address(launch: Launch) -> str:
    """The URL or the command."""
    return launch.url or shlex.join(launch.command)


def server_line(server: ToolServer) -> ServerLine:
    """A server in a list."""
    return ServerLine(
        id=server.id,
        name=server.name,
        transport=server.launch.transport,
        address=shortened(address(server.launch), _SHOWN_BYTES, "cut"),
        sandboxed=not server.launch.grants.unsandboxed,
        enabled=server.enabled,
        tools=len(server.tools),
        listed_at=None
        if server.listed_at is None
        else server.listed_at.isoformat(timespec="seconds"),
    )


def tool_line(tool: SeenTool) -> ToolLine:
    """A tool in a list."""
    return ToolLine(
        name=tool.name,
        offered=tool.offered,
        description=shortened(tool.description, _SHOWN_BYTES, "cut"),
        unusable=tool.unusable,
    )


def line_text(line: ServerLine) -> str:
    """A server in a list, for models and people."""
    marks = [] if line.sandboxed else ["without a sandbox"]
    marks += [] if line.enabled else ["switched off"]
    listed = counted(line.tools, "tool") if line.listed_at else "not listed yet"
    return f"{line.name} ({line.id}), {line.address}: {', '.join([listed, *marks])}"


def page_text(page: ServerPage) -> str:
    """A page of servers."""
    lines = [f"- {line_text(line)}" for line in page.servers]
    return with_cursor("\n".join(lines) or "There is no MCP server yet.", page.next_cursor)


def shown_text(shown: ServerShown) -> str:
    """A server with its tools; what it says of them is its own."""
    lines = [line_text(shown.server)]
    if shown.agents:
        lines.append(f"used by {', '.join(shown.agents)}")
    for tool in shown.tools:
        bad = f" CANNOT BE USED: {tool.unusable}" if tool.unusable else ""
        lines.append(f"- {tool.name}, offered as {tool.offered}: {tool.description}{bad}")
    return with_cursor("\n".join(lines), shown.next_cursor)


def listed_text(listed: ServerListed) -> str:
    """What a server has now."""
    told = [
        f"{what}: {', '.join(names)}"
        for what, names in (
            ("new", listed.new),
            ("gone", listed.gone),
            ("changed", listed.changed),
        )
        if names
    ]
    bad = f", {listed.unusable} of them cannot be used" if listed.unusable else ""
    has = counted(listed.tools, "tool")
    return f"{listed.name} has {has}{bad}. {'; '.join(told) or 'Nothing changed'}."


def attached_text(done: ServerAttached) -> str:
    """What an agent has of a server now."""
    have = ", ".join(done.offered) or "nothing"
    return f"Agent {done.agent} has of {done.server}: {have}."


def _check_command(a: AddServer, command: tuple[str, ...]) -> None:
    if not command or not command[0].strip():
        raise InvalidValue("the command is empty; its first part is the program")
    if a.headers:
        raise InvalidValue("headers are for a url, not for a command")
    for part in (*command, *a.read_paths):
        if "\0" in part:
            raise InvalidValue("a part of the command, or a path, holds a NUL character")
    if any("$secret:" in part for part in command):
        raise InvalidValue(
            "a command is seen by every program of this machine; give secrets in environment"
        )
    for path in a.read_paths:
        if not path.startswith("/"):
            raise InvalidValue(f"{path[:80]!a} is no absolute path")
    checked_environment(a.environment)
    check_values(a.environment, "variable")
    Policy(network=tuple(a.network))
