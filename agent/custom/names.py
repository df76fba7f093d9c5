"""Names that a stored tool cannot have: of tools that agents have from us or from MCP servers."""

from typing import Final

from agent.memory_command import COMMAND_TOOLS
from agent.memory_files import FILE_TOOLS
from agent.memory_tools import EDIT_TOOLS
from agent.message_tool import MESSAGE_READ
from agent.models.transcript import SEND_MESSAGE
from agent.search_tools import SEARCH_TOOLS
from memory.errors import ToolNameTaken

TOOL_CREATE: Final = "tool_create"
TOOL_UPDATE: Final = "tool_update"

_OURS: Final = frozenset(
    {tool.name for tool in (*EDIT_TOOLS, *SEARCH_TOOLS, MESSAGE_READ, *COMMAND_TOOLS, *FILE_TOOLS)}
    | {TOOL_CREATE, TOOL_UPDATE, SEND_MESSAGE}
    | {"run_code", "file_list", "file_read", "file_write", "file_delete"}
)
_PREFIXES: Final = ("workspace_",)
_OF_SERVERS: Final = "__"
"""Between the name of an MCP server and that of its tool (server/external/listing.py)."""


def refuse_our_names(name: str) -> str:
    """Return the name when a stored tool may have it.

    Raises:
        ToolNameTaken: a tool of ours has it, without regard to case, or one of a server could.
    """
    lower = name.lower()
    if lower in _OURS or lower.startswith(_PREFIXES):
        raise ToolNameTaken(name, "a tool that agents have anyway")
    if _OF_SERVERS in name:
        raise ToolNameTaken(name, "a tool of an MCP server, as all with two underscores in a row")
    return name
