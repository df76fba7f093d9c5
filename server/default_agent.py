"""The agent that a connection means where it names none: filled into calls, told in schemas.

It comes from `--agent` of the front, the setting of the server, or a token that is for one agent.
"""

from collections.abc import Mapping
from typing import Any, Final

from mcp_types import Tool as WireTool

from server.arguments import InvalidArguments
from server.registry import Caller, Tool

ARGUMENT: Final = "agent_id"
ALL_AGENTS: Final = "open"
"""The argument of a tool that lists what there is of all agents, unless it is told of one."""

_TOLD: Final = "Name or id; may be left out."
_HOW: Final = (
    " To have agent_id filled in, start mnemon with --agent NAME, or use a token for one agent."
)


def filled(tool: Tool, caller: Caller, given: Mapping[str, Any]) -> Mapping[str, Any]:
    """The arguments of a call, with the caller's agent where the tool wants one and got none.

    Where a call asks for all agents it wants none.
    """
    wants_none = ARGUMENT not in tool.arguments.model_fields or given.get(ALL_AGENTS)
    if wants_none or given.get(ARGUMENT) or caller.agent is None:
        return given
    return {**given, ARGUMENT: caller.agent}


def left_out(error: InvalidArguments) -> str:
    """What to add to a complaint: how to have an agent filled in, if none was."""
    return _HOW if f"'{ARGUMENT}' is missing" in error.problems else ""


def described(tool: WireTool, caller: Caller) -> WireTool:
    """A tool as a caller with an agent of its own is told of it: agent_id may be left out."""
    schema = tool.input_schema
    if caller.agent is None or ARGUMENT not in schema.get("required", ()):
        return tool
    properties = {**schema["properties"], ARGUMENT: {"type": "string", "description": _TOLD}}
    required = [name for name in schema["required"] if name != ARGUMENT]
    rest = {key: value for key, value in schema.items() if key != "required"}
    optional = {**rest, "properties": properties, **({"required": required} if required else {})}
    return tool.model_copy(update={"input_schema": optional})
