"""The tools outside of memory that agents of this process have, over its one sandbox.

What they are is agent/custom's; here they get what is around them in this process.
"""

from collections.abc import Mapping
from pathlib import Path

import anyio.abc

from agent.custom.python_tools import CustomTools
from agent.custom.run_code import CodeRunner
from agent.custom.surroundings import Surroundings
from agent.custom.workspace_tools import workspace_source
from agent.outside import Done, OutsideCall, ToolSource, together
from memory.store import MemoryStore
from memory.tools import StoredTool
from sandbox.settings import SandboxSettings
from server.external.sandboxed import SandboxedCommands
from server.external.servers import ExternalServers
from server.external.tools import external_tools
from server.packages import Packages
from server.sandboxes import ProcessSandbox
from server.secrets import SecretsFile, redaction


class OutsideTools:
    """All of them. source: those of an agent, as the loop and the rules want them.

    installer: the environment of what installs packages.
    """

    def __init__(
        self,
        store: MemoryStore,
        directory: Path | None,
        settings: SandboxSettings | None = None,
        installer: Mapping[str, str] | None = None,
    ) -> None:
        settings = settings or SandboxSettings()
        self.sandbox = ProcessSandbox(directory, settings)
        secrets = SecretsFile(directory)
        self.packages = Packages(store, self.sandbox, installer or {})
        self.around = Surroundings(secrets, self.sandbox.workspace, self.packages.folder, redaction)
        self.custom = CustomTools(store, self.sandbox, self.around)
        self.code = CodeRunner(self.sandbox, self.around)
        files = workspace_source(lambda agent: self.sandbox.files(agent.id))
        self.commands = SandboxedCommands(
            self.sandbox.ground, directory and directory.resolve(), settings.reach
        )
        self.servers = ExternalServers(secrets, self.commands)
        # What comes by an agent's settings stands before what is attached later.
        self.source: ToolSource = together(
            self.code.source, files, self.custom.source, external_tools(store, self.servers)
        )

    def begin(self, tasks: anyio.abc.TaskGroup) -> None:
        """Say where background work lives; comes before the first call."""
        self.sandbox.begin(tasks)
        self.packages.begin(tasks)
        self.servers.begin(tasks)

    async def run_tool(self, tool: StoredTool, call: OutsideCall) -> Done:
        """Run a stored tool once for an agent, whether it is attached or not.

        Raises:
            SandboxError: it cannot be run here.
            MemoryStoreError: its arguments, its policy, a secret or a package cannot be had.
        """
        return await self.custom.tool_of(tool).run(call)

    def forget(self, agent_id: str) -> None:
        """Delete the files of an agent that is gone."""
        self.sandbox.forget(agent_id)

    async def aclose(self) -> None:
        """End every process."""
        await self.servers.aclose()
        await self.sandbox.aclose()
