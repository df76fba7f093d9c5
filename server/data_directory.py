"""Where memory is kept, and the names of what lies there beside the database.

Standard library only and quick to import: the front (front.py) needs it at every start of a host.
"""

import os
import sys

LOCK_FILE = "owner.lock"
SOCKET_FILE = "owner.sock"
PORT_FILE = "owner.port"
LOG_FILE = "owner.log"
IN_MEMORY = ":memory:"


def default_directory() -> str:
    """The user's directory for data of programs, by the custom of each system."""
    if sys.platform == "win32":
        fallback = os.path.join("~", "AppData", "Local")
        base = os.environ.get("LOCALAPPDATA") or fallback
    elif sys.platform == "darwin":
        base = "~/Library/Application Support"
    else:
        base = os.environ.get("XDG_DATA_HOME", "").strip() or "~/.local/share"
    return os.path.join(_expanded(base), "mnemon")


def absolute(directory: str) -> str:
    """The directory as a path that does not depend on where a process runs."""
    return os.path.abspath(_expanded(directory))


def _expanded(path: str) -> str:
    return os.path.expanduser(path)
