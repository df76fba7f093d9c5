"""`mnemon agents`: what hosts do with tools, for people: list, create, change, copy, delete.

Flags are in agents_parser.py; everything is done by the tools of the same names (tool_session.py).
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agent.errors import ModelError
from agent.models.model_file import check_model_file
from agent.models.spec import GgufFile, parse_spec
from server.agent_flags import blocks_with, given_of, objects_of, rewritten
from server.agent_models import AgentPage, AgentShown, AgentSummary, Create
from server.command_words import for_a_person
from server.config import ConfigError, Settings, expanded
from server.consent_models import (
    AgentDeleted,
    Awaited,
    MessagesReset,
    OrphanPage,
    OrphansDeleted,
    orphan_line,
)
from server.console import Console
from server.counted import counted
from server.memory_uris import settings_uri, waiting_line
from server.model_library import file_of
from server.templates import (
    AgentTemplate,
    BadTemplate,
    fill,
    read_template,
    template_of,
    template_text,
)
from server.tool_session import ToolSession, open_tools


def run(settings: Settings, options: dict[str, Any], console: Console) -> int:
    """Do one of the actions."""
    options |= _model(settings, options)
    with open_tools(settings, creates=options["action"] == "create") as tools:
        code = _ACTIONS[options["action"]](tools, options, console)
    if options["action"] in ("create", "update") and options.get("model"):
        _advise(settings, options["model"], console)
    return code


def _model(settings: Settings, options: dict[str, Any]) -> dict[str, str]:
    """The model that flags name for an agent; empty: the configured one again.

    Raises:
        ConfigError: they name none, in words, or two things at once.
    """
    given, without = options["given"].get("model"), options.get("no_model", False)
    if given is not None and without:
        raise ConfigError("--model and --no-model say two things; give one")
    if given is not None and given.lower() in {"null", "none"}:
        raise ConfigError(
            f"--model {given} names no model; an agent has the configured one unless it is given"
            " its own, which `mnemon agents update AGENT --no-model` takes away"
        )
    return {} if given is None and not without else {"model": (given and settings.model) or ""}


def _advise(settings: Settings, model: str, console: Console) -> None:
    """Tell of a model's file that is none, or none yet: it is loaded at the first message."""
    spec = parse_spec(model)
    if isinstance(spec, GgufFile):
        try:
            check_model_file(file_of(settings, spec.path))
        except ModelError as error:
            console.note(f"note: {error}")


def list_agents(tools: ToolSession, arguments: dict[str, Any]) -> list[AgentSummary]:
    """Every agent that agent_list finds, page by page."""
    arguments = {**arguments, "limit": 100}
    found = list[AgentSummary]()
    while True:
        page = AgentPage.model_validate(tools.call("agent_list", arguments))
        found += page.agents
        if page.next_cursor is None:
            return found
        arguments["cursor"] = page.next_cursor


def show_agent(tools: ToolSession, agent: str) -> AgentShown:
    """An agent by name or id, with all its blocks."""
    known = tools.call("agent_get", {"agent_id": agent})
    arguments: dict[str, Any] = {"uri": settings_uri(known["id"])}
    text = ""
    while True:
        piece = tools.call("memory_read", arguments)
        text += piece["text"]
        if piece["next_cursor"] is None:
            return AgentShown.model_validate_json(text)
        arguments["cursor"] = piece["next_cursor"]


def _list(tools: ToolSession, options: dict[str, Any], console: Console) -> int:
    arguments = given_of(options, "name", "tags", "query")
    arguments |= {"tag_match_mode": "all" if options["all_tags"] else "any"}
    found = list_agents(tools, arguments)
    lines = [_line(agent) for agent in found]
    if not lines:
        chosen = given_of(options, "name", "tags", "query")
        none = "no agents yet; create one with: mnemon agents create NAME"
        lines = ["no agent is like that" if chosen else none]
    console.show([agent.model_dump() for agent in found], "\n".join(lines))
    return 0


def _line(agent: AgentSummary) -> str:
    tags = f"  [{', '.join(agent.tags)}]" if agent.tags else ""
    return f"{agent.name}  {agent.id}{tags}  {agent.description}".rstrip()


def _show(tools: ToolSession, options: dict[str, Any], console: Console) -> int:
    shown = show_agent(tools, options["agent_id"])
    console.show(shown, _as_text(shown))
    return 0


def _create(tools: ToolSession, options: dict[str, Any], console: Console) -> int:
    template = AgentTemplate()
    if options["template"] == "":
        raise ConfigError("--template is empty; name a file, or leave it out")
    if options["template"] is not None:
        template = read_template(expanded(Path(options["template"])))
    given = given_of(options, "name", "description", "system", "timezone", "tags", "model")
    given |= objects_of(options)
    if "name" not in given and template.name is None:
        raise ConfigError("an agent needs a name: give one, or a template that has one")
    wanted = fill(Create.model_validate({"name": template.name, **given}), template)
    arguments = wanted.model_dump()
    values = {label: options[label] for label in ("persona", "human") if options[label] is not None}
    if values:
        arguments["blocks"] = blocks_with(wanted, values)
    created = AgentSummary.model_validate(tools.call("agent_create", arguments))
    console.show(created, f"created {created.name} ({created.id})")
    return 0


def _update(tools: ToolSession, options: dict[str, Any], console: Console) -> int:
    names = ("description", "system", "timezone", "tags", "model", "archive_id")
    changes = given_of(options, *names, "attach_blocks", "detach_blocks") | objects_of(options)
    if options["new_name"] is not None:
        changes["name"] = options["new_name"]
    if options["no_tags"]:
        changes["tags"] = []
    if options["blocks"]:
        changes["blocks"] = rewritten(options["blocks"])
    if not changes:
        raise ConfigError("nothing to change; `mnemon agents update --help` lists what can be")
    tools.call("agent_update", {"agent_id": options["agent_id"], **changes})
    shown = show_agent(tools, changes.get("name", options["agent_id"]))
    console.show(shown, _as_text(shown))
    return 0


def _clone(tools: ToolSession, options: dict[str, Any], console: Console) -> int:
    arguments = given_of(options, "agent_id", "name", "include", "share_blocks")
    created = AgentSummary.model_validate(tools.call("agent_clone", arguments))
    console.show(created, f"created {created.name} ({created.id})")
    return 0


def _reset(tools: ToolSession, options: dict[str, Any], console: Console) -> int:
    return _agreed(tools, "agent_reset_messages", given_of(options, "agent_id"), options, console)


def _delete(tools: ToolSession, options: dict[str, Any], console: Console) -> int:
    arguments = {**given_of(options, "agent_id"), "delete_orphans": not options["keep_orphans"]}
    return _agreed(tools, "agent_delete", arguments, options, console)


def _orphans(tools: ToolSession, options: dict[str, Any], console: Console) -> int:
    if options["ids"]:
        return _agreed(tools, "orphan_delete", {"ids": options["ids"]}, options, console)
    arguments: dict[str, Any] = {"limit": 100}
    page = OrphanPage.model_validate(tools.call("orphan_list", arguments))
    found = page.orphans
    while page.next_cursor is not None:
        arguments["cursor"] = page.next_cursor
        page = OrphanPage.model_validate(tools.call("orphan_list", arguments))
        found += page.orphans
    text = "\n".join(map(orphan_line, found)) or "every block and archive has an agent"
    console.show([orphan.model_dump() for orphan in found], text)
    return 0


def _export(tools: ToolSession, options: dict[str, Any], console: Console) -> int:
    template = template_of(show_agent(tools, options["agent_id"]))
    if options["output"] is None:
        console.show(template.model_dump(exclude_defaults=True), template_text(template, ".toml"))
        return 0
    path = expanded(Path(options["output"]))
    text = template_text(template, path.suffix.lower())
    try:
        with path.open("xb") as file:
            file.write(text.encode())
    except OSError as error:
        raise BadTemplate(f"{path} cannot be written: {error.strerror}") from error
    console.show({"template": str(path)}, f"wrote {path}")
    return 0


def _agreed(
    tools: ToolSession,
    tool: str,
    arguments: dict[str, Any],
    options: dict[str, Any],
    console: Console,
) -> int:
    """Do what needs a yes, once it was given at the terminal or with --yes."""
    waiting = _RESULTS[tool].model_validate(tools.call(tool, arguments))
    question = waiting.question()
    yes = options["yes"]
    if not yes and not sys.stdin.isatty():
        console.fail(f"not done: {question} To do it, add --yes")
        return 2
    yes = yes or answer(f"{question} [y/N] ") in {"y", "yes"}
    decided = tools.call("approval_decide", {"approval_id": waiting.approval_id, "approve": yes})
    if not yes:
        console.note("nothing was changed")
        return 1
    done = waiting.model_copy(update={"status": "done", "approval_id": None})
    console.show(done, decided["text"])
    return 0


def answer(question: str) -> str:
    """What the person types; nothing when the input ends."""
    try:
        return input(question).strip().lower()
    except EOFError:
        sys.stderr.write("\n")
        return ""


def _as_text(agent: AgentShown) -> str:
    lines = [
        f"{agent.name}  {agent.id}",
        f"created {agent.created_at}, time zone {agent.timezone}, model {agent.model or 'default'},"
        f" embedder {agent.embedder or 'none yet'}",
        f"{counted(agent.messages, 'message')}, {counted(agent.passages, 'passage')} in"
        f" {agent.archive_id}",
    ]
    if agent.waiting:
        lines.append(for_a_person(waiting_line(**agent.waiting.model_dump())))
    lines += [agent.description] if agent.description else []
    lines += [f"tags {', '.join(agent.tags)}"] if agent.tags else []
    for name, value in (("settings", agent.settings), ("metadata", agent.metadata)):
        lines += [f"{name} {json.dumps(value, ensure_ascii=False)}"] if value else []
    lines += [f"custom tools {', '.join(agent.tools)}"] if agent.tools else []
    if agent.server_tools:
        lines.append(f"tools of MCP servers {', '.join(agent.server_tools)}")
    lines += agent.problems
    for block in agent.blocks:
        used = f"{len(block.value)}/{block.limit_chars}"
        about = f"{used} characters, version {block.version}, {block.id}"
        lines += [f"\n[{block.label}] {about}", block.value]
    return "\n".join(lines)


_RESULTS: dict[str, type[Awaited]] = {
    "agent_reset_messages": MessagesReset,
    "agent_delete": AgentDeleted,
    "orphan_delete": OrphansDeleted,
}

_ACTIONS: dict[str, Callable[[ToolSession, dict[str, Any], Console], int]] = {
    "list": _list,
    "create": _create,
    "show": _show,
    "update": _update,
    "clone": _clone,
    "reset": _reset,
    "delete": _delete,
    "orphans": _orphans,
    "export-template": _export,
}
