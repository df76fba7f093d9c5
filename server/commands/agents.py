"""`mnemon agents list | create | show | delete`, through the owner when there is one."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from memory import agents
from memory.records import Origin
from memory.store import MemoryStore
from server.agent_models import AgentPage, AgentShown, AgentSummary, Create, NewBlock
from server.agent_tools import new_agent
from server.agent_views import show_whole, summary_of
from server.config import Settings
from server.console import Console
from server.memory_uris import settings_uri
from server.owner_session import OwnerSession

MAX_LISTED = 1_000_000  # all there can be


class Agents(Protocol):
    """The agents of a memory."""

    def list(self) -> Sequence[AgentSummary]:
        """All of them."""

    def create(self, wanted: Create) -> AgentSummary:
        """Create one."""

    def show(self, agent: str) -> AgentShown:
        """One, by name or id."""

    def delete(self, agent_id: str) -> None:
        """Delete one with its memory."""


def run(settings: Settings, options: dict[str, Any], console: Console) -> int:
    """Do one of the actions."""
    with agents_of(settings, creates=options["action"] == "create") as known:
        return _act(known, options, console)


@contextmanager
def agents_of(settings: Settings, creates: bool = False) -> Iterator[Agents]:
    """The agents in the file, or through the process that has it open.

    Args:
        creates: whether a memory may come to be here; looking for one makes none.
    """
    session = OwnerSession.open(settings.data) if settings.directory else None
    if session is not None:
        with session:
            yield ServedAgents(session)
    else:
        directory, path = settings.directory, settings.database
        usable = directory is None or directory.is_dir() or not directory.exists()
        if usable and path is not None and not path.exists() and not creates:
            path = None
        with MemoryStore(path, None) as store:
            yield StoredAgents(store)


def _act(known: Agents, options: dict[str, Any], console: Console) -> int:
    match options["action"]:
        case "list":
            return _list(known, console)
        case "create":
            return _create(known, options, console)
        case "show":
            shown = known.show(options["agent"])
            console.show(shown, _as_text(shown))
            return 0
        case _:
            return _delete(known, options, console)


class StoredAgents:
    """Agents in a file that this process has open."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    def list(self) -> Sequence[AgentSummary]:
        """All of them."""
        with self._store.read() as reader:
            found = agents.list_agents(reader, limit=MAX_LISTED)
        return [summary_of(agent) for agent in found]

    def create(self, wanted: Create) -> AgentSummary:
        """Create one."""
        with self._store.write(_origin("create")) as transaction:
            return summary_of(agents.create_agent(transaction, new_agent(wanted)))

    def show(self, agent: str) -> AgentShown:
        """One, by name or id."""
        with self._store.read() as reader:
            return show_whole(reader, agents.find_agent(reader, agent))

    def delete(self, agent_id: str) -> None:
        """Delete one with its memory."""
        with self._store.write(_origin("delete")) as transaction:
            agents.delete_agent(transaction, agents.find_agent(transaction, agent_id))


class ServedAgents:
    """Agents in a file that the owner has open."""

    def __init__(self, session: OwnerSession) -> None:
        self._session = session

    def list(self) -> Sequence[AgentSummary]:
        """All of them."""
        found = list[AgentSummary]()
        arguments: dict[str, Any] = {"limit": 100}
        while True:
            page = AgentPage.model_validate(self._session.call("agent_list", arguments))
            found += page.agents
            if page.next_cursor is None:
                return found
            arguments["cursor"] = page.next_cursor

    def create(self, wanted: Create) -> AgentSummary:
        """Create one."""
        return AgentSummary.model_validate(self._session.call("agent_create", wanted.model_dump()))

    def show(self, agent: str) -> AgentShown:
        """One, by name or id."""
        arguments: dict[str, Any] = {"uri": settings_uri(agent)}
        text = ""
        while True:
            piece = self._session.call("memory_read", arguments)
            text += piece["text"]
            if piece["next_cursor"] is None:
                return AgentShown.model_validate_json(text)
            arguments["cursor"] = piece["next_cursor"]

    def delete(self, agent_id: str) -> None:
        """Delete one with its memory; the person has agreed at the terminal."""
        waiting = self._session.call("agent_delete", {"agent_id": agent_id})
        decided = {"approval_id": waiting["approval_id"], "approve": True}
        self._session.call("approval_decide", decided)


def _list(known: Agents, console: Console) -> int:
    shown = known.list()
    lines = [f"{a.name}  {a.id}  {a.description}".rstrip() for a in shown]
    if not lines:
        lines = ["no agents yet; create one with: mnemon agents create NAME"]
    console.show([agent.model_dump() for agent in shown], "\n".join(lines))
    return 0


def _create(known: Agents, options: dict[str, Any], console: Console) -> int:
    wanted = Create(
        name=options["agent"],
        description=options["description"],
        timezone=options["timezone"],
        blocks=[
            NewBlock(label="persona", value=options["persona"]),
            NewBlock(label="human", value=options["human"]),
        ],
    )
    shown = known.create(wanted)
    console.show(shown, f"created {shown.name} ({shown.id})")
    return 0


def _delete(known: Agents, options: dict[str, Any], console: Console) -> int:
    agent = known.show(options["agent"])
    what = f"{agent.name} with {agent.messages} messages and {agent.passages} passages"
    if not options["yes"]:
        if not sys.stdin.isatty():
            console.fail(f"this deletes {what}; add --yes to do it")
            return 2
        if answer(f"Delete {what}? [y/N] ") not in {"y", "yes"}:
            console.note("nothing was deleted")
            return 1
    known.delete(agent.id)
    console.show({"deleted": agent.id, "name": agent.name}, f"deleted {what}")
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
        f"created {agent.created_at}, time zone {agent.timezone}, model {agent.model or 'default'}",
        f"{agent.messages} messages, {agent.passages} passages",
    ]
    for block in agent.blocks:
        used = f"{len(block.value)}/{block.limit_chars}"
        lines += [f"\n[{block.label}] {used} characters, version {block.version}", block.value]
    return "\n".join(lines)


def _origin(action: str) -> Origin:
    return Origin("person:cli", f"agents {action}")
