"""Deleting agents, their messages, and what no agent has: each once a person agrees."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from memory import agents, orphans
from memory.errors import RunInProgress
from memory.records import Agent, Belongings, Orphan
from memory.transaction import Reader, Transaction
from server.consent import Act, Consent
from server.consent_models import (
    AgentDeleted,
    Delete,
    DeleteOrphans,
    ListOrphans,
    MessagesReset,
    OrphanPage,
    OrphansDeleted,
    OrphanShown,
    orphan_line,
)
from server.cursors import key_after
from server.memory_tools import DELEGATING, ChangesAgent, with_cursor
from server.registry import Call, Tool
from server.reply_size import first_of

if TYPE_CHECKING:  # hosts list the tools before DuckDB is imported
    from memory.store import MemoryStore

_NAMES_BYTES: Final = 1_500


@dataclass(frozen=True, slots=True)
class Deletion:
    """What the tools do."""

    consent: Consent

    async def delete(self, call: Call, a: Delete) -> AgentDeleted:
        """agent_delete."""

        def would(reader: Reader) -> AgentDeleted:
            agent = agents.find_agent(reader, a.agent_id)
            own = agents.belongings(reader, agent)
            return _deleted(agent, own, a.delete_orphans).model_copy(update={"status": "waiting"})

        def do(transaction: Transaction, lost: AgentDeleted) -> AgentDeleted:
            agent = agents.find_agent(transaction, lost.id)
            own = agents.delete_agent(transaction, agent, a.delete_orphans)
            return _deleted(agent, own, a.delete_orphans)

        return await self.consent.once_agreed(call, a, Act("agent_delete", AgentDeleted, would, do))

    async def reset(self, call: Call, a: ChangesAgent) -> MessagesReset:
        """agent_reset_messages."""
        runs = (await self.consent.access.runtime()).runs

        def refuse_in_work(agent: Agent) -> None:
            # A run has no row before its first step is stored.
            for live in runs.of_agent(agent.id):
                if live.run.status != "queued":
                    raise RunInProgress(agent.name, live.run.id)

        def would(reader: Reader) -> MessagesReset:
            agent = agents.find_agent(reader, a.agent_id)
            refuse_in_work(agent)
            agents.refuse_during_run(reader, agent)
            count = agents.holdings(reader, agent).messages
            return MessagesReset(status="waiting", id=agent.id, name=agent.name, messages=count)

        def do(transaction: Transaction, lost: MessagesReset) -> MessagesReset:
            agent = agents.find_agent(transaction, lost.id)
            refuse_in_work(agent)
            count = agents.reset_messages(transaction, agent)
            return MessagesReset(id=agent.id, name=agent.name, messages=count)

        act = Act("agent_reset_messages", MessagesReset, would, do)
        return await self.consent.once_agreed(call, a, act)

    async def list_orphans(self, call: Call, a: ListOrphans) -> OrphanPage:
        """orphan_list."""
        after = key_after(a.cursor)

        def work(_: "MemoryStore", reader: Reader) -> OrphanPage:
            # A page of them is at most 100 short lines: within a reply.
            found = orphans.list_orphans(reader, after, min(a.limit, _ORPHANS) + 1)
            shown = found[: min(a.limit, _ORPHANS)]
            return OrphanPage(
                orphans=[_orphan_shown(orphan) for orphan in shown],
                next_cursor=str(shown[-1].key) if len(shown) < len(found) else None,
            )

        return await self.consent.access.read(call.caller, work)

    async def delete_orphans(self, call: Call, a: DeleteOrphans) -> OrphansDeleted:
        """orphan_delete."""

        def would(reader: Reader) -> OrphansDeleted:
            found = [orphans.find_orphan(reader, id_) for id_ in dict.fromkeys(a.ids)]
            return OrphansDeleted(status="waiting", orphans=[_orphan_shown(o) for o in found])

        def do(transaction: Transaction, lost: OrphansDeleted) -> OrphansDeleted:
            found = [orphans.find_orphan(transaction, shown.id) for shown in lost.orphans]
            for orphan in found:
                orphans.delete_orphan(transaction, orphan)
            return OrphansDeleted(orphans=[_orphan_shown(orphan) for orphan in found])

        act = Act("orphan_delete", OrphansDeleted, would, do)
        return await self.consent.once_agreed(call, a, act)


def deletion_tool(consent: Consent) -> Tool:
    """agent_delete."""
    return Tool(
        name="agent_delete",
        title="Delete an agent",
        description="Delete an agent with all its memory, if a person agrees.",
        arguments=Delete,
        result=AgentDeleted,
        run=Deletion(consent).delete,
        text=_said,
        destructive=True,
        toolsets=DELEGATING,
    )


def forgetting_tools(consent: Consent) -> tuple[Tool, ...]:
    """What else can be deleted, in the order hosts list it."""
    do = Deletion(consent)
    return (
        Tool(
            name="agent_reset_messages",
            title="Forget an agent's messages",
            description="Forget all messages of an agent, if a person agrees; it keeps its memory.",
            arguments=ChangesAgent,
            result=MessagesReset,
            run=do.reset,
            text=_said,
            destructive=True,
            toolsets=DELEGATING,
        ),
        Tool(
            name="orphan_list",
            title="List what no agent has",
            description="Blocks and archives that no agent has; agent_update takes their ids.",
            arguments=ListOrphans,
            result=OrphanPage,
            run=do.list_orphans,
            text=_page_text,
            read_only=True,
            toolsets=DELEGATING,
            for_all=True,
        ),
        Tool(
            name="orphan_delete",
            title="Delete what no agent has",
            description="Delete blocks and archives that no agent has, if a person agrees.",
            arguments=DeleteOrphans,
            result=OrphansDeleted,
            run=do.delete_orphans,
            text=_said,
            destructive=True,
            toolsets=DELEGATING,
            for_all=True,
        ),
    )


_ORPHANS: Final = 40
"""On a page: a name has at most 100 characters, of up to four bytes each."""


def _said(result: AgentDeleted | MessagesReset | OrphansDeleted) -> str:
    return result.said()


def _page_text(page: OrphanPage) -> str:
    lines = [f"- {orphan_line(orphan)}" for orphan in page.orphans]
    return with_cursor(
        "\n".join(lines) or "Every block and archive has an agent.", page.next_cursor
    )


def _deleted(agent: Agent, own: Belongings, delete_orphans: bool) -> AgentDeleted:
    ids = [block.id for block in own.blocks]
    ids += [own.archive] if own.archive is not None and own.passages else []
    return AgentDeleted(
        id=agent.id,
        name=agent.name,
        messages=own.messages,
        passages=own.passages,
        blocks=first_of([block.label for block in own.blocks], _NAMES_BYTES),
        shared_blocks=first_of([block.label for block in own.shared_blocks], _NAMES_BYTES),
        orphans=[] if delete_orphans else first_of(ids, _NAMES_BYTES),
    )


def _orphan_shown(orphan: Orphan) -> OrphanShown:
    return OrphanShown(kind=orphan.kind, id=orphan.id, name=orphan.name, size=orphan.size)
