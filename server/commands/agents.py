"""`mnemon agents list | create | show | delete`."""

import sys
from typing import Any

from memory import agents
from memory.records import Origin
from memory.store import MemoryStore
from server.agent_tools import AgentShown, Create, NewBlock, list_page, new_agent, show_agent
from server.config import Settings
from server.console import Console

MAX_LISTED = 1_000_000  # all there can be


def run(settings: Settings, options: dict[str, Any], console: Console) -> int:
    """Do one of the actions on the store."""
    with MemoryStore(settings.database, None) as store:
        match options["action"]:
            case "list":
                return _list(store, console)
            case "create":
                return _create(store, options, console)
            case "show":
                return _show(store, options["agent"], console)
            case _:
                return _delete(store, options, console)


def _list(store: MemoryStore, console: Console) -> int:
    with store.read() as reader:
        found = agents.list_agents(reader, limit=MAX_LISTED)
    shown = list_page(found, MAX_LISTED).agents
    lines = [f"{a.name}  {a.id}  {a.description}".rstrip() for a in shown]
    if not lines:
        lines = ["no agents yet; create one with: mnemon agents create NAME"]
    console.show([agent.model_dump() for agent in shown], "\n".join(lines))
    return 0


def _create(store: MemoryStore, options: dict[str, Any], console: Console) -> int:
    wanted = Create(
        name=options["agent"],
        description=options["description"],
        timezone=options["timezone"],
        blocks=[
            NewBlock(label="persona", value=options["persona"]),
            NewBlock(label="human", value=options["human"]),
        ],
    )
    with store.write(_origin("create")) as transaction:
        agent = agents.create_agent(transaction, new_agent(wanted))
        shown = show_agent(transaction, agent)
    console.show(shown, f"created {agent.name} ({agent.id})")
    return 0


def _show(store: MemoryStore, name: str, console: Console) -> int:
    with store.read() as reader:
        shown = show_agent(reader, agents.find_agent(reader, name))
    console.show(shown, _as_text(shown))
    return 0


def _delete(store: MemoryStore, options: dict[str, Any], console: Console) -> int:
    with store.read() as reader:
        agent = agents.find_agent(reader, options["agent"])
        held = agents.holdings(reader, agent)
    what = f"{agent.name} with {held.messages} messages and {held.passages} passages"
    if not options["yes"]:
        if not sys.stdin.isatty():
            console.fail(f"this deletes {what}; add --yes to do it")
            return 2
        if input(f"Delete {what}? [y/N] ").strip().lower() not in {"y", "yes"}:
            console.note("nothing was deleted")
            return 1
    with store.write(_origin("delete")) as transaction:
        agents.delete_agent(transaction, agent)
    console.show({"deleted": agent.id, "name": agent.name}, f"deleted {what}")
    return 0


def _as_text(agent: AgentShown) -> str:
    lines = [
        f"{agent.name}  {agent.id}",
        f"created {agent.created_at}, time zone {agent.timezone}, model {agent.model or 'default'}",
        f"{agent.messages} messages, {agent.passages} passages",
    ]
    for block in agent.blocks:
        used = f"{len(block.value)}/{block.limit_chars}"
        lines += [f"\n[{block.label}] {used} characters, version {block.version}", block.value]
    return "\n".join(lines)


def _origin(action: str) -> Origin:
    return Origin("person:cli", f"agents {action}")
