"""Whom an exception is for: the one place where errors become messages.

Memory's, the agent's and the sandbox's errors are for whoever called a tool; those and an
OperatorError are for whoever typed a command; all others are bugs and fly.
"""

from agent.errors import AgentError
from memory.errors import MemoryStoreError
from sandbox.protocol import SandboxError


class OperatorError(Exception):
    """A setting, a file or a port is not as it must be; the message says what to change."""


class NotAllowed(Exception):
    """What a token for some agents only may not do."""

    def __init__(self, what: str) -> None:
        super().__init__(f"this token is for some agents only; it may not {what}")


def describe_error(error: Exception) -> str | None:
    """The message for whoever called a tool, or None for a bug."""
    if isinstance(error, MemoryStoreError | AgentError | SandboxError | NotAllowed):
        return str(error)
    return None


def describe_operator_error(error: Exception) -> str | None:
    """The line for whoever typed a command, or None for a bug."""
    return str(error) if isinstance(error, OperatorError) else describe_error(error)
