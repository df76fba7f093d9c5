"""What a person could grant a tool that failed for lack of it: a sentence beside its error. Pure.

Known by the words of Python and of the usual libraries. An error that reads the same for another
reason gets a sentence too many, no more: nothing depends on it.
"""

from typing import Final

from agent.custom.tool_policy import ToolPolicy

METHODS: Final = "policy.methods of tool_update"
NETWORK: Final = "policy.network of tool_update"
SUBPROCESSES: Final = "policy.subprocesses of tool_update"
"""Where a person grants something; commands have words of their own (server/command_words.py)."""

_NOT_GRANTED: Final = "is not granted; granted: "
_NOWHERE: Final = (
    "name resolution",
    "Name or service not known",
    "No address associated",
    "Network is unreachable",
)
_FORBIDDEN: Final = "[Errno 1] Operation not permitted"
_CONNECTS: Final = ("urlopen", "onnect")


def missing_grants(error: str, policy: ToolPolicy) -> str:
    """What the tool lacks, and what grants it; empty: its error speaks of nothing like that."""
    if _asks_for_memory(error):
        return f"Methods of memory are a person's to grant ({METHODS})."
    if _NOT_GRANTED in error:
        return f"Hosts are a person's to grant ({NETWORK})."
    nowhere = any(words in error for words in _NOWHERE)
    if nowhere and policy.network:
        return (
            "What it was granted is reached only by the proxy that HTTPS_PROXY and HTTP_PROXY name"
            " in its environment; what ignores these reaches nothing."
        )
    forbidden = _FORBIDDEN in error
    connects = nowhere or any(words in error for words in _CONNECTS)
    lacks = []
    if forbidden and not connects and not policy.subprocesses:
        lacks.append(f"start no programs ({SUBPROCESSES})")
    if (nowhere or forbidden) and not policy.network:
        lacks.append(f"reach no hosts ({NETWORK})")
    return f"The tool may {' and '.join(lacks)}; that is a person's to grant." if lacks else ""


def missing_for_code(error: str) -> str:
    """The same for code of run_code, which is granted nothing."""
    lacks = missing_grants(error, ToolPolicy())
    more = "Code of run_code has no network, no programs and no memory; a stored tool may have them"
    return f"{more} (policy of tool_create)." if lacks else ""


def _asks_for_memory(error: str) -> bool:
    missing = error.startswith("AttributeError: memory.") and "was not granted" in error
    return missing or "name 'memory' is not defined" in error
