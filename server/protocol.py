"""A registry as an MCP server, for both protocol eras and every transport.

build_server is the entry. The table's tools are served by tool_calls.py, its resources by
resource_reads.py; stdio.py and http.py carry the bytes. Importing this costs what the SDK's
lowlevel server costs and nothing more: schemas are made on the first tools/list.
"""

from collections.abc import Callable
from typing import Any, Final

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.lowlevel import NotificationOptions, Server
from mcp.server.models import InitializationOptions

from server.registry import Registry
from server.resource_reads import ResourceTable
from server.tool_calls import ToolTable

# Nothing is announced yet, in either era: the tools never change, and neither resources/subscribe
# nor subscriptions/listen is served, so a promise of notices would be false.
_ANNOUNCED: Final = NotificationOptions(
    prompts_changed=False, resources_changed=False, tools_changed=False
)


class RegistryServer(Server[Any]):
    """The SDK's lowlevel server over a registry, promising clients only what it does."""

    def __init__(self, registry: Registry) -> None:
        tools = ToolTable(registry)
        found = registry.resources
        resources = None if found is None else ResourceTable(registry, found)
        super().__init__(
            registry.name,
            version=registry.version,
            title=registry.title,
            instructions=registry.instructions,
            get_tool_input_schema=tools.input_schema,
            on_list_tools=tools.list,
            on_call_tool=tools.call,
            on_list_resources=resources.list if resources else None,
            on_list_resource_templates=resources.list_templates if resources else None,
            on_read_resource=resources.read if resources else None,
        )
        self.middleware.append(_SecondMessage(registry.on_second_message))

    def create_initialization_options(
        self,
        notification_options: NotificationOptions | None = None,
        experimental_capabilities: dict[str, dict[str, Any]] | None = None,
        extensions: dict[str, dict[str, Any]] | None = None,
    ) -> InitializationOptions:
        """Describe the server to a client; HTTP's session manager calls it without arguments."""
        return super().create_initialization_options(
            notification_options or _ANNOUNCED, experimental_capabilities, extensions
        )


class _SecondMessage:
    """Middleware that starts the heavy imports once the client has its first answer.

    A host waits for that answer before it shows the server at all. A client whose very first
    message is a tool call needs the imports at once.
    """

    def __init__(self, on_second_message: Callable[[], None]) -> None:
        self._on_second_message = on_second_message
        self._answered = False
        self._done = False

    async def __call__(
        self, ctx: ServerRequestContext[Any, Any], call_next: CallNext
    ) -> HandlerResult:
        if not self._done and (self._answered or ctx.method == "tools/call"):
            self._done = True
            self._on_second_message()
        try:
            return await call_next(ctx)
        finally:
            self._answered = True


def build_server(registry: Registry) -> RegistryServer:
    """Return a server for everything in the registry. One server may serve many connections.

    Raises:
        ValueError: two tools have one name.
        TypeError: a tool's result is no object with named fields, or its arguments are not strict.
    """
    return RegistryServer(registry)
