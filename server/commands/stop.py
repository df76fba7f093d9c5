"""`mnemon stop`: end the process that holds the memory, in order."""

from typing import Any

from server.config import ConfigError, Settings
from server.console import Console
from server.owner_questions import ask_owner


def run(settings: Settings, options: dict[str, Any], console: Console) -> int:
    """Return once it has closed the database; hosts start the next one when they need it."""
    if settings.directory is None:
        raise ConfigError("':memory:' is of one process alone; there is nothing to stop")
    status = ask_owner(settings.data, "stop")
    if status is None:
        console.show({"stopped": None}, f"nobody serves {settings.data}; nothing to stop")
    else:
        console.show({"stopped": status["pid"]}, f"stopped process {status['pid']}")
    return 0
