"""The tools for hosts that delegate: managing agents, and giving them a message."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import anyio.to_thread
from pydantic import BaseModel, Field

from agent.memory_tools import Arguments
from memory import agents, blocks, core_memory
from memory.errors import InvalidValue
from memory.records import DEFAULT_BLOCK_LIMIT_CHARS, Agent, Block, Origin
from memory.transaction import Reader, Transaction
from server.config import expanded
from server.cursors import key_after
from server.memory_tools import ChangesAgent, ForAgent, GetRuntime
from server.once import Once, request_of, turn_of, write_once
from server.registry import Call, Tool

if TYPE_CHECKING:
    from agent.loop import Turn

DEFAULT_BLOCKS = (
    Block("persona", description="Who you are: your role, character and way of working."),
    Block("human", description="What is known about the person you talk with."),
)

Limit = Annotated[int, Field(ge=1, le=100_000, description="Its limit in characters.")]


class NewBlock(Arguments):
    """A block of a new agent."""

    label: str = Field(description="Short name, e.g. human, persona, project.")
    value: str = Field("", description="Its first text.")
    limit_chars: Limit = DEFAULT_BLOCK_LIMIT_CHARS
    description: str = Field("", description="What belongs into it.")
    read_only: bool = Field(False, description="Whether the editing tools refuse it.")


class BlockChange(Arguments):
    """A change to one block by the person who owns the agent; what is left out stays."""

    label: str = Field(description="Label of the block; one that does not exist is created.")
    value: str | None = Field(None, description="Its whole new text.")
    limit_chars: Limit | None = None
    description: str | None = Field(None, description="What belongs into it.")
    read_only: bool | None = Field(None, description="Whether the editing tools refuse it.")


class Create(Once):
    """Arguments of agent_create."""

    name: str = Field(description="Unique name.")
    description: str = Field("", description="What the agent is for.")
    system: str = Field("", description="Instructions to its model; default: mnemon's own.")
    timezone: str = Field("UTC", description="IANA time zone, e.g. Europe/Berlin.")
    model: str | None = Field(None, description="Path of a GGUF file; default: the configured.")
    tags: list[str] = Field(default_factory=list, description="Labels to list agents by.")
    blocks: list[NewBlock] | None = Field(None, description="Default: persona and human, empty.")


class Update(ChangesAgent):
    """Arguments of agent_update; what is left out stays."""

    name: str | None = Field(None, description="New name.")
    description: str | None = Field(None, description="What the agent is for.")
    system: str | None = Field(None, description="Instructions to its model; empty: the default.")
    timezone: str | None = Field(None, description="IANA time zone.")
    model: str | None = Field(None, description="Path of a GGUF file.")
    tags: list[str] | None = Field(None, description="All its tags.")
    blocks: list[BlockChange] | None = Field(None, description="Blocks to change or add.")


class ListAgents(Arguments):
    """Arguments of agent_list."""

    limit: int = Field(50, ge=1, le=100, description="How many at most.")
    cursor: str | None = Field(None, description="next_cursor of the page before.")


class SendMessage(ChangesAgent):
    """Arguments of agent_message."""

    message: str = Field(description="What to say to the agent.")


class AgentSummary(BaseModel):
    """An agent in a list."""

    id: str
    name: str
    description: str
    tags: list[str]


class AgentPage(BaseModel):
    """Agents in the order of their creation."""

    agents: list[AgentSummary]
    next_cursor: str | None = None


class BlockShown(BaseModel):
    """A block with its settings."""

    label: str
    value: str
    limit_chars: int
    description: str
    read_only: bool
    version: int


class AgentShown(BaseModel):
    """An agent with its settings and blocks."""

    id: str
    name: str
    description: str
    system: str
    timezone: str
    model: str | None
    tags: list[str]
    blocks: list[BlockShown]
    messages: int
    passages: int
    created_at: str


class AgentDeleted(BaseModel):
    """What went with a deleted agent."""

    id: str
    name: str
    messages: int
    passages: int
    blocks: list[str]


class AgentReply(BaseModel):
    """The agent's answer, and how it came about."""

    reply: str
    turn_id: str
    steps: int
    tools_used: list[str]
    prompt_tokens: int
    completion_tokens: int


def agent_tools(runtime: GetRuntime) -> tuple[Tool, ...]:
    """The table of agent tools, in the order hosts list them."""
    return (
        Tool(
            name="agent_create",
            title="Create an agent",
            description="Create an agent with memory of its own.",
            arguments=Create,
            result=AgentShown,
            run=partial(_create, runtime),
            text=lambda agent: f"Created agent {agent.name} ({agent.id}).",
        ),
        Tool(
            name="agent_list",
            title="List agents",
            description="The agents that exist.",
            arguments=ListAgents,
            result=AgentPage,
            run=partial(_list, runtime),
            read_only=True,
        ),
        Tool(
            name="agent_get",
            title="Show an agent",
            description="An agent's settings and blocks.",
            arguments=ForAgent,
            result=AgentShown,
            run=partial(_get, runtime),
            read_only=True,
        ),
        Tool(
            name="agent_update",
            title="Change an agent",
            description="Change an agent's settings or blocks on behalf of its owner.",
            arguments=Update,
            result=AgentShown,
            run=partial(_update, runtime),
            destructive=True,
            idempotent=True,
        ),
        Tool(
            name="agent_delete",
            title="Delete an agent",
            description="Delete an agent with its messages, archive and blocks.",
            arguments=ChangesAgent,
            result=AgentDeleted,
            run=partial(_delete, runtime),
            destructive=True,
        ),
        Tool(
            name="agent_message",
            title="Talk to an agent",
            description="Give the agent a message; it thinks with a local model and answers.",
            arguments=SendMessage,
            result=AgentReply,
            run=partial(_message, runtime),
            text=lambda result: str(result.reply),
            destructive=True,
        ),
    )


def show_agent(reader: Reader, agent: Agent) -> AgentShown:
    """An agent as hosts and the command line show it."""
    held = agents.holdings(reader, agent)
    return AgentShown(
        **agents.describe(agent),
        id=agent.id,
        blocks=[
            BlockShown(**core_memory.describe(block), version=block.version)
            for block in core_memory.list_blocks(reader, agent)
        ],
        messages=held.messages,
        passages=held.passages,
        created_at=agent.created_at.isoformat("T", "seconds"),
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


async def _create(runtime: GetRuntime, call: Call, a: Create) -> AgentShown:
    store = (await runtime()).store

    def work(transaction: Transaction) -> AgentShown:
        return show_agent(transaction, agents.create_agent(transaction, new_agent(a)))

    request = request_of(call, "agent_create", a)
    origin = _origin(call, "agent_create")
    return await anyio.to_thread.run_sync(write_once, store, origin, request, AgentShown, work)


async def _list(runtime: GetRuntime, call: Call, a: ListAgents) -> AgentPage:
    store = (await runtime()).store

    def work() -> AgentPage:
        with store.read() as reader:
            return list_page(agents.list_agents(reader, key_after(a.cursor), a.limit + 1), a.limit)

    return await anyio.to_thread.run_sync(work)


def list_page(found: Sequence[Agent], limit: int) -> AgentPage:
    """One page of agents; found holds one more when there is another page."""
    return AgentPage(
        agents=[
            AgentSummary(id=a.id, name=a.name, description=a.description, tags=list(a.tags))
            for a in found[:limit]
        ],
        next_cursor=str(found[limit - 1].key) if len(found) > limit else None,
    )


async def _get(runtime: GetRuntime, call: Call, a: ForAgent) -> AgentShown:
    store = (await runtime()).store

    def work() -> AgentShown:
        with store.read() as reader:
            return show_agent(reader, agents.find_agent(reader, a.agent_id))

    return await anyio.to_thread.run_sync(work)


async def _update(runtime: GetRuntime, call: Call, a: Update) -> AgentShown:
    store = (await runtime()).store

    def work(transaction: Transaction) -> AgentShown:
        agent = agents.find_agent(transaction, a.agent_id)
        kept = {"agent_id", "blocks", "idempotency_key"}
        changes: dict[str, Any] = a.model_dump(exclude=kept, exclude_none=True)
        _check_model(a.model)
        if changes:
            agent = agents.update_agent(transaction, agent, changes)
        for change in a.blocks or ():
            _change_block(transaction, agent, change)
        return show_agent(transaction, agent)

    request = request_of(call, "agent_update", a)
    origin = _origin(call, "agent_update")
    return await anyio.to_thread.run_sync(write_once, store, origin, request, AgentShown, work)


async def _delete(runtime: GetRuntime, call: Call, a: ChangesAgent) -> AgentDeleted:
    store = (await runtime()).store

    def work(transaction: Transaction) -> AgentDeleted:
        agent = agents.find_agent(transaction, a.agent_id)
        gone = agents.delete_agent(transaction, agent)
        return AgentDeleted(
            id=agent.id,
            name=agent.name,
            messages=gone.messages,
            passages=gone.passages,
            blocks=list(gone.blocks),
        )

    request = request_of(call, "agent_delete", a)
    origin = _origin(call, "agent_delete")
    return await anyio.to_thread.run_sync(write_once, store, origin, request, AgentDeleted, work)


async def _message(runtime: GetRuntime, call: Call, a: SendMessage) -> AgentReply:
    parts = await runtime()
    state = await anyio.to_thread.run_sync(parts.store.agent_state, a.agent_id)

    async def announce(step: int, what: str) -> None:
        await call.progress(step, None, what)

    request = request_of(call, "agent_message", a)
    turn_id = None if request is None else turn_of(request)
    async with parts.runner_for(state.agent) as runner:
        turn: Turn = await runner.run(state.agent.id, a.message, announce, turn_id)
    return AgentReply(
        reply=turn.reply,
        turn_id=turn.turn_id,
        steps=turn.steps,
        tools_used=list(turn.tools_used),
        prompt_tokens=turn.prompt_tokens,
        completion_tokens=turn.completion_tokens,
    )


def _check_model(model: str | None) -> None:
    """Refuse a path that means another file wherever mnemon is started."""
    if model and not expanded(Path(model)).is_absolute():
        raise InvalidValue(f"model {model[:200]!r} is no absolute path; give the whole path")


def _change_block(transaction: Transaction, agent: Agent, change: BlockChange) -> None:
    known = {block.label for block in core_memory.list_blocks(transaction, agent)}
    given = change.model_dump(exclude={"label"}, exclude_none=True)
    if change.label not in known:
        core_memory.create_block(transaction, agent, Block(change.label, **given))
        return
    core_memory.configure_block(
        transaction, agent, change.label, lambda block: blocks.configure(block, given)
    )


def _origin(call: Call, reason: str) -> Origin:
    return Origin(f"host:{call.host}", reason, call.request_id)
