"""`mnemon secrets list | set | rm`: values that custom tools can be granted by name."""

import getpass
import sys
from typing import Any

from server.commands.tools import listed, shown_whole
from server.config import ConfigError, Settings
from server.console import Console
from server.secrets import SecretsFile
from server.tool_session import open_tools


def run(settings: Settings, options: dict[str, Any], console: Console) -> int:
    """Do one of the actions; a running server follows at once."""
    if settings.directory is None:
        raise ConfigError("':memory:' keeps no secrets; give a directory with --data")
    secrets = SecretsFile(settings.directory)
    match options["action"]:
        case "list":
            return _list(settings, secrets, console)
        case "set":
            name = options["name"]
            replaced = secrets.set(name, _value(name))
            console.show({"set": name}, f"{'replaced' if replaced else 'set'} {name}")
        case _:
            secrets.remove(options["name"])
            console.show({"removed": options["name"]}, f"removed {options['name']}")
    return 0


def _list(settings: Settings, secrets: SecretsFile, console: Console) -> int:
    users: dict[str, list[str]] = {name: [] for name in secrets.names()}
    known = set(users)
    with open_tools(settings) as tools:
        for line in listed(tools, {}):
            tool = shown_whole(tools, line.id)
            for name in tool.policy.get("secrets", ()):
                users.setdefault(name, []).append(tool.name)
    lines = [
        f"{name}{'' if name in known else '  (not set)'}  {', '.join(names) or 'no tool'}"
        for name, names in users.items()
    ]
    found = [{"name": n, "set": n in known, "tools": names} for n, names in users.items()]
    console.show(found, "\n".join(lines) or "no secrets; keep one with: mnemon secrets set NAME")
    return 0


def _value(name: str) -> str:
    """What a person types without seeing it, or what is piped in.

    Never an argument: others on the machine can read those.
    """
    if sys.stdin.isatty():
        return getpass.getpass(f"value of {name}: ")
    return sys.stdin.read().removesuffix("\n").removesuffix("\r")
