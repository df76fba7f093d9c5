"""Arguments and results of the tools that manage agents and talk to them."""

from typing import Annotated, Literal

from pydantic import Field, WithJsonSchema

from agent.memory_tools import Arguments, Result
from memory.records import DEFAULT_BLOCK_LIMIT_CHARS
from server.memory_tools import ChangesAgent, ForAgent
from server.once import Once

Limit = Annotated[int, Field(ge=1, le=100_000), WithJsonSchema({"type": "integer"})]


class NewBlock(Arguments):
    """A block of a new agent."""

    label: str
    value: str = ""
    limit_chars: Limit = DEFAULT_BLOCK_LIMIT_CHARS
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
    timezone: str = "UTC"
    model: str | None = Field(None, description="GGUF file, or KIND:NAME of a server.")
    tags: list[str] = Field(default_factory=list)
    blocks: list[NewBlock] | None = Field(None, description="Default: persona, human.")


class Update(ChangesAgent):
    """Arguments of agent_update; what is left out stays."""

    name: str | None = Field(None, description="New name.")
    description: str | None = Field(None, description="What it is for.")
    system: str | None = Field(None, description="Instructions to its model; empty: the default.")
    timezone: str | None = None
    model: str | None = Field(None, description="GGUF file, or KIND:NAME of a server.")
    tags: list[str] | None = None
    blocks: list[BlockChange] | None = Field(None, description="Blocks to change or add.")


class ListAgents(Arguments):
    """Arguments of agent_list."""

    limit: Annotated[int, Field(ge=1, le=100), WithJsonSchema({"type": "integer"})] = 50
    cursor: str | None = None


class GetAgent(ForAgent):
    """Arguments of agent_get."""

    cursor: str | None = None


class SendMessage(ChangesAgent):
    """Arguments of agent_message."""

    message: str = Field(description="What to say to the agent.")


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

    label: str
    value: str
    limit_chars: int
    description: str
    read_only: bool
    version: int
    cut: bool = False


class AgentShown(Result):
    """An agent with its settings and blocks, or the next of its blocks."""

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
    next_cursor: str | None = None


class AgentDeleted(Result):
    """What went with a deleted agent, or what would: it waits for approval_id to be decided."""

    status: Literal["deleted", "waiting"] = "deleted"
    id: str
    name: str
    messages: int
    passages: int
    blocks: list[str]
    approval_id: str | None = None


class Decided(Result):
    """What became of something that waited for a person's yes."""

    approved: bool
    text: str


class AgentReply(Result):
    """The agent's answer, and how it came about. cut: the reply is not whole; memory_read is."""

    reply: str
    cut: bool
    turn_id: str
    message_id: str
    steps: int
    tools_used: list[str]
    prompt_tokens: int
    completion_tokens: int
