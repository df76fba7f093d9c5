"""Arguments and results of the tools that manage agents and talk to them."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, WithJsonSchema

from agent.memory_tools import Arguments, Result
from server.memory_tools import ChangesAgent, ForAgent
from server.once import Once

Limit = Annotated[int, Field(ge=1, le=100_000), WithJsonSchema({"type": "integer"})]
JsonObject = Annotated[dict[str, Any], WithJsonSchema({"type": "object"})]
"""Checked where it is stored: its schema would be longer than that of all else."""

_Limit = Annotated[int, Field(ge=1, le=100), WithJsonSchema({"type": "integer"})]
_Bounded = Annotated[list[str], Field(max_length=50)]


class NewBlock(Arguments):
    """A block of a new agent."""

    # Every host is sent the schema, which says as much.
    model_config = ConfigDict(json_schema_extra=lambda schema: schema.pop("description", None))

    label: str
    value: str = ""
    limit_chars: Limit | None = None
    description: str = ""
    read_only: bool = False


class BlockChange(Arguments):
    """A change to one block by the person who owns the agent; what is left out stays."""

    label: str = Field(description="A block that does not exist is created.")
    value: str | None = None
    limit_chars: Limit | None = None
    description: str | None = Field(None, description="What belongs into it.")
    read_only: bool | None = None


class Create(Once):
    """Arguments of agent_create."""

    name: str
    description: str = ""
    system: str = ""
    timezone: str | None = None
    model: str | None = Field(None, description="GGUF file, or KIND:NAME of a server.")
    tags: list[str] = Field(default_factory=list)
    blocks: list[NewBlock] | None = Field(None, description="Default: persona, human.")
    metadata: JsonObject = Field(default_factory=dict)
    settings: JsonObject = Field(default_factory=dict)
    template: str | None = None


class Update(ChangesAgent):
    """Arguments of agent_update; what is left out stays."""

    name: str | None = Field(None, description="New name.")
    description: str | None = Field(None, description="What it is for.")
    system: str | None = Field(None, description="Instructions to its model; empty: the default.")
    timezone: str | None = None
    model: str | None = Field(None, description="GGUF file, or KIND:NAME of a server.")
    tags: list[str] | None = None
    blocks: list[BlockChange] | None = Field(None, description="Blocks to change or add.")
    metadata: JsonObject | None = Field(None, description="Merged; null removes a key.")
    settings: JsonObject | None = Field(
        None, description="Merged; null resets: max_steps, temperature, tools, compaction..."
    )
    attach_blocks: _Bounded | None = Field(None, description="Ids of blocks to share or take.")
    detach_blocks: _Bounded | None = Field(None, description="Labels; the blocks stay.")
    archive_id: str | None = Field(None, description="Archive to use in place of its own.")
    embedder: str | None = Field(None, description="One for all agents: mnemon reindex.")


class Clone(ChangesAgent):
    """Arguments of agent_clone."""

    name: str = Field(description="Of the new agent.")
    include: list[Literal["blocks", "passages", "messages"]] | None = Field(
        None, description="Default: blocks, passages."
    )
    share_blocks: bool = Field(False, description="Both edit the same blocks.")


class ListAgents(Arguments):
    """Arguments of agent_list."""

    name: str | None = None
    tags: list[str] | None = None
    tag_match_mode: Literal["any", "all"] | None = None
    query: str | None = None
    limit: _Limit | None = None
    cursor: str | None = None


class GetAgent(ForAgent):
    """Arguments of agent_get."""

    cursor: str | None = None


class Decide(Once):
    """Arguments of approval_decide."""

    approval_id: str
    approve: bool = Field(description="What the person decided.")


class AgentSummary(Result):
    """An agent in a list."""

    id: str
    name: str
    description: str
    tags: list[str]


class AgentPage(Result):
    """Agents in the order of their creation."""

    agents: list[AgentSummary]
    next_cursor: str | None = None


class BlockShown(Result):
    """A block with its settings. cut: value or description is not whole; memory_read is."""

    id: str
    label: str
    value: str
    limit_chars: int
    description: str
    read_only: bool
    version: int
    cut: bool = False


class WaitingRun(Result):
    """A run that waits until a moment for a person to approve calls of these tools."""

    run_id: str
    tools: list[str]
    until: str


class AgentShown(Result):
    """An agent with its settings and blocks, or the next of its blocks.

    settings: those that are set, the others have their defaults. problems: settings that cannot be
    read. embedder: of all agents; None: no text has been embedded yet. waiting: its run that waits
    for a person; runs_in_work: those that do not, begun or queued. tools: names of custom ones.
    server_tools: those of MCP servers that it can call now.
    """

    id: str
    name: str
    description: str
    system: str
    timezone: str
    model: str | None
    tags: list[str]
    metadata: JsonObject
    settings: JsonObject
    problems: list[str] = Field(default_factory=list)
    waiting: WaitingRun | None = None
    runs_in_work: int = 0
    tools: list[str] = Field(default_factory=list)
    server_tools: list[str] = Field(default_factory=list)
    blocks: list[BlockShown]
    messages: int
    passages: int
    archive_id: str
    embedder: str | None
    created_at: str
    next_cursor: str | None = None


class Decided(Result):
    """What became of something that waited for a person's yes."""

    approved: bool
    text: str
