"""Names that a stored tool cannot have: those of the tools that agents have from us."""

from typing import Final

from agent.models.transcript import SEND_MESSAGE
from agent.tools import ALL_TOOLS
from memory.errors import ToolNameTaken

_OUTSIDE: Final = ("run_code",)
_PREFIXES: Final = ("workspace_",)


def refuse_our_names(name: str) -> str:
    """Return the name when a stored tool may have it.

    Raises:
        ToolNameTaken: a tool of ours has it, without regard to case.
    """
    lower = name.lower()
    if lower in {*ALL_TOOLS, *_OUTSIDE, SEND_MESSAGE} or lower.startswith(_PREFIXES):
        raise ToolNameTaken(name, "a tool that agents have anyway")
    return name
