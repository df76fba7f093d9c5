"""Tools with which an agent writes tools: for itself, with nothing granted, and a person is asked.

Not offered by default: an agent's setting names them (see agent/tools.py). Nothing is run here. A
tool that an agent wrote needs a person's yes at each call until the person says otherwise, and
again when the agent has changed it; what the person had granted to the old source is taken back.
"""

from typing import Final

from pydantic import Field

from agent.custom.names import TOOL_CREATE, TOOL_UPDATE
from agent.custom.revising import ToolDraft, new_tool, revised
from agent.memory_tools import Arguments, MemoryTool, Result, Scope
from memory import tools
from memory.errors import InvalidValue, UnknownTool
from memory.tools import StoredTool

_SOURCE: Final = Field(
    description="Python: a function with type hints and a docstring; the last one is the tool."
)


class WriteTool(Arguments):
    """Arguments of tool_create."""

    source: str = _SOURCE


class RewriteTool(Arguments):
    """Arguments of tool_update."""

    name: str = Field(description="Name of a tool that you wrote.")
    source: str = _SOURCE


class ToolWritten(Result):
    """A tool as it is now."""

    name: str
    version: int
    description: str
    arguments: list[str]


def _create(scope: Scope, a: WriteTool) -> ToolWritten:
    transaction = scope.transaction
    new = new_tool(ToolDraft(a.source, others={"requires_approval": True}))
    tools.check_room(transaction, scope.agent)  # first: what was written would stay
    tool = tools.create_tool(transaction, new, scope.agent)
    tools.attach_tool(transaction, scope.agent, tool)
    return _written(tool)


def _update(scope: Scope, a: RewriteTool) -> ToolWritten:
    held = tools.tools_of(scope.reader, scope.agent)
    tool = next((tool for tool in held if tool.name == a.name), None)
    if tool is None:
        mine = [tool for tool in held if tools.is_writer(scope.reader, scope.agent, tool)]
        raise UnknownTool(a.name, [tool.name for tool in mine])
    if not tools.is_writer(scope.reader, scope.agent, tool):
        raise InvalidValue(f"tool {tool.name!r} is {tool.author}'s to change; write another one")
    if a.source == tool.source:
        return _written(tool)
    untrusted = {"requires_approval": True, "policy": {}, "requirements": ()}
    changes = revised(tool, ToolDraft(a.source, others=untrusted))
    return _written(tools.update_tool(scope.transaction, tool, changes))


def _written(tool: StoredTool) -> ToolWritten:
    return ToolWritten(
        name=tool.name,
        version=tool.version,
        description=tool.description,
        arguments=list(tool.schema["properties"]),
    )


def _text(result: ToolWritten) -> str:
    return (
        f"Tool {result.name} is kept (version {result.version}); it takes"
        f" {', '.join(result.arguments) or 'nothing'}. You have it from your next step on; a person"
        " is asked before it runs."
    )


WRITING_TOOLS = (
    MemoryTool(
        name=TOOL_CREATE,
        title="Write a tool",
        description="Write a tool of your own in Python; a person is asked before it runs.",
        arguments=WriteTool,
        result=ToolWritten,
        run=_create,
        text=_text,
        writes=True,
    ),
    MemoryTool(
        name=TOOL_UPDATE,
        title="Rewrite a tool",
        description="Replace the source of a tool that you wrote.",
        arguments=RewriteTool,
        result=ToolWritten,
        run=_update,
        text=_text,
        writes=True,
        destructive=True,
    ),
)
