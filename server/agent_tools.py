"""The tools for hosts that delegate: managing agents.

Finding and creating them is in agent_finding.py, talking to them in run_tools.py.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from memory import agents
from memory.transaction import Reader, Transaction
from server.agent_changes import change_agent, make_clone
from server.agent_creation import check_model
from server.agent_deletion import deletion_tool, forgetting_tools
from server.agent_models import (
    AgentShown,
    AgentSummary,
    Clone,
    GetAgent,
    Update,
)
from server.agent_views import agent_text, show_agent, summary_of
from server.consent import Consent, approval_tool
from server.cursors import key_after
from server.errors import NotAllowed
from server.memory_access import MemoryAccess
from server.memory_tools import DELEGATING
from server.registry import Call, Tool

if TYPE_CHECKING:  # hosts list the tools before DuckDB is imported
    from memory.store import MemoryStore

_NAMES_BYTES: Final = 2_000
_SETTLE_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class AgentTools:
    """What the tools do."""

    access: MemoryAccess

    async def get(self, call: Call, a: GetAgent) -> AgentShown:
        """agent_get."""
        after = key_after(a.cursor)

        runs = (await self.access.runtime()).runs

        def work(_: "MemoryStore", reader: Reader) -> AgentShown:
            shown = show_agent(reader, agents.find_agent(reader, a.agent_id), after)
            in_work = sum(not live.is_finished for live in runs.of_agent(shown.id))
            return shown.model_copy(update={"runs_in_work": in_work})

        return await self.access.read(call.caller, work)

    async def update(self, call: Call, a: Update) -> AgentShown:
        """agent_update."""
        if call.caller.agents is not None and (a.name is not None or a.model is not None):
            # A name that is taken would tell of an agent, a path of a file of this machine.
            raise NotAllowed("change an agent's name or model")

        source = (await self.access.runtime()).outside.source

        def work(_: "MemoryStore", transaction: Transaction) -> AgentShown:
            check_model(a.model)
            return show_agent(transaction, change_agent(transaction, a, source))

        return await self.access.write(call, "agent_update", a, AgentShown, work)

    async def clone(self, call: Call, a: Clone) -> AgentSummary:
        """agent_clone."""
        if call.caller.agents is not None:
            raise NotAllowed("create agents")
        # So that vectors come along: what is not embedded yet is embedded once for each copy.
        await self.access.read(
            call.caller, lambda store, _: store.embedding.settle(None, _SETTLE_S)
        )

        def work(_: "MemoryStore", transaction: Transaction) -> AgentSummary:
            return summary_of(make_clone(transaction, a))

        return await self.access.write(call, "agent_clone", a, AgentSummary, work)


def agent_tools(access: MemoryAccess, consent: Consent) -> tuple[Tool, ...]:
    """The table of these tools, in the order hosts list them."""
    do = AgentTools(access)
    return (
        _showing(do),
        _updating(do),
        deletion_tool(consent),
        approval_tool(consent),
        _cloning(do),
        *forgetting_tools(consent),
    )


def _showing(do: AgentTools) -> Tool:
    """What hosts that talk to an agent ask of it."""
    return Tool(
        name="agent_get",
        title="Show an agent",
        description="An agent's settings and blocks.",
        arguments=GetAgent,
        result=AgentShown,
        run=do.get,
        text=agent_text,
        read_only=True,
        toolsets=DELEGATING,
    )


def _updating(do: AgentTools) -> Tool:
    """What changes agents as the person they belong to."""
    return Tool(
        name="agent_update",
        title="Change an agent",
        description="Change an agent's settings or blocks for the person it belongs to.",
        arguments=Update,
        result=AgentShown,
        run=do.update,
        text=agent_text,
        destructive=True,
        idempotent=True,
        toolsets=DELEGATING,
    )


def _cloning(do: AgentTools) -> Tool:
    """What makes an agent from another."""
    return Tool(
        name="agent_clone",
        title="Clone an agent",
        description="Create an agent with the settings of another and copies of its memory.",
        arguments=Clone,
        result=AgentSummary,
        run=do.clone,
        text=lambda agent: f"Created agent {agent.name} ({agent.id}).",
        toolsets=DELEGATING,
        for_all=True,
    )
