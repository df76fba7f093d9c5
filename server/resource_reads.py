"""resources/list, resources/templates/list and resources/read over a registry's resources.

Protocol errors, all of them: a host reads resources, not a model. What the resources refuse is the
caller's mistake (-32602); anything else is a bug and says nothing of its inside.
"""

from typing import Any

from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    ListResourcesResult,
    ListResourceTemplatesResult,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    ReadResourceResult,
    TextResourceContents,
)
from mcp_types import Resource as WireResource
from mcp_types import ResourceTemplate as WireTemplate

from server.callers import caller_of
from server.failures import QUOTED_CHARS, protocol_error
from server.registry import Registry, Resources
from server.tool_calls import refuse_cursor

Context = ServerRequestContext[Any, Any]


class ResourceTable:
    """The resources of a registry as handlers of the protocol."""

    def __init__(self, registry: Registry, resources: Resources) -> None:
        self._registry = registry
        self._resources = resources

    async def list(
        self, ctx: Context, params: PaginatedRequestParams | None
    ) -> ListResourcesResult:
        """Answer resources/list with one page.

        Raises:
            MCPError: the cursor is none of ours.
        """
        cursor = params.cursor if params is not None else None
        try:
            page = await self._resources.list(caller_of(ctx), cursor)
        except Exception as error:
            if cursor is not None and isinstance(error, ValueError):
                raise MCPError(
                    INVALID_PARAMS, f"unknown cursor {cursor[:QUOTED_CHARS]!a}"
                ) from error
            raise protocol_error(self._registry, "resources/list", error) from error
        return ListResourcesResult(
            resources=[
                WireResource(
                    uri=found.uri,
                    name=found.name,
                    description=found.description,
                    mime_type=found.mime_type,
                )
                for found in page.resources
            ],
            next_cursor=page.next_cursor,
        )

    async def list_templates(
        self, ctx: Context, params: PaginatedRequestParams | None
    ) -> ListResourceTemplatesResult:
        """Answer resources/templates/list: every template, on one page."""
        refuse_cursor(params)
        return ListResourceTemplatesResult(
            resource_templates=[
                WireTemplate(
                    uri_template=template.uri_template,
                    name=template.name,
                    description=template.description,
                    mime_type=template.mime_type,
                )
                for template in self._resources.templates
            ]
        )

    async def read(self, ctx: Context, params: ReadResourceRequestParams) -> ReadResourceResult:
        """Answer resources/read.

        Raises:
            MCPError: there is no such resource.
        """
        uri = str(params.uri)
        try:
            mime_type, text = await self._resources.read(caller_of(ctx), uri)
        except LookupError as error:
            message = f"unknown resource {uri[:QUOTED_CHARS]!a}"
            raise MCPError(INVALID_PARAMS, message, {"uri": uri[:QUOTED_CHARS]}) from error
        except Exception as error:
            raise protocol_error(self._registry, "resources/read", error) from error
        contents = TextResourceContents(uri=uri, mime_type=mime_type, text=text)
        return ReadResourceResult(contents=[contents])
