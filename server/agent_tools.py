"""The tools for hosts that delegate: managing agents. Talking to them is in run_tools.py."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agent.models.library.names import is_name
from agent.models.spec import GgufFile, parse_spec
from agent.outside import ToolSource
from agent.settings import merged
from memory import agents
from memory.errors import InvalidValue
from memory.limits import MAX_DESCRIPTION_CHARS, check_object, check_tags, check_text
from memory.records import Block
from memory.transaction import Reader, Transaction
from server.agent_changes import UNBORN, change_agent, changed_settings, make_clone
from server.agent_deletion import deletion_tool, forgetting_tools
from server.agent_models import (
    AgentPage,
    AgentShown,
    AgentSummary,
    Clone,
    Create,
    GetAgent,
    ListAgents,
    Update,
)
from server.agent_views import agent_text, page_of, page_text, show_agent, summary_of
from server.approvals import Approvals
from server.config import expanded
from server.consent import Consent, approval_tool
from server.cursors import key_after
from server.errors import NotAllowed
from server.memory_access import MemoryAccess
from server.memory_tools import BOTH, DELEGATING
from server.registry import Call, Tool
from server.templates import fill, find_template

if TYPE_CHECKING:  # hosts list the tools before DuckDB is imported
    from memory.store import MemoryStore

DEFAULT_BLOCKS: Final = (
    Block("persona", description="Who you are: your role, character and way of working."),
    Block("human", description="What is known about the person you talk with."),
)

_NAMES_BYTES: Final = 2_000
_SETTLE_S: Final = 10.0
_LISTED: Final = 50


@dataclass(frozen=True, slots=True)
class AgentTools:
    """What the tools do."""

    access: MemoryAccess
    templates: Path | None

    def _filled(self, a: Create) -> Create:
        return a if a.template is None else fill(a, find_template(self.templates, a.template))

    async def create(self, call: Call, a: Create) -> AgentSummary:
        """agent_create."""
        if call.caller.agents is not None:
            raise NotAllowed("create agents")

        source = (await self.access.runtime()).outside.source

        def work(_: "MemoryStore", transaction: Transaction) -> AgentSummary:
            return summary_of(agents.create_agent(transaction, new_agent(self._filled(a), source)))

        return await self.access.write(call, "agent_create", a, AgentSummary, work)

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
            _check_model(a.model)
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


def agent_tools(
    access: MemoryAccess, approvals: Approvals, templates: Path | None
) -> tuple[Tool, ...]:
    """The table of agent tools, in the order hosts list them.

    Args:
        templates: the folder of the templates that a caller can name.
    """
    do, consent = AgentTools(access, templates), Consent(access, approvals)
    return (
        *_finding(do),
        _updating(do),
        deletion_tool(consent),
        approval_tool(consent),
        _cloning(do),
        *forgetting_tools(consent),
    )


def _finding(do: AgentTools) -> tuple[Tool, ...]:
    """What every host may need."""
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
        Tool(
            name="agent_get",
            title="Show an agent",
            description="An agent's settings and blocks.",
            arguments=GetAgent,
            result=AgentShown,
            run=do.get,
            text=agent_text,
            read_only=True,
            toolsets=DELEGATING,
        ),
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


def new_agent(arguments: Create, source: ToolSource) -> agents.NewAgent:
    """What the store is asked to create."""
    given = arguments.blocks
    _check_model(arguments.model)
    return agents.NewAgent(
        name=arguments.name,
        description=arguments.description,
        system=arguments.system,
        timezone=arguments.timezone or "UTC",
        model=arguments.model,
        tags=tuple(arguments.tags),
        blocks=DEFAULT_BLOCKS
        if given is None
        else tuple(Block(**block.model_dump(exclude_none=True)) for block in given),
        metadata=merged({}, check_object(arguments.metadata, "metadata")),
        settings=changed_settings(UNBORN, arguments.settings, source),
    )


def _check_model(model: str | None) -> None:
    """Refuse what names no model, or a path that means another file wherever mnemon is started.

    Raises:
        ModelSpecInvalid: says what is wrong with it.
    """
    found = parse_spec(model) if model else None
    if (
        isinstance(found, GgufFile)
        and not expanded(found.path).is_absolute()
        and not is_name(str(found.path))
    ):
        raise InvalidValue(
            f"model {model!r} is no absolute path; give the whole path, or a name of"
            " `mnemon models list`"
        )
