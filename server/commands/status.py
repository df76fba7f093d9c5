"""`mnemon status`: who holds the memory, and which hosts use it. Starts and changes nothing."""

from typing import Any

from server.config import ConfigError, Settings
from server.console import Console
from server.owner_questions import ask_owner, describe_owner, describe_sandbox


def run(settings: Settings, options: dict[str, Any], console: Console) -> int:
    """Print the owner's status, or that there is none."""
    if settings.directory is None:
        raise ConfigError("':memory:' is of one process alone; it has no status")
    status = ask_owner(settings.data, "status")
    if status is None:
        console.show({"owner": None}, f"nobody serves {settings.data}")
    else:
        lines = [f"{settings.data} is {describe_owner(status)}", describe_sandbox(status)]
        console.show({"owner": status}, "\n".join(filter(None, lines)))
    return 0
