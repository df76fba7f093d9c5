"""`mnemon mcp`: serve one host over stdin and stdout."""

from typing import Any

from server.app import server_opener
from server.config import Settings
from server.console import Console
from server.stdio import run_stdio


def run(settings: Settings, options: dict[str, Any], console: Console) -> int:
    """Serve until the host leaves or a signal comes."""
    return run_stdio(server_opener(settings))
