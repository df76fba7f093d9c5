"""The seam through which a host runs a stored tool; the runtime has the one that is used."""

from typing import Protocol

from agent.outside import Done, OutsideCall
from memory.tools import StoredTool


class RunTool(Protocol):
    """Runs a stored tool for an agent.

    The arguments may not fit its schema. What it changed in memory is Done.commit's to write.

    Raises:
        SandboxError: it cannot be run here.
        MemoryStoreError: its arguments, its policy, a secret or a package cannot be had.
    """

    async def __call__(self, tool: StoredTool, call: OutsideCall) -> Done:
        """Run it once."""
