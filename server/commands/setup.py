"""`mnemon setup`: write mnemon into a host's configuration, or say where that would be."""

import json
import os
import re
import shlex
import sys
from pathlib import Path
from typing import Any

from memory.errors import MemoryStoreError, UnknownAgent
from server.config import PREFIX, ConfigError, Settings, expanded
from server.console import Console
from server.errors import OperatorError
from server.front_flags import NAMES
from server.hosts.changes import Place, apply, find_entry, plan_setup
from server.hosts.entry import find_command, is_ours, is_temporary, new_entry
from server.hosts.hosts import GENERIC, HOSTS, Host
from server.hosts.locations import is_installed, locate
from server.owner_session import CallFailed
from server.tool_session import open_tools

_DONE = {
    "added": "added {name} to {file}",
    "updated": "updated {name} in {file}",
    "replaced": "put {name} in the place of another program's in {file}",
    "nothing": "{name} is already set up in {file}; nothing was changed",
}


class HostMissing(OperatorError):
    """There is no sign of a host."""

    def __init__(self, host: Host, sign: Path) -> None:
        super().__init__(
            f"{host.title} does not seem to be installed: there is no {sign}; start it once,"
            " name its file with --config FILE, or --force it"
        )


def run(settings: Settings, options: dict[str, Any], console: Console) -> int:
    """Write the entry, print it, or list the hosts."""
    if options["print"]:
        return _print(options, console)
    if options["list"] or options["host"] is None:
        return _list(options["name"], console)
    host = HOSTS[options["host"]]
    place = find_place(options)
    known = locate(host.id, os.environ)
    if not (options["config"] or options["force"] or is_installed(known)):
        raise HostMissing(host, known.sign)
    entry = _entry(host, options)
    change = plan_setup(place, entry, options["force"])
    if not options["dry_run"]:
        apply(change)
        _advise(entry["command"], options["given"], console)
    warning = _about_agent(settings, options["given"])
    if warning:
        console.note(f"note: {warning}")
    text = _DONE[change.kind].format(name=place.name, file=place.path)
    if change.kind != "nothing":
        text += f"\n  {shlex.join([entry['command'], *entry['args']])}"
        text = f"would have {text}" if options["dry_run"] else f"{text}\n{host.then}"
    console.show(
        {
            "host": host.id,
            "file": str(place.path),
            "name": place.name,
            "result": change.kind,
            "dry_run": options["dry_run"],
            "entry": entry,
            "next": host.then,
            "warning": warning,
        },
        text,
    )
    return 0


def _about_agent(settings: Settings, given: dict[str, Any]) -> str:
    """What is wrong with the agent that the host's tools are to mean; it may come later."""
    if "agent" not in given:
        return ""
    try:
        with open_tools(settings) as tools:
            tools.call("agent_get", {"agent_id": given["agent"]})
    except (UnknownAgent, CallFailed) as error:
        name = shlex.quote(given["agent"])
        return f"{error}; until it is there the host's tools fail: mnemon agents create {name}"
    except (MemoryStoreError, OperatorError) as error:
        return f"whether there is an agent {given['agent']!r} cannot be seen: {error}"
    return ""


def find_place(options: dict[str, Any]) -> Place:
    """The place of a host's entry that the command line names.

    Raises:
        ConfigError: the entry's name is not one that hosts take.
    """
    name = options["name"]
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name):
        raise ConfigError(f"--name cannot be {name!r}: take 1 to 64 letters, digits, _ and -")
    host = HOSTS[options["host"]]
    path = locate(host.id, os.environ).file
    if options["config"] is not None:
        path = expanded(Path(options["config"])).absolute()
        # A project may have no .cursor or .vscode yet; more than that is a slip of the pen.
        if not options["config"] or not path.parent.parent.is_dir():
            raise ConfigError(
                f"--config cannot be {options['config']!r}: name a file in a folder that exists,"
                " or in a new one there"
            )
    return Place(path, host.section, name)


def _entry(host: Host, options: dict[str, Any]) -> dict[str, Any]:
    command = find_command(Path(sys.executable), os.environ.get("PATH", ""))
    entry = new_entry(host, command, options["given"])
    try:
        json.dumps(entry, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise ConfigError(f"{entry} cannot be written as JSON: a path is not UTF-8") from None
    return entry


def _print(options: dict[str, Any], console: Console) -> int:
    host = HOSTS.get(options["host"], GENERIC)
    entry = _entry(host, options)
    shown = {host.section: {options["name"]: entry}}
    console.show(shown, json.dumps(shown, indent=2, ensure_ascii=False))
    _advise(entry["command"], options["given"], console)
    return 0


def _list(name: str, console: Console) -> int:
    rows = []
    for host in HOSTS.values():
        known = locate(host.id, os.environ)
        state = "installed" if is_installed(known) else "not found"
        try:
            if is_ours(find_entry(Place(known.file, host.section, name))):
                state = "set up"
        except OperatorError:
            state = "unreadable"
        rows.append({"host": host.id, "title": host.title, "state": state, "file": str(known.file)})
    lines = [f"{row['host']:16}{row['state']:12}{row['file']}" for row in rows]
    console.show(rows, "\n".join([*lines, "\nset one up with: mnemon setup HOST"]))
    return 0


def _advise(command: str, given: dict[str, Any], console: Console) -> None:
    """Tell what works here and now, and may not where the host runs."""
    if is_temporary(command):
        console.note(f"note: {command} is in a cache and may vanish; install mnemon for good")
    for name in NAMES:
        setting = name.replace("-", "_")
        variable = PREFIX + setting.upper()
        if os.environ.get(variable) and setting not in given:
            console.note(f"note: the host may not see {variable}; to be sure, give --{name}")
