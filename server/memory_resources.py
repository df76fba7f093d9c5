"""Memory as MCP resources: agents and their blocks are listed, passages and messages can be read.

A long text comes in pieces: its end says under which URI the next one is. What changes is told to
subscribers; which names can stand in a URI is completed.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from memory import agents, core_memory
from memory.errors import NotFound
from memory.records import Agent
from memory.transaction import Change, Reader
from server.cursors import place_in
from server.memory_access import MemoryAccess
from server.memory_uris import (
    TEMPLATES,
    agent_uri,
    block_uri,
    passage_uri,
    piece_of,
    read_text,
)
from server.notices import Listed, Updated
from server.registry import Caller, Completing, Resource, ResourcePage, ResourceTemplate
from server.reply_size import fitting, json_bytes

if TYPE_CHECKING:  # hosts list the tools before DuckDB is imported
    from memory.store import MemoryStore

AGENTS_PER_PAGE: Final = 20
_LIST_BYTES: Final = 14_000
_FIELDS_BYTES: Final = 60
"""What the names of a listed resource's fields take."""
_PIECE_BYTES: Final = 14_000
_FROM: Final = "?from="
_DESCRIPTION_CHARS: Final = 200

Event = Updated | Listed


class MemoryResources:
    """Every agent and block, a page of agents at a time."""

    templates: Sequence[ResourceTemplate] = TEMPLATES

    def __init__(self, access: MemoryAccess) -> None:
        self._access = access

    async def list(self, caller: Caller, cursor: str | None) -> ResourcePage:
        """Return the next agents with their blocks.

        Raises:
            InvalidValue: the cursor is none of ours.
        """
        key, parts = place_in(cursor)

        def work(_: "MemoryStore", reader: Reader) -> ResourcePage:
            found = agents.list_agents(reader, max(key - 1, 0), AGENTS_PER_PAGE)
            places = [
                (agent.key, part, resource)
                for agent in found
                for part, resource in enumerate(_resources(reader, agent))
                if (agent.key, part) >= (key, parts)
            ]
            sizes = [json_bytes([r.uri, r.name, r.description]) + _FIELDS_BYTES for *_, r in places]
            count = fitting(sizes, _LIST_BYTES)
            rest = places[count:]
            after = None
            if rest:
                after = f"{rest[0][0]}.{rest[0][1]}"
            elif len(found) == AGENTS_PER_PAGE:
                after = f"{found[-1].key + 1}.0"
            return ResourcePage(tuple(resource for *_, resource in places[:count]), after)

        return await self._access.read(caller, work)

    async def read(self, caller: Caller, uri: str) -> tuple[str, str]:
        """Return a text, or the piece that begins at the URI's `?from=`.

        Raises:
            LookupError: nothing has this URI.
            InvalidValue: the text has changed since an earlier piece named this one.
        """
        whole, _, cursor = uri.partition(_FROM)
        try:
            text = await self._access.read(caller, lambda _, reader: read_text(reader, whole))
        except NotFound as error:
            raise LookupError(str(error)) from error
        piece = piece_of(text, cursor or None, _PIECE_BYTES)
        if piece.next_cursor is None:
            return "text/plain", piece.text
        rest = piece.total - piece.end
        mark = f"… [{rest} more characters: {whole}{_FROM}{piece.next_cursor}]"
        return "text/plain", piece.text + mark

    async def complete(self, caller: Caller, wanted: Completing) -> Sequence[str]:
        """Return names of agents, or labels of the blocks of an agent that is named already."""
        if wanted.argument == "agent_id":
            return await self._access.read(
                caller, lambda _, reader: agents.list_names(reader, wanted.value, limit=101)
            )
        agent_id = wanted.given.get("agent_id")
        if wanted.argument != "label" or agent_id is None:
            return []

        def labels(_: "MemoryStore", reader: Reader) -> list[str]:
            blocks = core_memory.list_blocks(reader, agents.find_agent(reader, agent_id))
            return [b.label for b in blocks if b.label.lower().startswith(wanted.value.lower())]

        try:
            return await self._access.read(caller, labels)
        except NotFound:
            return []


def events_of(changes: Sequence[Change], reader: Reader) -> list[Event]:
    """What subscribers are to hear of changes: each text under its agent's id and its names."""
    found: dict[Event, None] = {}
    for change in changes:
        for agent_id, names in _agents_of(change, changes, reader).items():
            for agent in dict.fromkeys((agent_id, *names)):
                uris = [agent_uri(agent)]
                if change.action.startswith("block."):
                    uris += [block_uri(agent, label) for label in change.values_of("label")]
                if change.action == "passage.delete":
                    uris.append(passage_uri(agent, change.subject))
                found |= {Updated(uri, agent_id): None for uri in uris}
            if _changes_list(change):
                found[Listed(agent_id)] = None
    return list(found)


def changes_a_list(changes: Sequence[Change]) -> bool:
    """Whether other resources are listed now."""
    return any(_changes_list(change) for change in changes)


def _changes_list(change: Change) -> bool:
    renamed = change.action == "block.update" and len(change.values_of("label")) > 1
    return renamed or change.action in _CHANGES_LIST


_CHANGES_LIST: Final = {
    "agent.create",
    "agent.update",
    "agent.delete",
    "block.create",
    "block.attach",
    "block.detach",
    "block.delete",
}


def _agents_of(
    change: Change, changes: Sequence[Change], reader: Reader
) -> dict[str, Sequence[str]]:
    """The agents that a change is of, with the names by which they are and were known."""
    if change.action == "block.update":  # a block may be several agents'
        return {id_: (name,) for id_, name in core_memory.users_of_block(reader, change.subject)}
    if change.agent_id is None:
        return {}
    told = [
        name
        for other in changes
        if other.agent_id == change.agent_id and other.action.startswith("agent.")
        for name in other.values_of("name")
    ]
    if told:  # also of one that is deleted, or has another name now
        return {change.agent_id: told}
    try:
        return {change.agent_id: (agents.find_agent(reader, change.agent_id).name,)}
    except NotFound:  # deleted since
        return {change.agent_id: ()}


def _resources(reader: Reader, agent: Agent) -> list[Resource]:
    about = agent.description[:_DESCRIPTION_CHARS] or "An agent with its memory."
    return [
        Resource(uri=agent_uri(agent.id), name=agent.name, description=about),
        *(
            Resource(
                uri=block_uri(agent.id, block.label),
                name=f"{agent.name}: {block.label}",
                description=block.description[:_DESCRIPTION_CHARS]
                or f"Core memory of {agent.name}.",
            )
            for block in core_memory.list_blocks(reader, agent)
        ),
    ]
