"""Agents: creating, finding, updating and deleting them, with what hangs on them."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from dataclasses import replace as with_changes
from datetime import UTC
from typing import Any
from uuid import uuid4

from memory import core_memory, documents
from memory.errors import NameTaken, UnknownAgent
from memory.limits import MAX_DESCRIPTION_CHARS, check_name, check_tags, check_text, check_timezone
from memory.records import Agent, Block, Holdings, View
from memory.transaction import Reader, Row, Transaction, to_json

MAX_NAMES_SHOWN = 20


@dataclass(frozen=True, slots=True)
class NewAgent:
    """What a new agent is made of. blocks are drafts (key 0), attached in order."""

    name: str
    description: str = ""
    system: str = ""
    timezone: str = "UTC"
    model: str | None = None
    tags: tuple[str, ...] = ()
    blocks: tuple[Block, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Deleted:
    """What went with a deleted agent; shared blocks and archives stay."""

    messages: int
    passages: int
    blocks: tuple[str, ...]


def create_agent(transaction: Transaction, new: NewAgent) -> Agent:
    """Create an agent with its blocks and an archive of its own.

    Raises:
        NameTaken: names are unique, without regard to case.
        InvalidValue: some value cannot be stored.
    """
    key, archive_key = transaction.value("next_key"), transaction.value("next_key")
    agent = _checked(
        Agent(
            key=key,
            id=f"agent-{uuid4()}",
            name=new.name,
            description=new.description,
            system=new.system,
            timezone=new.timezone,
            model=new.model,
            tags=new.tags,
            archive_key=archive_key,
            window_start=0,
            created_at=transaction.now,
            updated_at=transaction.now,
            metadata=new.metadata,
            settings=new.settings,
        )
    )
    _refuse_taken_name(transaction, agent)
    transaction.run(
        "insert_archive",
        key=archive_key,
        id=f"archive-{uuid4()}",
        name=agent.name,
        now=transaction.now_utc,
    )
    transaction.run("insert_agent", archive_key=archive_key, id=agent.id, **_columns(agent))
    transaction.record("agent.create", agent.id, agent.id, after=describe(agent))
    for draft in new.blocks:
        core_memory.create_block(transaction, agent, draft)
    return agent


def find_agent(reader: Reader, agent: str) -> Agent:
    """Return the agent with this id or name.

    Raises:
        UnknownAgent: naming some that exist.
    """
    row = reader.row("find_agent", agent=agent)
    found = None if row is None else _agent(row)
    if found is None or not (reader.visible is None or found.id in reader.visible):
        names = list_names(reader, limit=MAX_NAMES_SHOWN + 1)
        raise UnknownAgent(agent, names[:MAX_NAMES_SHOWN], len(names) > MAX_NAMES_SHOWN)
    return found


def list_agents(reader: Reader, after: int = 0, limit: int = 50) -> list[Agent]:
    """Return agents in the order of their creation, those after a given key."""
    visible = _visible(reader)
    rows = reader.rows("list_agents", after=after, limit=limit, visible=visible)
    return [_agent(row) for row in rows]


def list_names(reader: Reader, prefix: str = "", limit: int = 100) -> list[str]:
    """Return names that begin with a prefix, without regard to case, oldest agents first."""
    visible = _visible(reader)
    rows = reader.rows("agent_names", prefix=prefix, limit=limit, visible=visible)
    return [name for (name,) in rows]


def update_agent(transaction: Transaction, agent: Agent, changes: Mapping[str, Any]) -> Agent:
    """Change name, description, system, timezone, model, tags, metadata or settings."""
    updated = _checked(with_changes(agent, **changes, updated_at=transaction.now))
    if updated.name != agent.name:
        _refuse_taken_name(transaction, updated)
    transaction.run("update_agent", **_columns(updated))
    transaction.record("agent.update", agent.id, agent.id, describe(agent), describe(updated))
    transaction.changes.agents[agent.key] = updated
    return updated


def set_view(transaction: Transaction, agent: Agent, window_start: int, view: View) -> None:
    """Remember what the agent's prompts begin with, and from which message on they go on.

    Raises:
        UnknownAgent: it was deleted meanwhile.
    """
    # Read again: the caller's agent may be from before the host changed it.
    agent = find_agent(transaction, agent.id)
    stored = to_json(asdict(view))
    transaction.run("set_view", key=agent.key, window_start=window_start, view=stored)
    transaction.changes.agents[agent.key] = with_changes(
        agent, window_start=window_start, view=view
    )


def delete_agent(transaction: Transaction, agent: Agent) -> Deleted:
    """Delete an agent, its messages, and the blocks and archive that no other agent has."""
    messages, _ = transaction.rows("count_messages", agent_key=agent.key)[0]
    deleted_blocks = core_memory.remove_blocks(transaction, agent)
    for query in ("delete_messages", "delete_runs", "delete_steps"):
        transaction.run(query, agent_key=agent.key)
    documents.remove_collection(transaction, agent.key)
    transaction.run("delete_agent", key=agent.key)
    passages = 0
    if transaction.value("count_archive_users", archive_key=agent.archive_key) == 0:
        passages = transaction.value("count_passages", archive_key=agent.archive_key)
        transaction.run("delete_passages", archive_key=agent.archive_key)
        documents.remove_collection(transaction, agent.archive_key)
        transaction.run("delete_archive", key=agent.archive_key)
    held = {"messages": messages, "passages": passages}
    transaction.record("agent.delete", agent.id, agent.id, before={**describe(agent), **held})
    transaction.changes.stale_agents.add(agent.key)
    return Deleted(messages, passages, tuple(deleted_blocks))


def holdings(reader: Reader, agent: Agent, max_tags: int = 30) -> Holdings:
    """Count what the agent's memory holds."""
    messages, _ = reader.rows("count_messages", agent_key=agent.key)[0]
    tags = reader.rows("archive_tags", archive_key=agent.archive_key, limit=max_tags)
    return Holdings(
        messages=messages,
        passages=reader.value("count_passages", archive_key=agent.archive_key),
        pending_vectors=reader.value(
            "count_pending_of", archive_key=agent.archive_key, agent_key=agent.key
        ),
        tags=tuple(tag for (tag,) in tags),
    )


def describe(agent: Agent) -> dict[str, Any]:
    """An agent as events keep it."""
    return {
        "name": agent.name,
        "description": agent.description,
        "system": agent.system,
        "timezone": agent.timezone,
        "model": agent.model,
        "tags": list(agent.tags),
        "metadata": dict(agent.metadata),
        "settings": dict(agent.settings),
    }


def _visible(reader: Reader) -> str | None:
    return None if reader.visible is None else " ".join(sorted(reader.visible))


def _refuse_taken_name(transaction: Transaction, agent: Agent) -> None:
    row = transaction.row("find_agent", agent=agent.name)
    if row is not None and row[0] != agent.key:
        raise NameTaken(agent.name)


def _checked(agent: Agent) -> Agent:
    check_text(agent.description, "description", MAX_DESCRIPTION_CHARS)
    check_text(agent.system, "system")
    check_timezone(agent.timezone)
    if agent.model is not None:
        check_text(agent.model, "model", 4_000)
    return with_changes(agent, name=check_name(agent.name), tags=check_tags(agent.tags))


def _columns(agent: Agent) -> dict[str, Any]:
    columns = describe(agent)
    structured = {name: to_json(columns.pop(name)) for name in ("tags", "metadata", "settings")}
    now = agent.updated_at.replace(tzinfo=None)
    return {**columns, **structured, "key": agent.key, "now": now}


def _agent(row: Row) -> Agent:
    (
        key,
        id_,
        name,
        description,
        system,
        timezone,
        model,
        tags,
        archive,
        window,
        created,
        updated,
        metadata,
        settings,
        view,
    ) = row
    return Agent(
        key=key,
        id=id_,
        name=name,
        description=description,
        system=system,
        timezone=timezone,
        model=model,
        tags=tuple(tags),
        archive_key=archive,
        window_start=window,
        created_at=created.replace(tzinfo=UTC),
        updated_at=updated.replace(tzinfo=UTC),
        metadata=json.loads(metadata),
        settings=json.loads(settings),
        view=View(**json.loads(view)) if view else View(),
    )
