"""tools/list and tools/call over the table of tools.

This is the one place that catches every exception of a tool: what the caller can act on becomes a
failed call with one clear message, a bug becomes a traceback in the log and a message without
detail. arguments.py validates, agent/schema.py describes, protocol.py puts both into a server.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Final

from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    InputRequiredResult,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
    ToolAnnotations,
)
from mcp_types import Tool as WireTool
from pydantic import BaseModel, RootModel

from agent.schema import Schema, input_schema, output_schema
from server import default_agent
from server.arguments import InvalidArguments, parse_arguments
from server.callers import caller_of, current_peer
from server.failures import QUOTED_CHARS
from server.questions import Unanswered, ask_of
from server.registry import DEFAULT_TOOLSET, Call, Caller, Registry, Tool
from server.reply_size import MAX_REPLY_BYTES, json_bytes, prefix_chars

logger = logging.getLogger(__name__)

Context = ServerRequestContext[Any, Any]

_MAX_ERROR_BYTES: Final = 4_000


class ToolTable:
    """The tools of a registry by name, as the two handlers of the protocol.

    Raises:
        ValueError: two tools have one name.
        TypeError: a result is no object with named fields, or arguments are not strict.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._first = _by_name(registry, registry.tools)
        self._descriptions = dict[str, WireTool]()

    @cached_property
    def _all(self) -> Mapping[str, Tool]:
        more = self._registry.more_tools()
        if hidden := [tool.name for tool in more if DEFAULT_TOOLSET in tool.toolsets]:
            raise ValueError(f"the default toolset lists {', '.join(hidden)}: not among more_tools")
        return _by_name(self._registry, (*self._registry.tools, *more))

    def _find(self, name: str) -> Tool | None:
        return self._first.get(name) or self._all.get(name)

    def _describe(self, tool: Tool) -> WireTool:
        # Where it is listed, not at start: a schema costs a millisecond.
        if tool.name not in self._descriptions:
            self._descriptions[tool.name] = _description(tool)
        return self._descriptions[tool.name]

    def input_schema(self, name: str) -> Schema | None:
        """Return the schema the arguments of a tool follow, or None for an unknown tool."""
        tool = self._find(name)
        return None if tool is None else self._describe(tool).input_schema

    async def list(self, ctx: Context, params: PaginatedRequestParams | None) -> ListToolsResult:
        """Answer tools/list: the caller's toolset, in the order of the table, on one page."""
        refuse_cursor(params)
        caller = self._caller(ctx)
        known = self._first if caller.toolset == DEFAULT_TOOLSET else self._all
        listed = [self._describe(tool) for tool in known.values() if _is_listed(tool, caller)]
        return ListToolsResult(tools=[default_agent.described(tool, caller) for tool in listed])

    async def call(
        self, ctx: Context, params: CallToolRequestParams
    ) -> CallToolResult | InputRequiredResult:
        """Answer tools/call: with the tool's result, or with a question to the person at the host.

        Raises:
            MCPError: there is no such tool. A host calls only what was listed to it, so this is
                the host's mistake, not the model's; the specification has a protocol error for it.
        """
        tool = self._find(params.name)
        if tool is None:
            known = ", ".join(self._all) or "none"
            name = params.name[:QUOTED_CHARS]
            raise MCPError(INVALID_PARAMS, f"unknown tool {name!a}; known: {known}")
        given = default_agent.filled(tool, self._caller(ctx), params.arguments or {})
        try:
            arguments = parse_arguments(tool.name, tool.arguments, given)
        except InvalidArguments as error:
            return _failed(f"{error}{default_agent.left_out(error)}")
        try:
            return _succeeded(tool, await tool.run(self._call(ctx, params), arguments))
        except Unanswered as question:
            return question.result
        except Exception as error:
            return self._failure(tool, error, self._caller(ctx))

    def _call(self, ctx: Context, params: CallToolRequestParams) -> Call:
        peer = current_peer.get()
        return Call(
            caller=self._caller(ctx),
            request_id=str(ctx.request_id),
            request_key=None if peer is None else f"{peer.front}:{json.dumps(ctx.request_id)}",
            progress=ctx.session.report_progress,
            ask=ask_of(ctx, params),
        )

    def _caller(self, ctx: Context) -> Caller:
        return caller_of(ctx, self._registry.toolset, self._registry.agent)

    def _failure(self, tool: Tool, error: Exception, caller: Caller) -> CallToolResult:
        message = self._registry.describe_error(error)
        if message is not None:
            return _failed(f"{message}{self._registry.explain_for(error, caller)}")
        logger.error("bug in tool %s", tool.name, exc_info=error)
        return _failed(f"internal error in {tool.name}; see the server's log")


def refuse_cursor(params: PaginatedRequestParams | None) -> None:
    """Refuse a cursor where there is only one page, so that none was ever handed out.

    Raises:
        MCPError: there is a cursor.
    """
    if params is not None and params.cursor is not None:
        cursor = params.cursor[:QUOTED_CHARS]
        raise MCPError(INVALID_PARAMS, f"unknown cursor {cursor!a}; there is one page")


def _by_name(registry: Registry, tools: Sequence[Tool]) -> Mapping[str, Tool]:
    named = {tool.name: tool for tool in tools}
    if len(named) != len(tools):
        raise ValueError(f"{registry.name} has two tools of one name")
    for tool in tools:
        if issubclass(tool.result, RootModel):
            raise TypeError(f"the result of {tool.name} must be an object with named fields")
        # Otherwise a misspelt argument is dropped in silence and the call does something else.
        if tool.arguments.model_config.get("extra") != "forbid":
            raise TypeError(f"the arguments of {tool.name} must forbid unknown ones")
    return named


def _description(tool: Tool) -> WireTool:
    return WireTool(
        name=tool.name,
        title=tool.title,
        description=tool.description,
        input_schema=_terse(tool.schema or input_schema(tool.arguments)),
        output_schema=output_schema(tool.result),
        annotations=_hints(tool),
    )


def _is_listed(tool: Tool, caller: Caller) -> bool:
    in_set = caller.toolset == "full" or caller.toolset in tool.toolsets
    return in_set and (caller.agents is None or not tool.for_all)


def _terse(node: Any) -> Any:
    """A schema without defaults that are nothing: leaving an argument out says as much."""
    if isinstance(node, list):
        return [_terse(item) for item in node]
    if not isinstance(node, Mapping):
        return node
    return {
        key: _terse(value)
        for key, value in node.items()
        if key != "default" or value not in ("", False, [], None)
    }


def _hints(tool: Tool) -> ToolAnnotations:
    """What a tool does to the world; a hint is left out where its default says the same."""
    if tool.read_only:
        return ToolAnnotations(read_only_hint=True, open_world_hint=False)
    return ToolAnnotations(
        destructive_hint=tool.destructive,
        idempotent_hint=True if tool.idempotent else None,
        open_world_hint=False,
    )


def _succeeded(tool: Tool, result: BaseModel) -> CallToolResult:
    if not isinstance(result, tool.result):
        raise TypeError(f"{tool.name} returned {type(result).__name__}, not {tool.result.__name__}")
    structured = result.model_dump(mode="json", by_alias=True)
    if tool.text is not None:
        text = tool.text(result)
    else:
        text = json.dumps(structured, ensure_ascii=False, separators=(",", ":"))
    size = json_bytes(text) + json_bytes(structured)
    if size > MAX_REPLY_BYTES and structured.get("next_cursor") is None:
        logger.warning("the reply of %s has %d bytes and no cursor", tool.name, size)
    return CallToolResult(
        content=[TextContent(type="text", text=text)], structured_content=structured
    )


def _failed(message: str) -> CallToolResult:
    # A message may quote what the caller sent: at any length, and with unpaired surrogates.
    text = message.encode("utf-8", "backslashreplace").decode("utf-8")
    kept = prefix_chars(text, _MAX_ERROR_BYTES)
    if kept < len(text):
        text = f"{text[:kept]}… [{len(text) - kept} more characters]"
    return CallToolResult(content=[TextContent(type="text", text=text)], is_error=True)
