"""`mnemon tools`: keeping tools that people and agents wrote, giving them to agents, running them.

Flags are in tools_parser.py; everything is done by the tools of MCP (tool_session.py). Running one
is in tool_run.py.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from agent.custom.derive import derive_tool
from server.asked_session import NotAgreed, open_asked
from server.commands.tool_run import run_tool
from server.config import ConfigError, Settings, expanded
from server.console import Console
from server.custom_tool_models import (
    ToolAttached,
    ToolDeleted,
    ToolLine,
    ToolPage,
    ToolShown,
)
from server.custom_tool_views import attached_text, deleted_text, shown_text
from server.json_flags import object_of
from server.package_consent import packages_text
from server.package_models import PackagesShown
from server.tool_session import ToolSession, open_tools

_POLICY: Final = (
    *("wall_s", "cpu_s", "memory_mb", "subprocesses", "network", "secrets", "methods", "parallel"),
)
_GIVEN: Final = {
    "name": "name",
    "description": "description",
    "tags": "tags",
    "requirements": "requirements",
    "return_limit": "return_limit_chars",
    "approve": "requires_approval",
    "expected_version": "expected_version",
}
"""Flags, and what they are called as arguments of the tools."""


def run(settings: Settings, options: dict[str, Any], console: Console) -> int:
    """Do one of the actions."""
    if options["action"] == "run":
        return run_tool(settings, options, console)
    act = _ACTIONS[options["action"]]
    if not _may_ask(options):
        with open_tools(settings, creates=options["action"] == "add") as tools:
            return act(tools, options, console)
    try:
        with open_asked(settings, options["given"], console, options["yes"]) as asked:
            return act(asked, options, console)
    except NotAgreed as refused:
        if not refused.by_person:
            raise
        console.note("nothing was changed")
        return 1


def _may_ask(options: dict[str, Any]) -> bool:
    """Whether packages may have to be installed, which the process that hosts share does."""
    if options["action"] == "packages":
        return options["tool_id"] is not None
    return bool(options.get("requirements"))


def listed(tools: ToolSession, which: dict[str, Any]) -> list[ToolLine]:
    """Every tool that tool_list finds, page by page."""
    found, arguments = list[ToolLine](), {**which, "limit": 100}
    while True:
        page = ToolPage.model_validate(tools.call("tool_list", arguments))
        found += page.tools
        if page.next_cursor is None:
            return found
        arguments["cursor"] = page.next_cursor


def shown_whole(tools: ToolSession, tool: str, version: int | None = None) -> ToolShown:
    """A tool with nothing cut; its text is the whole source."""
    asked = {"tool_id": tool, "version": version}
    shown, source = _pieces(tools, {**asked, "part": "source"})
    if shown.cut:
        _, text = _pieces(tools, {**asked, "part": "settings", "version": shown.version})
        whole = {k: v for k, v in json.loads(text).items() if k in ToolShown.model_fields}
        shown = shown.model_copy(update={**whole, "cut": False})
    return shown.model_copy(update={"text": source, "next_cursor": None})


def _pieces(tools: ToolSession, arguments: dict[str, Any]) -> tuple[ToolShown, str]:
    """A tool, and all pieces of its text."""
    text = ""
    while True:
        shown = ToolShown.model_validate(tools.call("tool_get", arguments))
        text += shown.text
        if shown.next_cursor is None:
            return shown, text
        arguments = {**arguments, "cursor": shown.next_cursor}


def _list(tools: ToolSession, options: dict[str, Any], console: Console) -> int:
    names = ("name", "query", "tags", "attached_to")
    which = {name: options[name] for name in names if options[name] is not None}
    match = {"tag_match_mode": "all" if options["all_tags"] else "any"}
    found = listed(tools, {**which, **match})
    lines = [
        f"{tool.name}  version {tool.version}, by {tool.author}"
        f"{', asks a person' if tool.requires_approval else ''}: {tool.description}"
        for tool in found
    ]
    if not lines:
        none = "no tools yet; keep one with: mnemon tools add FILE.py"
        lines = ["no tool is like that" if which else none]
    console.show([tool.model_dump() for tool in found], "\n".join(lines))
    return 0


def _show(tools: ToolSession, options: dict[str, Any], console: Console) -> int:
    shown = shown_whole(tools, options["tool_id"], options["version"])
    _print(shown, console, source=options["source"])
    return 0


def _add(tools: ToolSession, options: dict[str, Any], console: Console) -> int:
    source, given = _source(options["file"]), _given(options)
    texts = given.get("description"), given.get("json_schema")
    name = derive_tool(source, options["name"], *texts).name
    if not any(tool.name == name for tool in listed(tools, {"name": name})):
        new = {"source": source, **given}
        return _kept(tools, _agreed(tools, "tool_create", new, console), console)
    before = shown_whole(tools, name)
    if before.text != source:
        raise ConfigError(
            f"there is a tool {name!r} already, with another source; to change it: mnemon"
            f" tools update {name} --file {options['file']}"
        )
    changes = {"tool_id": before.id, **given}
    return _kept(tools, _agreed(tools, "tool_update", changes, console), console)


def _update(tools: ToolSession, options: dict[str, Any], console: Console) -> int:
    changes = _given(options)
    if options["file"] is not None:
        changes["source"] = _source(options["file"])
    if not changes.keys() - {"expected_version"}:
        raise ConfigError("nothing to change; `mnemon tools update --help` lists what can be")
    changed = _agreed(tools, "tool_update", {"tool_id": options["tool_id"], **changes}, console)
    return _kept(tools, changed, console)


def _agreed(
    tools: ToolSession, tool: str, arguments: dict[str, Any], console: Console
) -> dict[str, Any]:
    """Keep a tool; who grants it something at the terminal has said yes, and is told to what."""
    kept = tools.call(tool, arguments)
    if kept["status"] == "waiting":
        console.note(f"{kept['asks']}\nYes: it was granted here.")
        tools.call("approval_decide", {"approval_id": kept["approval_id"], "approve": True})
        return tools.call("tool_get", {"tool_id": kept["id"] or kept["name"]})
    return kept


def _kept(tools: ToolSession, kept: dict[str, Any], console: Console) -> int:
    """Show a tool as it is now; 1 where its packages could not be installed."""
    _print(shown_whole(tools, kept["id"]), console)
    return _told(kept["problem"], console)


def _told(problem: str, console: Console) -> int:
    if problem:
        console.fail(f"agreed to, but not installed yet: {problem}")
    return int(bool(problem))


def _packages(tools: ToolSession, options: dict[str, Any], console: Console) -> int:
    if options["upgrade"] and options["tool_id"] is None:
        raise ConfigError("--upgrade is for one tool: mnemon tools packages TOOL --upgrade")
    arguments = {"tool_id": options["tool_id"], "upgrade": options["upgrade"]}
    shown = PackagesShown.model_validate(tools.call("tool_packages", arguments))
    while shown.next_cursor is not None:
        more = tools.call("tool_packages", {**arguments, "cursor": shown.next_cursor})
        page = PackagesShown.model_validate(more)
        shown = page.model_copy(update={"locks": shown.locks + page.locks})
    problem, shown = shown.problem, shown.model_copy(update={"problem": ""})
    console.show(shown, packages_text(shown))
    return _told(problem, console)


def _remove(tools: ToolSession, options: dict[str, Any], console: Console) -> int:
    deleted = ToolDeleted.model_validate(tools.call("tool_delete", {"tool_id": options["tool_id"]}))
    console.show(deleted, deleted_text(deleted))
    return 0


def _attach(tools: ToolSession, options: dict[str, Any], console: Console) -> int:
    arguments = {"agent_id": options["agent_id"], "tool_id": options["tool_id"]}
    done = ToolAttached.model_validate(tools.call(f"tool_{options['action']}", arguments))
    console.show(done, attached_text(done))
    return 0


def _given(options: dict[str, Any]) -> dict[str, Any]:
    """What was given of a tool, as arguments of tool_create and tool_update."""
    given = {name: options[flag] for flag, name in _GIVEN.items() if options.get(flag) is not None}
    if options["schema"] is not None:
        given["json_schema"] = object_of(_text(options["schema"]), "--schema")
    policy = {name: options[name] for name in _POLICY if options[name] is not None}
    if options["policy"] is not None:
        policy |= object_of(options["policy"], "--policy")
    return {**given, "policy": policy} if policy else given


def _source(file: str) -> str:
    return sys.stdin.read() if file == "-" else _text(file)


def _text(file: str) -> str:
    path = expanded(Path(file))
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is no UTF-8 text: {error.reason}") from error


def _print(shown: ToolShown, console: Console, source: bool = False) -> None:
    """A tool for people; with --json always with its source."""
    text = shown.text if source else shown_text(shown.model_copy(update={"text": ""}))
    console.show(shown, text)


_ACTIONS: dict[str, Callable[[ToolSession, dict[str, Any], Console], int]] = {
    "list": _list,
    "show": _show,
    "add": _add,
    "update": _update,
    "rm": _remove,
    "packages": _packages,
    "attach": _attach,
    "detach": _attach,
}
