"""Whom an exception is for: the one place where errors become messages.

Memory's, the agent's, the sandbox's and other servers' errors are for whoever called a tool; those
and an OperatorError are for whoever typed a command; all others are bugs and fly.
"""

from agent.errors import AgentError
from memory.errors import MemoryStoreError, UnknownAgent
from sandbox.errors import SandboxError
from server.external.errors import ExternalServerError
from server.registry import Caller


class OperatorError(Exception):
    """A setting, a file or a port is not as it must be; the message says what to change."""


class NotAllowed(Exception):
    """What a token for some agents only may not do."""

    def __init__(self, what: str) -> None:
        super().__init__(f"this token is for some agents only; it may not {what}")


def describe_error(error: Exception) -> str | None:
    """The message for whoever called a tool, or None for a bug."""
    ours = MemoryStoreError | AgentError | SandboxError | ExternalServerError | NotAllowed
    return str(error) if isinstance(error, ours) else None


def explain_for(error: Exception, caller: Caller) -> str:
    """What to add for this caller: that its own agent does not exist, and how to make it."""
    if not isinstance(error, UnknownAgent) or error.agent != caller.agent:
        return ""
    told = f"; {error.agent!r} is the agent this connection is for"
    if caller.agents is None:
        told += f": create it with `mnemon agents create {error.agent!r}` or agent_create"
    return told


def describe_operator_error(error: Exception) -> str | None:
    """The line for whoever typed a command, or None for a bug."""
    return str(error) if isinstance(error, OperatorError) else describe_error(error)
