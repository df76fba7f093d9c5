"""The tools for MCP servers of others, as hosts list them."""

from typing import Any, Final

from server.consent import Consent
from server.mcp_server_models import (
    AddServer,
    AttachServer,
    ChangesServer,
    GetServer,
    ListServers,
    ServerAdded,
    ServerAttached,
    ServerChanged,
    ServerListed,
    ServerPage,
    ServerRemoved,
    ServerShown,
    UpdateServer,
)
from server.mcp_server_views import attached_text, line_text, listed_text, page_text, shown_text
from server.mcp_servers import McpServers
from server.memory_tools import FULL_ONLY
from server.registry import Tool

_COMMON: Final[dict[str, Any]] = {"toolsets": FULL_ONLY, "for_all": True}


def mcp_server_tools(consent: Consent) -> tuple[Tool, ...]:
    """All of them, in the order hosts list them."""
    do = McpServers(consent)
    return (*_reading(do), *_changing(do), *_attaching(do))


def _reading(do: McpServers) -> tuple[Tool, ...]:
    return (
        Tool(
            name="mcp_server_list",
            title="List MCP servers",
            description="The MCP servers whose tools agents can be given.",
            arguments=ListServers,
            result=ServerPage,
            run=do.list,
            text=page_text,
            read_only=True,
            **_COMMON,
        ),
        Tool(
            name="mcp_server_get",
            title="Show an MCP server",
            description="An MCP server, its tools as it describes them, and who has some.",
            arguments=GetServer,
            result=ServerShown,
            run=do.get,
            text=shown_text,
            read_only=True,
            **_COMMON,
        ),
    )


def _changing(do: McpServers) -> tuple[Tool, ...]:
    return (
        Tool(
            name="mcp_server_add",
            title="Add an MCP server",
            description="Add an MCP server whose tools agents can be given, if a person agrees.",
            arguments=AddServer,
            result=ServerAdded,
            run=do.add,
            text=ServerAdded.said,
            destructive=True,
            **_COMMON,
        ),
        Tool(
            name="mcp_server_refresh",
            title="Ask an MCP server for its tools",
            description="Ask an MCP server for its tools again, and say what changed.",
            arguments=ChangesServer,
            result=ServerListed,
            run=do.refresh,
            text=listed_text,
            destructive=True,
            idempotent=True,
            **_COMMON,
        ),
        Tool(
            name="mcp_server_update",
            title="Switch an MCP server on or off",
            description="Offer the tools of an MCP server to the agents that have them, or not.",
            arguments=UpdateServer,
            result=ServerChanged,
            run=do.update,
            text=lambda done: line_text(done.server),
            destructive=True,
            idempotent=True,
            **_COMMON,
        ),
        Tool(
            name="mcp_server_remove",
            title="Remove an MCP server",
            description="Remove an MCP server and take its tools from every agent.",
            arguments=ChangesServer,
            result=ServerRemoved,
            run=do.remove,
            text=lambda done: f"Removed MCP server {done.name}.",
            destructive=True,
            **_COMMON,
        ),
    )


def _attaching(do: McpServers) -> tuple[Tool, ...]:
    return (
        Tool(
            name="mcp_server_attach",
            title="Give an agent tools of an MCP server",
            description="Give an agent one tool of an MCP server, or all.",
            arguments=AttachServer,
            result=ServerAttached,
            run=do.attach,
            text=attached_text,
            idempotent=True,
            **_COMMON,
        ),
        Tool(
            name="mcp_server_detach",
            title="Take tools of an MCP server from an agent",
            description="Take one tool of an MCP server from an agent, or all that it has.",
            arguments=AttachServer,
            result=ServerAttached,
            run=do.detach,
            text=attached_text,
            destructive=True,
            idempotent=True,
            **_COMMON,
        ),
    )
