"""The tools that the default toolset does not list: for hosts that delegate, and for persons.

Imported when one of them is listed or called (app.py): a start waits for none of it.
"""

from server.agent_tools import agent_tools
from server.approvals import Approvals
from server.code_tools import code_tools
from server.consent import Consent
from server.context_tools import context_tool
from server.custom_tool_table import custom_tools
from server.import_tool import import_tool
from server.mcp_server_table import mcp_server_tools
from server.memory_access import MemoryAccess
from server.registry import Tool
from server.run_tools import run_tools
from server.workspace_tools import workspace_tools


def further_tools(access: MemoryAccess, approvals: Approvals) -> tuple[Tool, ...]:
    """All of them, in the order hosts list them."""
    consent = Consent(access, approvals)
    return (
        import_tool(access),
        *agent_tools(access, consent),
        *run_tools(access),
        context_tool(access),
        *custom_tools(access, consent),
        *code_tools(access),
        *workspace_tools(access),
        *mcp_server_tools(consent),
    )
