"""The tools for hosts that delegate: managing agents, and giving them a message."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from agent.models.spec import GgufFile, parse_spec
from memory import agents, blocks, core_memory
from memory.errors import InvalidValue
from memory.records import Agent, Block
from memory.transaction import Reader, Transaction
from server.agent_deletion import deletion_tools
from server.agent_models import (
    AgentPage,
    AgentReply,
    AgentShown,
    AgentSummary,
    BlockChange,
    Create,
    GetAgent,
    ListAgents,
    SendMessage,
    Update,
)
from server.agent_views import agent_text, page_of, page_text, show_agent, summary_of
from server.approvals import Approvals
from server.config import expanded
from server.cursors import key_after
from server.errors import NotAllowed
from server.memory_access import MemoryAccess
from server.memory_tools import BOTH, DELEGATING
from server.memory_uris import message_uri
from server.once import request_of, turn_of
from server.registry import Call, Tool
from server.reply_size import PAGE_BYTES, first_of, shortened

if TYPE_CHECKING:  # hosts list the tools before DuckDB is imported
    from agent.loop import Turn
    from memory.store import MemoryStore

DEFAULT_BLOCKS: Final = (
    Block("persona", description="Who you are: your role, character and way of working."),
    Block("human", description="What is known about the person you talk with."),
)

_NAMES_BYTES: Final = 2_000


@dataclass(frozen=True, slots=True)
class AgentTools:
    """What the tools do."""

    access: MemoryAccess

    async def create(self, call: Call, a: Create) -> AgentSummary:
        """agent_create."""
        if call.caller.agents is not None:
            raise NotAllowed("create agents")

        def work(_: "MemoryStore", transaction: Transaction) -> AgentSummary:
            return summary_of(agents.create_agent(transaction, new_agent(a)))

        return await self.access.write(call, "agent_create", a, AgentSummary, work)

    async def list(self, call: Call, a: ListAgents) -> AgentPage:
        """agent_list."""
        after = key_after(a.cursor)

        def work(_: "MemoryStore", reader: Reader) -> AgentPage:
            return page_of(agents.list_agents(reader, after, a.limit + 1), a.limit)

        return await self.access.read(call.caller, work)

    async def get(self, call: Call, a: GetAgent) -> AgentShown:
        """agent_get."""
        after = key_after(a.cursor)

        def work(_: "MemoryStore", reader: Reader) -> AgentShown:
            return show_agent(reader, agents.find_agent(reader, a.agent_id), after)

        return await self.access.read(call.caller, work)

    async def update(self, call: Call, a: Update) -> AgentShown:
        """agent_update."""
        if call.caller.agents is not None and (a.name is not None or a.model is not None):
            # A name that is taken would tell of an agent, a path of a file of this machine.
            raise NotAllowed("change an agent's name or model")

        def work(_: "MemoryStore", transaction: Transaction) -> AgentShown:
            agent = agents.find_agent(transaction, a.agent_id)
            kept = {"agent_id", "blocks", "idempotency_key"}
            changes: dict[str, Any] = a.model_dump(exclude=kept, exclude_none=True)
            _check_model(a.model)
            if changes:
                agent = agents.update_agent(transaction, agent, changes)
            for change in a.blocks or ():
                _change_block(transaction, agent, change)
            return show_agent(transaction, agent)

        return await self.access.write(call, "agent_update", a, AgentShown, work)

    async def message(self, call: Call, a: SendMessage) -> AgentReply:
        """agent_message."""
        state = await self.access.state(call.caller, a.agent_id)

        async def announce(step: int, what: str) -> None:
            await call.progress(step, None, what)

        request = request_of(call, "agent_message", a)
        turn_id = None if request is None else turn_of(request)
        parts = await self.access.runtime()
        async with parts.runner_for(state.agent) as runner:
            turn: Turn = await runner.run(state.agent.id, a.message, announce, turn_id)
        where = f"memory_read {message_uri(state.agent.id, turn.message_id)}"
        reply = shortened(turn.reply, PAGE_BYTES, where)
        return AgentReply(
            reply=reply,
            cut=reply != turn.reply,
            turn_id=turn.turn_id,
            message_id=turn.message_id,
            steps=turn.steps,
            tools_used=first_of(turn.tools_used, _NAMES_BYTES),
            prompt_tokens=turn.prompt_tokens,
            completion_tokens=turn.completion_tokens,
        )


def agent_tools(access: MemoryAccess, approvals: Approvals) -> tuple[Tool, ...]:
    """The table of agent tools, in the order hosts list them."""
    do = AgentTools(access)
    return (*_finding(do), _updating(do), *deletion_tools(access, approvals))


def _finding(do: AgentTools) -> tuple[Tool, ...]:
    """What every host may need, and talking."""
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
        Tool(
            name="agent_message",
            title="Talk to an agent",
            description="Give the agent a message; it thinks with a local model and answers.",
            arguments=SendMessage,
            result=AgentReply,
            run=do.message,
            text=lambda result: str(result.reply),
            destructive=True,
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


def new_agent(arguments: Create) -> agents.NewAgent:
    """What the store is asked to create."""
    given = arguments.blocks
    _check_model(arguments.model)
    return agents.NewAgent(
        name=arguments.name,
        description=arguments.description,
        system=arguments.system,
        timezone=arguments.timezone,
        model=arguments.model,
        tags=tuple(arguments.tags),
        blocks=DEFAULT_BLOCKS if given is None else tuple(Block(**b.model_dump()) for b in given),
    )


def _check_model(model: str | None) -> None:
    """Refuse what names no model, or a path that means another file wherever mnemon is started.

    Raises:
        ModelSpecInvalid: says what is wrong with it.
    """
    found = parse_spec(model) if model else None
    if isinstance(found, GgufFile) and not expanded(found.path).is_absolute():
        raise InvalidValue(f"model {model!r} is no absolute path; give the whole path")


def _change_block(transaction: Transaction, agent: Agent, change: BlockChange) -> None:
    known = {block.label for block in core_memory.list_blocks(transaction, agent)}
    given = change.model_dump(exclude={"label"}, exclude_none=True)
    if change.label not in known:
        core_memory.create_block(transaction, agent, Block(change.label, **given))
        return
    core_memory.configure_block(
        transaction, agent, change.label, lambda block: blocks.configure(block, given)
    )
