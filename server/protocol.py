"""A registry as an MCP server, for both protocol eras and every transport.

build_server is the entry. The table's tools are served by tool_calls.py, its resources by
resource_reads.py, its prompts by prompt_reads.py, what changes by notices.py; stdio.py and http.py
carry the bytes. Importing this costs what the SDK's lowlevel server costs and nothing more: schemas
are made on the first tools/list.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import anyio
import anyio.abc
from mcp.server.caching import CacheableMethod, CacheHint
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.lowlevel import NotificationOptions, Server
from mcp.server.models import InitializationOptions
from mcp.server.request_state import RequestStateBoundary, RequestStateSecurity
from mcp_types import Icon
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from server.notices import Notices
from server.prompt_reads import PromptTable
from server.registry import Registry
from server.resource_reads import ResourceTable
from server.tool_calls import ToolTable

_LISTED_MS: Final = 3_600_000  # what a process lists never changes; a newer version may list more

# "private": what is listed depends on the token. What agents hold may change at any moment.
_CACHE_HINTS: Final[Mapping[CacheableMethod, CacheHint]] = {
    "server/discover": CacheHint(ttl_ms=_LISTED_MS, scope="private"),
    "tools/list": CacheHint(ttl_ms=_LISTED_MS, scope="private"),
    "prompts/list": CacheHint(ttl_ms=_LISTED_MS, scope="private"),
    "resources/templates/list": CacheHint(ttl_ms=_LISTED_MS, scope="private"),
    "resources/list": CacheHint(ttl_ms=0, scope="private"),
    "resources/read": CacheHint(ttl_ms=0, scope="private"),
}


# In the handshake era. Tools and prompts are the same as long as this process lives.
_ANNOUNCED: Final = NotificationOptions(
    prompts_changed=False, resources_changed=True, tools_changed=False
)


class RegistryServer(Server[anyio.abc.TaskGroup]):
    """The SDK's lowlevel server over a registry, promising clients only what it does.

    notices: where to tell clients that something changed.
    """

    def __init__(self, registry: Registry, notices: Notices) -> None:
        self.notices = notices
        tools, prompts = ToolTable(registry), PromptTable(registry)
        found = registry.resources
        resources = None if found is None else ResourceTable(registry, found)
        super().__init__(
            registry.name,
            version=registry.version,
            title=registry.title,
            instructions=registry.instructions,
            icons=[Icon(src=registry.icon, sizes=["any"])] if registry.icon else None,
            cache_hints=_CACHE_HINTS,
            lifespan=_task_group,
            get_tool_input_schema=tools.input_schema,
            on_list_tools=tools.list,
            on_call_tool=tools.call,
            on_list_resources=resources.list if resources else None,
            on_list_resource_templates=resources.list_templates if resources else None,
            on_read_resource=resources.read if resources else None,
            on_subscribe_resource=notices.subscribe if resources else None,
            on_unsubscribe_resource=notices.unsubscribe if resources else None,
            on_subscriptions_listen=notices.listen,
            on_list_prompts=prompts.list if registry.prompts else None,
            on_get_prompt=prompts.get if registry.prompts else None,
            on_completion=prompts.complete if registry.complete else None,
        )
        self.middleware.append(_Greeting(registry.on_second_message, notices))
        # What a client carries from round to round is sealed for this process alone. Nobody asks
        # twice but about something named, which carries nothing (questions.py); who does otherwise
        # needs a key that outlives the owner.
        sealed = RequestStateSecurity.ephemeral()
        self.middleware.append(RequestStateBoundary(sealed, default_audience=registry.name))

    def create_initialization_options(
        self,
        notification_options: NotificationOptions | None = None,
        experimental_capabilities: dict[str, dict[str, Any]] | None = None,
        extensions: dict[str, dict[str, Any]] | None = None,
    ) -> InitializationOptions:
        """Describe the server to a client; HTTP's session manager calls it without arguments."""
        return super().create_initialization_options(
            notification_options or _ANNOUNCED,
            experimental_capabilities,
            extensions,
        )


@asynccontextmanager
async def _task_group(server: Server[Any]) -> AsyncIterator[anyio.abc.TaskGroup]:
    """Tasks beside the handlers: of a connection over lines, of all connections over HTTP."""
    async with anyio.create_task_group() as tasks:
        yield tasks
        tasks.cancel_scope.cancel()


class _Greeting:
    """Middleware for the beginning of a connection.

    Starts the heavy imports once the client has its first answer: a host waits for that before it
    shows the server at all; a client whose very first message is a tool call needs them at once.
    And has the connections of the handshake era told of what changes.
    """

    def __init__(self, on_second_message: Callable[[], None], notices: Notices) -> None:
        self._on_second_message, self._notices = on_second_message, notices
        self._answered = False
        self._done = False

    async def __call__(
        self, ctx: ServerRequestContext[Any, Any], call_next: CallNext
    ) -> HandlerResult:
        if not self._done and (self._answered or ctx.method == "tools/call"):
            self._done = True
            self._on_second_message()
        if ctx.method == "notifications/initialized" and (
            ctx.protocol_version not in MODERN_PROTOCOL_VERSIONS
        ):
            self._notices.follow(ctx)
        try:
            return await call_next(ctx)
        finally:
            self._answered = True


def build_server(registry: Registry, notices: Notices | None = None) -> RegistryServer:
    """Return a server for everything in the registry. One server may serve many connections.

    Raises:
        ValueError: two tools have one name.
        TypeError: a tool's result is no object with named fields, or its arguments are not strict.
    """
    return RegistryServer(registry, notices or Notices())
