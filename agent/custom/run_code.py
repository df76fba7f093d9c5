"""run_code: Python that an agent writes and runs at once, in its workspace."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from agent.custom.arguments import checked_arguments
from agent.custom.missing_grants import missing_for_code
from agent.custom.outcomes import told
from agent.custom.surroundings import Surroundings
from agent.outside import Done, OutsideCall, OutsideTool
from agent.settings import settings_of
from memory.records import AgentState
from sandbox.policy import Policy
from sandbox.protocol import Outcome, Sandbox, ToolRun

RUN_CODE: Final = "run_code"
MAX_RESULT_CHARS: Final = 20_000

DESCRIPTION: Final = (
    "Run Python in a sandbox, without network, in your workspace folder, whose files stay. Shows"
    " what is printed, and the value of the last line when that is an expression. Variables do not"
    " stay: write files, or do it in one call."
)
SCHEMA: Final[Mapping[str, Any]] = {
    "type": "object",
    "properties": {"code": {"type": "string", "description": "The Python source to run."}},
    "required": ["code"],
    "additionalProperties": False,
}


class CodeRunner:
    """run_code for all agents, over one sandbox."""

    def __init__(self, sandbox: Sandbox, around: Surroundings) -> None:
        self._sandbox, self._around = sandbox, around
        self._tool = OutsideTool(
            name=RUN_CODE,
            description=DESCRIPTION,
            schema=SCHEMA,
            run=self.run,
            actor=f"tool:{RUN_CODE}",
            max_chars=MAX_RESULT_CHARS,
        )

    def source(self, state: AgentState) -> Mapping[str, OutsideTool]:
        """The tool, for an agent that is set to it by name."""
        named = settings_of(state.agent).tools or ()
        return {RUN_CODE: self._tool} if RUN_CODE in named else {}

    async def run(self, call: OutsideCall) -> Done:
        """Run the code of a call.

        Raises:
            InvalidValue: there is none.
            SandboxError: it cannot be run here.
        """
        arguments = checked_arguments(RUN_CODE, SCHEMA, call.arguments)
        outcome = await self.outcome(call.agent.id, str(arguments["code"]), Policy())
        return told(outcome, str, MAX_RESULT_CHARS, printed=True)

    async def outcome(self, agent_id: str, code: str, policy: Policy) -> Outcome:
        """Run code in the workspace of an agent.

        Raises:
            SandboxError: it cannot be run here.
        """
        workspace = await self._around.workspace(agent_id)
        run = ToolRun(code, None, policy=policy, workspace=workspace)
        outcome = await self._sandbox.run(run)
        hint = missing_for_code(outcome.error or "")
        return replace(outcome, error=f"{outcome.error}\n{hint}") if hint else outcome
