"""Arguments and results of the tools for MCP servers of others."""

from typing import Annotated, Any, Literal

from pydantic import Field, WithJsonSchema

from agent.memory_tools import Arguments, Result
from server.consent_models import Awaited
from server.counted import counted
from server.memory_tools import ChangesAgent
from server.once import Once

_Text = Annotated[str, Field(max_length=4_000), WithJsonSchema({"type": "string"})]
_Values = Annotated[dict[str, _Text], Field(max_length=50)]
ServerName = Annotated[str, Field(max_length=100), WithJsonSchema({"type": "string"})]


class AddServer(Once):
    """Arguments of mcp_server_add."""

    name: str = Field(description="Names of its tools begin with it.")
    command: Annotated[list[_Text], Field(max_length=100)] | None = Field(
        None, description="Program and arguments, for stdio."
    )
    url: str | None = Field(None, description="For streamable HTTP.")
    environment: _Values = Field({}, description="For stdio; $secret:NAME stands for a secret.")
    headers: _Values = Field({}, description="For HTTP; $secret:NAME stands for a secret.")
    read_paths: Annotated[list[_Text], Field(max_length=50)] = Field(
        [], description="What it may read, for stdio."
    )
    network: Annotated[list[_Text], Field(max_length=50)] = Field(
        [], description="host:port that it may reach, for stdio."
    )
    unsandboxed: bool = Field(False, description="It may do all that the person may, for stdio.")
    call_timeout_s: Annotated[float, Field(gt=0, le=600)] = 60.0
    connect_timeout_s: Annotated[float, Field(gt=0, le=120)] = 30.0


class ListServers(Arguments):
    """Arguments of mcp_server_list."""

    limit: Annotated[int, Field(ge=1, le=100), WithJsonSchema({"type": "integer"})] = 50
    cursor: str | None = None


class GetServer(Arguments):
    """Arguments of mcp_server_get."""

    server: ServerName = Field(description="Name or id.")
    tool: str | None = Field(None, description="Show the schema of this one.")
    cursor: str | None = None


class ChangesServer(Once):
    """Arguments that name a server that is changed."""

    server: ServerName = Field(description="Name or id.")


class UpdateServer(ChangesServer):
    """Arguments of mcp_server_update."""

    enabled: bool = Field(description="False: its tools are not offered for now.")


class AttachServer(ChangesAgent):
    """Arguments of mcp_server_attach and mcp_server_detach."""

    server: ServerName = Field(description="Name or id.")
    tool: str | None = Field(None, description="Its name at the server; left out: all.")


class ServerLine(Result):
    """A server in a list. tools: how many it listed last; listed_at: when, null: never."""

    id: str
    name: str
    transport: Literal["stdio", "http"]
    address: str
    sandboxed: bool
    enabled: bool
    tools: int
    listed_at: str | None


class ServerPage(Result):
    """Servers in the order in which they were added."""

    servers: list[ServerLine]
    next_cursor: str | None = None


class ToolLine(Result):
    """A tool of a server. name: there; offered: to models. unusable: why not, or empty."""

    name: str
    offered: str
    description: str
    unusable: str


class ServerShown(Result):
    """A server, with a page of its tools and who has some; schema_: of the tool asked for."""

    server: ServerLine
    environment: dict[str, str]
    headers: dict[str, str]
    read_paths: list[str]
    network: list[str]
    call_timeout_s: float
    connect_timeout_s: float
    agents: list[str]
    tools: list[ToolLine]
    input_schema: dict[str, Any] | None = None
    next_cursor: str | None = None


class ServerListed(Result):
    """What a server has now: how many tools, and what is new, gone or changed, by name."""

    id: str
    name: str
    tools: int
    unusable: int
    new: list[str]
    gone: list[str]
    changed: list[str]


class ServerRemoved(Result):
    """A server that is gone, and the agents that had tools of it."""

    id: str
    name: str
    agents: list[str]


class ServerChanged(Result):
    """A server as it is now."""

    server: ServerLine


class ServerAttached(Result):
    """What an agent has of a server now, by their names; changed: whether it was otherwise."""

    agent_id: str
    agent: str
    server: str
    tool: str | None
    changed: bool
    offered: list[str]


class ServerAdded(Awaited):
    """A server that was added, or would be. tools: that it listed. problem: why it could not."""

    id: str
    name: str
    address: str
    may: str
    tools: int = 0
    problem: str = ""

    def question(self) -> str:
        """What the person is asked."""
        return f"Let agents use tools of MCP server {self.name}: {self.address}? {self.may}"

    def done(self) -> str:
        """What was added."""
        if self.problem:
            return (
                f"Added MCP server {self.name} ({self.id}), but {self.problem}"
                " mcp_server_refresh asks it again, mcp_server_remove removes it."
            )
        has = f"with {counted(self.tools, 'tool')}"
        listed = has if self.tools else "; mcp_server_refresh lists its tools"
        return f"Added MCP server {self.name} ({self.id}) {listed}."
