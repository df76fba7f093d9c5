"""`mnemon mcp`, where the front is not reached without a parser: odd flags, `:memory:`."""

from typing import Any

from server.app import server_opener
from server.config import Settings
from server.console import Console
from server.front import run_front
from server.front_flags import NAMES
from server.standard_streams import reserve_stdio
from server.stdio import run_stdio


def run(settings: Settings, options: dict[str, Any], console: Console) -> int:
    """Serve until the host leaves or a signal comes."""
    if settings.directory is None:
        return run_stdio(server_opener(settings))
    given = settings.model_dump(mode="json", exclude_defaults=True, exclude={"data"})
    flags = {
        name: str(given[name.replace("-", "_")])
        for name in NAMES
        if name.replace("-", "_") in given
    }
    streams = reserve_stdio()
    return run_front(settings.data, flags, streams.input_fd, streams.output_fd)
