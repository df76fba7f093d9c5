"""run_code for hosts, in an agent's workspace, and what isolates it: sandbox_status."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from agent.custom.outcomes import as_text
from memory import agents
from memory.transaction import Transaction
from sandbox.policy import Policy
from sandbox.protocol import Outcome
from server.code_models import AskSandbox, CodeRan, RunCode, SandboxShown
from server.errors import NotAllowed
from server.memory_access import MemoryAccess
from server.memory_tools import DELEGATING, FULL_ONLY
from server.registry import Call, Tool
from server.reply_size import PAGE_BYTES, json_bytes, shortened
from server.sandbox_views import show, shown_text

if TYPE_CHECKING:  # hosts list the tools before DuckDB is imported
    from memory.store import MemoryStore

_WHERE: Final = "write it to a file and read that with workspace_read"
# For the marks of what is cut, ids and the names of fields.
_ROOM_BYTES: Final = PAGE_BYTES - 500


@dataclass(frozen=True, slots=True)
class CodeTools:
    """What the tools do."""

    access: MemoryAccess

    async def run(self, call: Call, a: RunCode) -> CodeRan:
        """run_code."""
        before = await self.access.first_result(call, "run_code", a, CodeRan)
        if before is not None:
            return before
        agent = (await self.access.state(call.caller, a.agent_id)).agent
        policy = Policy() if a.wall_s is None else replace(Policy(), wall_s=a.wall_s)
        code = (await self.access.runtime()).outside.code
        ran = shown(agent.id, await code.outcome(agent.id, a.code, policy))

        def work(_: "MemoryStore", transaction: Transaction) -> CodeRan:
            agents.find_agent(transaction, agent.id)
            return ran

        return await self.access.write(call, "run_code", a, CodeRan, work)

    async def status(self, call: Call, _: AskSandbox) -> SandboxShown:
        """sandbox_status."""
        if call.caller.agents is not None:
            raise NotAllowed("look at the sandbox of this machine")
        return show(await (await self.access.runtime()).outside.sandbox.state())


def code_tools(access: MemoryAccess) -> tuple[Tool, ...]:
    """The table of these tools, in the order hosts list them."""
    do = CodeTools(access)
    return (
        Tool(
            name="run_code",
            title="Run Python for an agent",
            description="Run Python in a sandbox, without network, in the workspace of an agent."
            " Variables are gone after it, files stay.",
            arguments=RunCode,
            result=CodeRan,
            run=do.run,
            text=ran_text,
            destructive=True,
            toolsets=DELEGATING,
        ),
        Tool(
            name="sandbox_status",
            title="Show what isolates tools",
            description="Show what isolates code of tools on this machine, found out by trying.",
            arguments=AskSandbox,
            result=SandboxShown,
            run=do.status,
            text=shown_text,
            read_only=True,
            toolsets=FULL_ONLY,
            for_all=True,
        ),
    )


def shown(agent_id: str, outcome: Outcome) -> CodeRan:
    """As much of an outcome as a reply holds, shared out fairly."""
    value = "" if outcome.result is None else as_text(outcome.result)
    texts = (value, outcome.error or "", outcome.stdout, outcome.stderr)
    sizes = [json_bytes(text) for text in texts]
    sizes[0] = max(sizes[0], json_bytes(outcome.result))
    rooms = shares(sizes, _ROOM_BYTES)
    whole = sizes[0] <= rooms[0]
    shorter = [shortened(text, room, _WHERE) for text, room in zip(texts, rooms, strict=True)]
    return CodeRan(
        agent_id=agent_id,
        status=outcome.status,
        tier=outcome.tier,
        result=outcome.result if whole else None,
        result_text="" if whole else shorter[0],
        error=shorter[1],
        stdout=shorter[2],
        stderr=shorter[3],
        duration_s=round(outcome.duration_s, 4),
        cut=not whole or tuple(shorter[1:]) != texts[1:],
    )


def shares(sizes: Sequence[int], room: int) -> list[int]:
    """Room for each: what it needs, or what is left over shared by those that need more."""
    given = [0] * len(sizes)
    for left, index in enumerate(sorted(range(len(sizes)), key=sizes.__getitem__)):
        given[index] = min(sizes[index], room // (len(sizes) - left))
        room -= given[index]
    return given


def ran_text(ran: CodeRan) -> str:
    """What came of code, as a model reads it."""
    parts = [] if ran.tier == "namespaces" else [f"[sandbox: {ran.tier}]"]
    parts += [f"Error: {ran.error or ran.status}"] if ran.status != "ok" else []
    parts += [ran.stdout.rstrip()] if ran.stdout.strip() else []
    parts += [f"[stderr]\n{ran.stderr.rstrip()}"] if ran.stderr.strip() else []
    value: Any = ran.result
    parts += [as_text(value)] if value is not None else []
    parts += [ran.result_text] if ran.result_text else []
    return "\n".join(parts) or "It ended without a result."
