"""`mnemon tools run`: one run of a tool, by the process that hosts share, which has the sandbox."""

import sys
from typing import Any

import anyio
from mcp.shared.exceptions import MCPError

from server.command_words import result_for_a_person
from server.commands.agents import answer
from server.config import Settings
from server.console import Console
from server.custom_tool_models import ToolRan, ToolShown
from server.custom_tool_views import ran_text
from server.host_session import HostFailed, innermost, open_session
from server.json_flags import object_of
from server.tool_session import open_tools


def run_tool(settings: Settings, options: dict[str, Any], console: Console) -> int:
    """Run it, where it needs a yes once that was given; its whole result is printed."""
    arguments = {
        "agent_id": options["agent_id"],
        "tool_id": options["tool_id"],
        "arguments": object_of(options["args"], "--args"),
    }
    with open_tools(settings) as tools:
        tool = ToolShown.model_validate(tools.call("tool_get", {"tool_id": options["tool_id"]}))
    if tool.requires_approval and not options["yes"]:
        question = f"May tool {tool.name} run for {options['agent_id']} with {options['args']}?"
        if not sys.stdin.isatty():
            console.fail(f"not run: {question} To do it, add --yes")
            return 2
        if answer(f"{question} [y/N] ") not in {"y", "yes"}:
            console.note("nothing was run")
            return 1
    arguments["approved"] = tool.requires_approval
    try:
        ran = anyio.run(_whole, settings, options["given"], arguments)
    except* (HostFailed, MCPError) as failed:
        raise HostFailed(str(innermost(failed))) from None
    console.show(ran, result_for_a_person(ran_text(ran), tool.name, options["agent_id"]))
    return int(ran.failed)


async def _whole(settings: Settings, given: dict[str, Any], arguments: dict[str, Any]) -> ToolRan:
    """Run a tool, and read its result to the end."""
    async with open_session(settings, given, "mnemon tools") as session:
        ran = ToolRan.model_validate(await session.call("tool_run", arguments))
        text, cursor = ran.text, ran.next_cursor
        while cursor is not None:
            more = await session.call("tool_run", {**arguments, "cursor": cursor})
            text, cursor = text + more["text"], more["next_cursor"]
    return ran.model_copy(update={"text": text, "cut": False, "next_cursor": None})
