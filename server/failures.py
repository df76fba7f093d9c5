"""What went wrong in a method of the protocol, as the error that a client gets.

For methods that no model calls; tool_calls.py has its own form, which models read.
"""

import logging
from typing import Final

from mcp.shared.exceptions import MCPError
from mcp_types import INTERNAL_ERROR, INVALID_PARAMS

from server.registry import Registry

logger = logging.getLogger(__name__)

QUOTED_CHARS: Final = 200
"""Of what a client sent, in an error."""


def protocol_error(registry: Registry, method: str, error: Exception) -> MCPError:
    """The caller's mistake in a clear message, or a bug: logged, and told without detail."""
    message = registry.describe_error(error)
    if message is not None:
        return MCPError(INVALID_PARAMS, message)
    logger.error("bug in %s", method, exc_info=error)
    return MCPError(INTERNAL_ERROR, f"internal error in {method}; see the server's log")
