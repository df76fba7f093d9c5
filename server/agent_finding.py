"""Finding and creating agents, for every host. Managing them is in agent_tools.py."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from memory import agents
from memory.limits import MAX_DESCRIPTION_CHARS, check_tags, check_text
from memory.transaction import Reader, Transaction
from server.agent_models import AgentPage, AgentSummary, Create, ListAgents
from server.agent_views import page_of, page_text, summary_of
from server.cursors import key_after
from server.errors import NotAllowed
from server.memory_access import MemoryAccess
from server.memory_tools import BOTH
from server.registry import Call, Tool

if TYPE_CHECKING:  # hosts list the tools before DuckDB is imported
    from memory.store import MemoryStore

_LISTED: Final = 50


@dataclass(frozen=True, slots=True)
class AgentFinding:
    """What the tools do."""

    access: MemoryAccess
    templates: Path | None

    async def list(self, call: Call, a: ListAgents) -> AgentPage:
        """agent_list."""
        after = key_after(a.cursor)
        tags = check_tags(a.tags or ())
        for text, name in ((a.name, "name"), (a.query, "query")):
            check_text(text or "", name, MAX_DESCRIPTION_CHARS)
        every, limit = a.tag_match_mode == "all", a.limit or _LISTED
        where = agents.Where(a.name, a.query, () if every else tags, tags if every else ())

        def work(_: "MemoryStore", reader: Reader) -> AgentPage:
            return page_of(agents.list_agents(reader, after, limit + 1, where), limit)

        return await self.access.read(call.caller, work)

    async def create(self, call: Call, a: Create) -> AgentSummary:
        """agent_create."""
        if call.caller.agents is not None:
            raise NotAllowed("create agents")
        source = (await self.access.runtime()).outside.source
        from server.agent_creation import new_agent  # noqa: PLC0415 - 25 ms that no start waits for

        def work(_: "MemoryStore", transaction: Transaction) -> AgentSummary:
            new = new_agent(a, self.templates, source)
            return summary_of(agents.create_agent(transaction, new))

        return await self.access.write(call, "agent_create", a, AgentSummary, work)


def finding_tools(access: MemoryAccess, templates: Path | None) -> tuple[Tool, ...]:
    """The table of these tools, in the order hosts list them.

    Args:
        templates: the folder of the templates that a caller can name.
    """
    do = AgentFinding(access, templates)
    return (
        Tool(
            name="agent_list",
            title="List agents",
            description="The agents that exist.",
            arguments=ListAgents,
            result=AgentPage,
            run=do.list,
            text=page_text,
            read_only=True,
            toolsets=BOTH,
        ),
        Tool(
            name="agent_create",
            title="Create an agent",
            description="Create an agent with memory of its own.",
            arguments=Create,
            result=AgentSummary,
            run=do.create,
            text=lambda agent: f"Created agent {agent.name} ({agent.id}).",
            toolsets=BOTH,
            for_all=True,
        ),
    )
