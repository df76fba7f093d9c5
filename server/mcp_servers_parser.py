"""The flags of `mnemon mcp-servers` and its actions."""

import argparse
from collections.abc import Callable
from typing import Any

_ACTIONS = {
    "list": "MCP servers whose tools agents can be given",
    "show": "an MCP server, its tools, and who has some",
    "add": "add an MCP server, by --run or --url",
    "refresh": "ask an MCP server for its tools again, and say what changed",
    "enable": "offer its tools again",
    "disable": "do not offer its tools for now",
    "remove": "remove an MCP server and take its tools from every agent",
    "attach": "give an agent one tool of an MCP server, or all",
    "detach": "take one tool of an MCP server from an agent, or all that it has",
}


def add_mcp_servers(
    parser: argparse.ArgumentParser, add_shared_flags: Callable[[argparse.ArgumentParser], None]
) -> None:
    """Add the actions, each with the shared flags and its own."""
    actions: Any = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, help_text in _ACTIONS.items():
        about = help_text[0].upper() + help_text[1:] + "."
        action = actions.add_parser(name, help=help_text, description=about, allow_abbrev=False)
        add_shared_flags(action)
        if name in ("attach", "detach"):
            action.add_argument("agent_id", metavar="agent", help="name or id")
        if name not in ("list", "add"):
            action.add_argument("server", help="name or id")
        if name in ("attach", "detach"):
            action.add_argument("--tool", help="its name at the server; left out: all")
        if name == "add":
            _add_add(action)


def _add_add(action: argparse.ArgumentParser) -> None:
    action.add_argument("name", help="names of its tools begin with it")
    action.add_argument(
        "--run", dest="line", metavar="COMMAND", help="program and arguments, in quotes"
    )
    action.add_argument("--url", help="of a server over streamable HTTP")
    _add_values(action, "--env", "environment", "for a command")
    _add_values(action, "--header", "headers", "for a URL")
    for flag, name, help_text in (
        ("--read", "read_paths", "a file or folder that it may read"),
        ("--network", "network", "HOST:PORT that it may reach"),
    ):
        action.add_argument(
            flag, dest=name, action="append", default=[], help=f"{help_text}; may be repeated"
        )
    action.add_argument(
        "--unsandboxed", action="store_true", help="let it do all that you may on this machine"
    )
    action.add_argument("--call-timeout", dest="call_timeout_s", type=float, metavar="SECONDS")
    action.add_argument(
        "--connect-timeout", dest="connect_timeout_s", type=float, metavar="SECONDS"
    )
    action.add_argument("-y", "--yes", action="store_true", help="do not ask")


def _add_values(action: argparse.ArgumentParser, flag: str, name: str, what: str) -> None:
    action.add_argument(
        flag,
        dest=name,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help=f"{what}; $secret:NAME stands for a secret; may be repeated",
    )
