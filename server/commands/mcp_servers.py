"""`mnemon mcp-servers`: MCP servers of others, whose tools agents are given.

Flags are in mcp_servers_parser.py; everything is done by the tools mcp_server_* (tool_session.py).
What starts a server is left to the process that hosts share, which has the sandbox.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from server.asked_session import open_asked
from server.command_lines import command_of, path_of
from server.commands.agents import answer
from server.config import ConfigError, Settings
from server.console import Console
from server.errors import describe_operator_error
from server.mcp_server_models import (
    ServerAdded,
    ServerAttached,
    ServerChanged,
    ServerLine,
    ServerListed,
    ServerPage,
    ServerRemoved,
    ServerShown,
)
from server.mcp_server_views import attached_text, line_text, listed_text, shown_text
from server.tool_session import ToolSession, open_tools


def run(settings: Settings, options: dict[str, Any], console: Console) -> int:
    """Do one of the actions."""
    act = _ACTIONS[options["action"]]
    if options["action"] in ("add", "refresh"):
        with open_asked(settings, options["given"], console, None) as asked:
            return act(asked, options, console)
    with open_tools(settings) as tools:
        return act(tools, options, console)


def _list(tools: ToolSession, options: dict[str, Any], console: Console) -> int:
    found, cursor = list[ServerLine](), None
    while True:
        arguments = {"limit": 100, "cursor": cursor}
        page = ServerPage.model_validate(tools.call("mcp_server_list", arguments))
        found += page.servers
        cursor = page.next_cursor
        if cursor is None:
            break
    none = "no MCP servers yet; add one with: mnemon mcp-servers add NAME --run COMMAND"
    console.show([line.model_dump() for line in found], "\n".join(map(line_text, found)) or none)
    return 0


def _show(tools: ToolSession, options: dict[str, Any], console: Console) -> int:
    arguments = {"server": options["server"]}
    shown = ServerShown.model_validate(tools.call("mcp_server_get", arguments))
    while shown.next_cursor is not None:
        more = ServerShown.model_validate(
            tools.call("mcp_server_get", {**arguments, "cursor": shown.next_cursor})
        )
        shown = more.model_copy(update={"tools": shown.tools + more.tools})
    console.show(shown, shown_text(shown))
    return 0


def _add(tools: ToolSession, options: dict[str, Any], console: Console) -> int:
    here = Path.cwd()
    arguments = {
        "name": options["name"],
        "command": None if options["line"] is None else command_of(options["line"], here),
        "url": options["url"],
        "environment": dict(map(_pair, options["environment"])),
        "headers": dict(map(_pair, options["headers"])),
        "read_paths": [path_of(path, here) for path in options["read_paths"]],
        **{name: options[name] for name in ("network", "unsandboxed")},
    }
    for name in ("call_timeout_s", "connect_timeout_s"):
        arguments |= {} if options[name] is None else {name: options[name]}
    waiting = ServerAdded.model_validate(tools.call("mcp_server_add", arguments))
    question, yes = waiting.question(), options["yes"]
    if not yes and not sys.stdin.isatty():
        console.fail(f"not done: {question} To do it, add --yes")
        return 2
    yes = yes or answer(f"{question} [y/N] ") in {"y", "yes"}
    tools.call("approval_decide", {"approval_id": waiting.approval_id, "approve": yes})
    if not yes:
        console.note("nothing was changed")
        return 1
    name = options["name"]
    console.note(f"added {name}; asking it for its tools")
    try:
        return _refresh(tools, {"server": name}, console)
    except Exception as error:
        what = describe_operator_error(error)
        if what is None:
            raise
        console.fail(
            f"{what}. It is added all the same: `mnemon mcp-servers refresh {name}` asks it again,"
            f" `mnemon mcp-servers remove {name}` removes it"
        )
        return 2


def _refresh(tools: ToolSession, options: dict[str, Any], console: Console) -> int:
    arguments = {"server": options["server"]}
    listed = ServerListed.model_validate(tools.call("mcp_server_refresh", arguments))
    console.show(listed, listed_text(listed))
    return 0


def _switch(enabled: bool) -> "Action":
    def switched(tools: ToolSession, options: dict[str, Any], console: Console) -> int:
        arguments = {"server": options["server"], "enabled": enabled}
        changed = ServerChanged.model_validate(tools.call("mcp_server_update", arguments))
        console.show(changed, line_text(changed.server))
        return 0

    return switched


def _remove(tools: ToolSession, options: dict[str, Any], console: Console) -> int:
    arguments = {"server": options["server"]}
    removed = ServerRemoved.model_validate(tools.call("mcp_server_remove", arguments))
    had = f"; taken from {', '.join(removed.agents)}" if removed.agents else ""
    console.show(removed, f"removed {removed.name}{had}")
    return 0


def _give(tool: str) -> "Action":
    def given(tools: ToolSession, options: dict[str, Any], console: Console) -> int:
        arguments = {name: options[name] for name in ("server", "agent_id", "tool")}
        done = ServerAttached.model_validate(tools.call(tool, arguments))
        console.show(done, attached_text(done))
        return 0

    return given


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise ConfigError(f"{text[:80]!r} is not NAME=VALUE")
    return name, value


Action = Callable[[ToolSession, dict[str, Any], Console], int]

_ACTIONS: dict[str, Action] = {
    "list": _list,
    "show": _show,
    "add": _add,
    "refresh": _refresh,
    "enable": _switch(True),
    "disable": _switch(False),
    "remove": _remove,
    "attach": _give("mcp_server_attach"),
    "detach": _give("mcp_server_detach"),
}
