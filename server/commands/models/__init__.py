"""`mnemon models list | pull | probe | rm`: language models on this machine, and getting others.

Each action is a module of its own, imported when called: only `pull` needs an HTTP client, only
`probe` an engine.
"""

import importlib
from typing import Any, Final

from server.config import Settings
from server.console import Console

_MODULES: Final = {"list": "listing", "pull": "pulling", "probe": "probing", "rm": "removal"}


def run(settings: Settings, options: dict[str, Any], console: Console) -> int:
    """Do one of the actions."""
    action = importlib.import_module(f"{__name__}.{_MODULES[options['action']]}")
    return int(action.run(settings, options, console))
