"""What mnemon says, as it is said to a person at the command line.

Messages are written for the models that call tools, and name what to call next; a person types the
command that does the same.
"""

import re
from typing import Final

_GRANTS: Final = {
    "policy.methods of tool_update": "`mnemon tools update TOOL --method NAME`",
    "policy.network of tool_update": "`mnemon tools update TOOL --network HOST:PORT`",
    "policy.subprocesses of tool_update": "`mnemon tools update TOOL --allow-subprocesses`",
}
"""Of agent/custom/missing_grants.py."""

_RESULTS: Final = {
    **_GRANTS,
    "policy of tool_create": "flags of `mnemon tools add`",
    "the tool's return limit is": "`mnemon tools update TOOL --return-limit N` shows more than",
    "read that with workspace_read": "read that with `mnemon workspace read AGENT PATH`",
}
"""What our own words in a result are for a person."""

_COMMANDS: Final = {
    **_GRANTS,
    "run_approve or `mnemon approve`": "`mnemon approve`",
    "run_approve run-": "mnemon approve run-",
    "run_approve": "`mnemon approve RUN`",
    "run_cancel": "`mnemon runs cancel RUN`",
    "run_get": "`mnemon runs show RUN`",
    "run_list": "`mnemon runs list AGENT`",
    "agent_create": "`mnemon agents create NAME`",
    "agent_get": "`mnemon agents show AGENT`",
    "agent_list": "`mnemon agents list`",
    "agent_update": "`mnemon agents update`",
    "orphan_list": "`mnemon agents orphans`",
    "tool_create": "`mnemon tools add FILE.py`",
    "tool_list": "`mnemon tools list`",
    "tool_get": "`mnemon tools show TOOL`",
    "tool_update": "`mnemon tools update TOOL`",
    "tool_packages": "`mnemon tools packages TOOL`",
    "tool_attach": "`mnemon tools attach AGENT TOOL`",
    "tool_detach": "`mnemon tools detach AGENT TOOL`",
    "mcp_server_add": "`mnemon mcp-servers add NAME`",
    "mcp_server_list": "`mnemon mcp-servers list`",
    "mcp_server_refresh": "`mnemon mcp-servers refresh SERVER`",
    "workspace_list": "`mnemon workspace list AGENT`",
    "workspace_delete": "`mnemon workspace delete AGENT PATH`",
}
"""Where one is the beginning of another, the longer one comes first."""

_OURS: Final = re.compile("|".join(map(re.escape, _RESULTS)))
_TOOLS: Final = re.compile("|".join(rf"\b{re.escape(words)}" for words in _COMMANDS))


def for_a_person(message: str) -> str:
    """The message with commands in the place of tools."""
    return _TOOLS.sub(lambda found: _COMMANDS[found[0]], message)


def result_for_a_person(text: str, tool: str, agent: str) -> str:
    """What came of a run, with commands where our own words in it name tools.

    All else is the tool's, and stays as it is.
    """

    def command(found: re.Match[str]) -> str:
        return _RESULTS[found[0]].replace("TOOL", tool).replace("AGENT", agent)

    return _OURS.sub(command, text)
