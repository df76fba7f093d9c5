"""Agents: creating, finding, updating and deleting them, with what hangs on them.

Copies of them are in clones.py, what a deleted one may leave behind in orphans.py.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from dataclasses import replace as with_changes
from datetime import UTC
from typing import Any
from uuid import uuid4

from memory import archives, core_memory, documents, tool_servers, tools
from memory.errors import InvalidValue, NameTaken, RunInProgress, UnknownAgent
from memory.limits import (
    MAX_DESCRIPTION_CHARS,
    check_name,
    check_object,
    check_tags,
    check_text,
    check_timezone,
)
from memory.records import Agent, Belongings, Block, Holdings, View
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
class Where:
    """Which agents are wanted; what is not given excludes none.

    name: part of the name. text: part of the name or the description. Both without regard to case.
    """

    name: str | None = None
    text: str | None = None
    tags_any: tuple[str, ...] = ()
    tags_all: tuple[str, ...] = ()


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
    labels = [draft.label for draft in new.blocks]
    for label, draft in zip(labels, new.blocks, strict=True):
        if labels.count(label) > 1:
            raise InvalidValue(f"two blocks are called {label!r}; an agent has one of each label")
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


def list_agents(
    reader: Reader, after: int = 0, limit: int = 50, where: Where | None = None
) -> list[Agent]:
    """Return agents in the order of their creation, those after a given key."""
    where = where or Where()
    rows = reader.rows(
        "list_agents",
        after=after,
        limit=limit,
        visible=reader.visible_ids,
        name=where.name,
        text=where.text,
        tags_any=to_json(where.tags_any) if where.tags_any else None,
        tags_all=to_json(where.tags_all) if where.tags_all else None,
    )
    return [_agent(row) for row in rows]


def list_names(reader: Reader, prefix: str = "", limit: int = 100) -> list[str]:
    """Return names that begin with a prefix, without regard to case, oldest agents first."""
    rows = reader.rows("agent_names", prefix=prefix, limit=limit, visible=reader.visible_ids)
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
    """Remember what the agent's prompts begin with, and from which message on they go on."""
    stored = to_json(asdict(view))
    transaction.run("set_view", key=agent.key, window_start=window_start, view=stored)
    transaction.changes.views[agent.key] = window_start, view


def reset_messages(transaction: Transaction, agent: Agent) -> int:
    """Forget an agent's messages, with the summary of them; blocks and archive stay.

    Returns:
        How many there were; no event keeps them.

    Raises:
        RunInProgress: naming the run.
    """
    refuse_during_run(transaction, agent)
    messages, _ = transaction.rows("count_messages", agent_key=agent.key)[0]
    _forget_messages(transaction, agent, only_ended=True)
    set_view(transaction, agent, 0, View())
    transaction.changes.stale_agents.add(agent.key)
    transaction.record(
        "agent.reset_messages", agent.id, agent.id, before={"messages": messages}, after={}
    )
    return int(messages)


def refuse_during_run(reader: Reader, agent: Agent) -> None:
    """Refuse to take its messages from under a run that has begun and not ended.

    Raises:
        RunInProgress: naming the run.
    """
    run = reader.value("active_run", agent_key=agent.key)
    if run is not None:
        raise RunInProgress(agent.name, run)


def belongings(reader: Reader, agent: Agent) -> Belongings:
    """What would go with an agent, or be orphaned by its end."""
    messages, _ = reader.rows("count_messages", agent_key=agent.key)[0]
    blocks = core_memory.list_blocks(reader, agent)
    shared = {key for (key,) in reader.rows("blocks_of_others_too", agent_key=agent.key)}
    alone = reader.value("count_archive_users", archive_key=agent.archive_key) == 1
    passages = reader.value("count_passages", archive_key=agent.archive_key) if alone else 0
    return Belongings(
        messages=messages,
        passages=passages,
        archive=archives.archive_id(reader, agent) if alone else None,
        blocks=tuple(block for block in blocks if block.key not in shared),
        shared_blocks=tuple(block for block in blocks if block.key in shared),
    )


def delete_agent(transaction: Transaction, agent: Agent, delete_orphans: bool = True) -> Belongings:
    """Delete an agent, its messages, and the blocks and archive that no other agent has.

    Tools stay, whoever wrote them.

    Args:
        delete_orphans: False: those blocks, and an archive that holds something, stay as orphans.

    Returns:
        What hung on it alone.
    """
    own = belongings(transaction, agent)
    for block in (*own.blocks, *own.shared_blocks):
        core_memory.detach_block(transaction, agent, block.label)
    if delete_orphans:
        for block in own.blocks:
            core_memory.delete_block(transaction, block, agent.id)
    for tool in tools.tools_of(transaction, agent):
        tools.detach_tool(transaction, agent, tool)
    tool_servers.forget_agent(transaction, agent)
    _forget_messages(transaction, agent, only_ended=False)
    transaction.run("delete_agent", key=agent.key)
    if own.archive is not None and (delete_orphans or own.passages == 0):
        archives.delete_archive(transaction, agent.archive_key)
    held = {"messages": own.messages, "passages": own.passages}
    transaction.record("agent.delete", agent.id, agent.id, before={**describe(agent), **held})
    transaction.changes.stale_agents.add(agent.key)
    return own


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


def _forget_messages(transaction: Transaction, agent: Agent, only_ended: bool) -> None:
    """Forget what was said, in messages and in runs."""
    transaction.run("delete_messages", agent_key=agent.key)
    documents.remove_collection(transaction, agent.key)
    transaction.run("forget_steps", agent_key=agent.key)
    transaction.run("forget_runs", agent_key=agent.key, only_ended=only_ended)


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
    check_object(agent.metadata, "metadata")
    check_object(agent.settings, "settings")
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
