"""Core memory blocks as MCP resources: memory://agents/AGENT_ID/blocks/LABEL."""

from collections.abc import Sequence
from urllib.parse import quote, unquote

import anyio.to_thread

from memory import agents, core_memory
from memory.errors import NotFound
from memory.records import Agent
from memory.transaction import Reader
from server.cursors import key_after
from server.memory_tools import GetRuntime
from server.registry import Resource, ResourcePage, ResourceTemplate

AGENTS_PER_PAGE = 20
_PREFIX = "memory://agents/"


class BlockResources:
    """Every block of every agent, a page of agents at a time."""

    templates: Sequence[ResourceTemplate] = (
        ResourceTemplate(
            uri_template="memory://agents/{agent_id}/blocks/{label}",
            name="block",
            description="A core memory block of an agent.",
        ),
    )

    def __init__(self, runtime: GetRuntime) -> None:
        self._runtime = runtime

    async def list(self, cursor: str | None) -> ResourcePage:
        """Return the blocks of the next agents.

        Raises:
            InvalidValue: the cursor is none of ours.
        """
        after = key_after(cursor)
        store = (await self._runtime()).store

        def work() -> ResourcePage:
            with store.read() as reader:
                found = agents.list_agents(reader, after, AGENTS_PER_PAGE + 1)
                page = found[:AGENTS_PER_PAGE]
                return ResourcePage(
                    tuple(block for agent in page for block in _resources(reader, agent)),
                    str(page[-1].key) if len(found) > AGENTS_PER_PAGE else None,
                )

        return await anyio.to_thread.run_sync(work)

    async def read(self, uri: str) -> tuple[str, str]:
        """Return the block's text.

        Raises:
            LookupError: no such agent or block.
        """
        agent_id, label = _parse(uri)
        store = (await self._runtime()).store

        def work() -> str:
            with store.read() as reader:
                agent = agents.find_agent(reader, agent_id)
                return core_memory.get_block(reader, agent, label).value

        try:
            return "text/plain", await anyio.to_thread.run_sync(work)
        except NotFound as error:
            raise LookupError(str(error)) from error


def block_uri(agent: Agent, label: str) -> str:
    """The URI of a block; a label's slashes are escaped."""
    return f"{_PREFIX}{agent.id}/blocks/{quote(label, safe='')}"


def _parse(uri: str) -> tuple[str, str]:
    agent_id, separator, label = uri.removeprefix(_PREFIX).partition("/blocks/")
    if not (uri.startswith(_PREFIX) and separator and agent_id and label):
        raise LookupError(uri)
    return unquote(agent_id), unquote(label)


def _resources(reader: Reader, agent: Agent) -> list[Resource]:
    return [
        Resource(
            uri=block_uri(agent, block.label),
            name=f"{agent.name}: {block.label}",
            description=block.description or f"Core memory of {agent.name}.",
        )
        for block in core_memory.list_blocks(reader, agent)
    ]
