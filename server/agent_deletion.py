"""Deleting agents: what a person must agree to, asked at the host or passed on by a tool."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from memory import agents, core_memory
from memory.records import Agent
from memory.requests import keep_result
from memory.transaction import Reader, Transaction
from server.agent_models import AgentDeleted, Decide, Decided
from server.approvals import Approvals, ask_person
from server.memory_access import MemoryAccess
from server.memory_tools import DELEGATING, ChangesAgent
from server.once import request_of
from server.registry import Call, Tool
from server.reply_size import first_of

if TYPE_CHECKING:  # hosts list the tools before DuckDB is imported
    from memory.store import MemoryStore

_NAMES_BYTES: Final = 2_000


def deletion_tools(access: MemoryAccess, approvals: Approvals) -> tuple[Tool, ...]:
    """agent_delete, and approval_decide for hosts that cannot ask."""
    do = AgentDeletion(access, approvals)
    return (
        Tool(
            name="agent_delete",
            title="Delete an agent",
            description="Delete an agent with all its memory, if a person agrees.",
            arguments=ChangesAgent,
            result=AgentDeleted,
            run=do.delete,
            text=_deleted_text,
            destructive=True,
            toolsets=DELEGATING,
        ),
        Tool(
            name="approval_decide",
            title="Pass on a decision",
            description="Tell what the person decided about something that waits for approval.",
            arguments=Decide,
            result=Decided,
            run=do.decide,
            text=lambda result: str(result.text),
            destructive=True,
            toolsets=DELEGATING,
        ),
    )


@dataclass(frozen=True, slots=True)
class AgentDeletion:
    """What the two tools do."""

    access: MemoryAccess
    approvals: Approvals

    async def delete(self, call: Call, a: ChangesAgent) -> AgentDeleted:
        """agent_delete: once a person agrees."""
        name = "agent_delete"
        before = await self.access.first_result(call, name, a, AgentDeleted)
        if before is not None:
            return before
        would = await self.access.read(
            call.caller, lambda _, reader: _would_go(reader, agents.find_agent(reader, a.agent_id))
        )

        request = request_of(call, name, a)

        def act(transaction: Transaction) -> AgentDeleted:
            # By its id: another agent may have the name by now.
            done = _delete(transaction, agents.find_agent(transaction, would.id))
            if request is not None:  # so that a repeat of the call that asked finds it done
                keep_result(transaction, request, done.model_dump_json())
            return done

        if await ask_person(call, f"Delete {_lost(would)}? This cannot be undone."):
            return await self.access.write(call, name, a, AgentDeleted, lambda _, t: act(t))
        return would.model_copy(update={"approval_id": self.approvals.keep(call.caller, act)})

    async def decide(self, call: Call, a: Decide) -> Decided:
        """approval_decide."""
        name = "approval_decide"
        before = await self.access.first_result(call, name, a, Decided)
        if before is not None:
            return before
        waiting = self.approvals.take(call.caller, a.approval_id)

        def work(_: "MemoryStore", transaction: Transaction) -> Decided:
            if not a.approve:
                return Decided(approved=False, text="Declined; nothing was changed.")
            done = waiting.act(transaction)
            text = _deleted_text(done) if isinstance(done, AgentDeleted) else "Done."
            return Decided(approved=True, text=text)

        return await self.access.write(call, name, a, Decided, work)


def _would_go(reader: Reader, agent: Agent) -> AgentDeleted:
    held = agents.holdings(reader, agent)
    labels = [block.label for block in core_memory.list_blocks(reader, agent)]
    return AgentDeleted(
        status="waiting",
        id=agent.id,
        name=agent.name,
        messages=held.messages,
        passages=held.passages,
        blocks=first_of(labels, _NAMES_BYTES),
    )


def _delete(transaction: Transaction, agent: Agent) -> AgentDeleted:
    gone = agents.delete_agent(transaction, agent)
    return AgentDeleted(
        id=agent.id,
        name=agent.name,
        messages=gone.messages,
        passages=gone.passages,
        blocks=first_of(gone.blocks, _NAMES_BYTES),
    )


def _lost(deleted: AgentDeleted) -> str:
    return (
        f"agent {deleted.name} ({deleted.id}) with {deleted.messages} messages,"
        f" {deleted.passages} passages and the blocks {', '.join(deleted.blocks) or '(none)'}"
    )


def _deleted_text(result: AgentDeleted) -> str:
    if result.status == "deleted":
        return f"Deleted {_lost(result)}."
    return (
        f"Nothing is deleted yet: {_lost(result)} would be lost. Ask the person; then call"
        f" approval_decide with approval_id {result.approval_id}."
    )
