"""Arguments and results of the tools that keep and run tools which people and agents wrote."""

from typing import Annotated, Literal

from pydantic import Field, WithJsonSchema

from agent.memory_tools import Arguments, Result
from server.agent_models import JsonObject
from server.consent_models import Awaited
from server.memory_tools import ChangesAgent
from server.once import Once

ToolId = Annotated[str, Field(description="Name or id.")]
_Limit = Annotated[int, Field(ge=1, le=100), WithJsonSchema({"type": "integer"})]


class _Written(Once):
    """What can be said of a tool beside its source; what is left out is derived, or stays."""

    name: str | None = Field(None, description="Default: its function's.")
    description: str | None = Field(None, description="Default: its docstring.")
    json_schema: JsonObject | None = Field(
        None, description="Of its arguments; default: its type hints."
    )
    tags: list[str] | None = None
    policy: JsonObject | None = Field(
        None,
        description="wall_s, cpu_s, memory_mb, subprocesses, network, secrets, methods, parallel.",
    )
    requirements: list[str] | None = Field(None, description="Packages it imports.")
    return_limit_chars: int | None = None
    requires_approval: bool | None = Field(None, description="A person is asked at each call.")


class CreateTool(_Written):
    """Arguments of tool_create."""

    source: str = Field(description="Python; its last function is the tool.")


class UpdateTool(_Written):
    """Arguments of tool_update; what is left out stays. policy is merged, null removes a key."""

    tool_id: ToolId
    source: str | None = None
    expected_version: int | None = Field(
        None, description="Nothing is changed if it is at another one."
    )


class ListTools(Arguments):
    """Arguments of tool_list."""

    name: str | None = None
    tags: list[str] | None = None
    tag_match_mode: Literal["any", "all"] | None = None
    query: str | None = None
    attached_to: str | None = Field(None, description="An agent.")
    limit: _Limit | None = None
    cursor: str | None = None


class GetTool(Arguments):
    """Arguments of tool_get."""

    tool_id: ToolId
    version: int | None = Field(None, description="Default: the newest.")
    part: Literal["source", "settings"] | None = Field(
        None, description="In pieces; default: source."
    )
    cursor: str | None = None


class DeleteTool(Once):
    """Arguments of tool_delete."""

    tool_id: ToolId


class AttachTool(ChangesAgent):
    """Arguments of tool_attach and tool_detach."""

    tool_id: ToolId


class RunStoredTool(ChangesAgent):
    """Arguments of tool_run."""

    tool_id: ToolId
    arguments: JsonObject = Field(default_factory=dict)
    approved: bool = Field(False, description="The person agreed to this call.")
    cursor: str | None = Field(None, description="Read on in a result; nothing is run.")


class ToolLine(Result):
    """A tool in a list."""

    id: str
    name: str
    description: str
    tags: list[str]
    version: int
    author: str
    requires_approval: bool


class ToolPage(Result):
    """Tools in the order of their creation."""

    tools: list[ToolLine]
    next_cursor: str | None = None


class ToolShown(Awaited):
    """A tool at a version, with a piece of its source, or of its settings as JSON.

    It may be one that waits for a person's yes to its packages: asks is what they are asked.
    packages: what its requirements come to, as agreed to. problem: why they are not installed.
    source_sha256, source_lines: of the whole source. agents: names of those that have it now.
    cut: something beside the text is not whole; the part "settings" is.
    """

    id: str
    name: str
    description: str
    json_schema: JsonObject
    policy: JsonObject
    tags: list[str]
    requirements: list[str]
    packages: list[str]
    return_limit_chars: int
    requires_approval: bool
    author: str
    version: int
    created_at: str
    updated_at: str
    source_sha256: str
    source_lines: int
    agents: list[str]
    cut: bool = False
    text: str = ""
    next_cursor: str | None = None
    asks: str = ""
    problem: str = ""

    def question(self) -> str:
        """What the person is asked."""
        return self.asks

    def done(self) -> str:
        """What is kept now."""
        failed = f" Its packages are not installed yet: {self.problem}" if self.problem else ""
        return f"Tool {self.name} ({self.id}) is kept, version {self.version}.{failed}"


class ToolDeleted(Result):
    """A deleted tool. agents: names of those that had it."""

    id: str
    name: str
    agents: list[str]


class ToolAttached(Result):
    """Whether an agent has a tool now. changed: it was otherwise before."""

    agent_id: str
    agent: str
    tool_id: str
    tool: str
    attached: bool
    changed: bool


class ToolRan(Result):
    """What came of a run of a tool.

    text: what an agent would read, or a page of it. cut: there is more. tier: how it was isolated.
    """

    tool: str
    agent_id: str
    version: int
    failed: bool
    text: str
    cut: bool = False
    tier: str | None = None
    next_cursor: str | None = None
