"""Arguments and results of tool_packages: what is installed for custom tools, and who agreed."""

from pydantic import Field

from agent.memory_tools import Result
from server.consent_models import Awaited
from server.once import Once


class AskPackages(Once):
    """Arguments of tool_packages."""

    tool_id: str | None = Field(None, description="Name or id; default: those of all tools.")
    upgrade: bool = Field(False, description="Look for newer versions of this tool's.")
    cursor: str | None = None


class LockShown(Result):
    """Packages that a person agreed to. size_bytes: on disk; None: not installed now."""

    lock: str
    packages: list[str]
    python: str
    tools: list[str]
    agreed_by: str
    agreed_at: str
    size_bytes: int | None = None


class PackagesShown(Awaited):
    """Packages of one tool, or of all. asks: what a person is asked. problem: why none are there.

    tool: the one that was asked for.
    """

    tool: str | None = None
    locks: list[LockShown]
    asks: str = ""
    problem: str = ""
    next_cursor: str | None = None

    def question(self) -> str:
        """What the person is asked."""
        return self.asks

    def done(self) -> str:
        """What was agreed to."""
        names = [name for lock in self.locks for name in lock.packages]
        failed = f" Not installed yet: {self.problem}" if self.problem else ""
        return f"Tool {self.tool} has {', '.join(names) or 'no packages'}.{failed}"
