"""The tools that keep and run tools which people and agents wrote.

What a source means is agent/custom's, how it is kept memory/tools.py's. Callers for whom only some
agents exist see the tools of these and may run them; they change none.
"""

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from agent.custom.revising import new_tool
from agent.memory_tools import Scope
from agent.outside import Done, OutsideCall
from memory import agents, tools
from memory.errors import InvalidValue
from memory.limits import MAX_DESCRIPTION_CHARS, check_object, check_tags, check_text
from memory.records import Agent
from memory.tools import StoredTool
from memory.transaction import Reader, Transaction, to_json
from server.approvals import ask_person
from server.cursors import key_after
from server.custom_tool_models import (
    AttachTool,
    CreateTool,
    DeleteTool,
    GetTool,
    ListTools,
    RunStoredTool,
    ToolAttached,
    ToolDeleted,
    ToolPage,
    ToolRan,
    ToolShown,
    UpdateTool,
)
from server.custom_tool_views import (
    first_agents,
    page_of,
    show_part,
    show_tool,
)
from server.errors import NotAllowed
from server.kept_results import KeptResults
from server.memory_access import MemoryAccess
from server.package_consent import Keeping, PackageConsent
from server.registry import Call
from server.reply_size import shortened
from server.tool_changes import (
    Grants,
    asks_for_new_packages,
    changes_of,
    draft_of,
    new_grants,
    planned,
    planned_change,
    refuse_in_rules,
    users_of,
)

if TYPE_CHECKING:  # hosts list the tools before DuckDB is imported
    from memory.store import MemoryStore

_LISTED: Final = 50
_ASKED_BYTES: Final = 2_000


class NotAgreed(InvalidValue):
    """A tool runs only when a person agrees, and nobody could be asked."""

    def __init__(self, tool: str) -> None:
        super().__init__(
            f"tool {tool!r} runs only when a person agrees to the call; ask them, then repeat it"
            " with approved true"
        )


@dataclass(frozen=True, slots=True)
class CustomTools:
    """What the tools do."""

    access: MemoryAccess
    packages: PackageConsent
    kept: KeptResults = field(default_factory=KeptResults)

    async def create(self, call: Call, a: CreateTool) -> ToolShown:
        """tool_create."""
        _for_all(call, "create tools")

        def plan(reader: Reader) -> tuple[StoredTool, Grants]:
            new = planned(reader, call.caller, a)
            return new, new_grants(None, new)

        def create(transaction: Transaction, lock: str | None) -> StoredTool:
            new = replace(new_tool(draft_of(a, a.policy)), package_lock=lock)
            return tools.create_tool(transaction, new)

        keeping = Keeping("tool_create", plan, create, bool(a.requirements))
        return await self.packages.keep(call, a, keeping)

    async def list(self, call: Call, a: ListTools) -> ToolPage:
        """tool_list."""
        after = key_after(a.cursor)
        tags = check_tags(a.tags or ())
        for text, name in ((a.name, "name"), (a.query, "query")):
            check_text(text or "", name, MAX_DESCRIPTION_CHARS)
        every, limit = a.tag_match_mode == "all", a.limit or _LISTED

        def work(_: "MemoryStore", reader: Reader) -> ToolPage:
            agent = None if a.attached_to is None else agents.find_agent(reader, a.attached_to)
            any_of, all_of = ((), tags) if every else (tags, ())
            which = tools.WhichTools(a.name, a.query, any_of, all_of, agent)
            return page_of(tools.list_tools(reader, after, limit + 1, which), limit)

        return await self.access.read(call.caller, work)

    async def get(self, call: Call, a: GetTool) -> ToolShown:
        """tool_get."""

        def work(_: "MemoryStore", reader: Reader) -> ToolShown:
            tool = tools.find_tool(reader, a.tool_id)
            if a.version is not None:
                tool = tools.at_version(reader, tool, a.version)
            return show_part(show_tool(reader, tool), tool, a.part or "source", a.cursor)

        return await self.access.read(call.caller, work)

    async def update(self, call: Call, a: UpdateTool) -> ToolShown:
        """tool_update."""
        _for_all(call, "change tools")

        def plan(reader: Reader) -> tuple[StoredTool, Grants]:
            changed = planned_change(reader, a)
            return changed, new_grants(tools.find_tool(reader, a.tool_id), changed)

        def update(transaction: Transaction, lock: str | None) -> StoredTool:
            tool, changes = changes_of(transaction, a)
            changes |= {} if lock is None else {"package_lock": lock}
            return tools.update_tool(transaction, tool, changes, a.expected_version)

        keeping = Keeping("tool_update", plan, update, await self._asks_for_packages(call, a))
        done = await self.packages.keep(call, a, keeping)
        if a.requirements is not None and done.status == "done":
            await self.packages.tidy()
        return done

    async def _asks_for_packages(self, call: Call, a: UpdateTool) -> bool:
        return bool(a.requirements) and await self.access.read(
            call.caller, lambda _, reader: asks_for_new_packages(reader, a)
        )

    async def delete(self, call: Call, a: DeleteTool) -> ToolDeleted:
        """tool_delete."""
        _for_all(call, "delete tools")

        def work(_: "MemoryStore", transaction: Transaction) -> ToolDeleted:
            tool = tools.find_tool(transaction, a.tool_id)
            for user in users_of(transaction, tool):
                refuse_in_rules(user, tool)
            names = tools.delete_tool(transaction, tool)
            return ToolDeleted(id=tool.id, name=tool.name, agents=first_agents(names))

        done = await self.access.write(call, "tool_delete", a, ToolDeleted, work)
        await self.packages.tidy()
        return done

    async def attach(self, call: Call, a: AttachTool) -> ToolAttached:
        """tool_attach."""

        def work(_: "MemoryStore", transaction: Transaction) -> ToolAttached:
            agent = agents.find_agent(transaction, a.agent_id)
            _for_all(call, "attach tools")
            tool = tools.find_tool(transaction, a.tool_id)
            return _attached(agent, tool, True, tools.attach_tool(transaction, agent, tool))

        return await self.access.write(call, "tool_attach", a, ToolAttached, work)

    async def detach(self, call: Call, a: AttachTool) -> ToolAttached:
        """tool_detach."""

        def work(_: "MemoryStore", transaction: Transaction) -> ToolAttached:
            agent = agents.find_agent(transaction, a.agent_id)
            _for_all(call, "detach tools")
            tool = tools.find_tool(transaction, a.tool_id)
            refuse_in_rules(agent, tool)
            return _attached(agent, tool, False, tools.detach_tool(transaction, agent, tool))

        return await self.access.write(call, "tool_detach", a, ToolAttached, work)

    async def run(self, call: Call, a: RunStoredTool) -> ToolRan:
        """tool_run."""
        before = await self.access.first_result(call, "tool_run", a, ToolRan)
        if before is not None:
            return before
        agent, tool = await self.access.read(call.caller, lambda _, r: _to_run(r, a))
        if a.cursor is not None:
            return self.kept.page(call.caller, a.cursor)
        check_object(a.arguments, "arguments", "put files into the workspace")
        tool = await self.packages.for_run(call, tool)
        if tool.requires_approval and not a.approved:
            shown = shortened(to_json(a.arguments), _ASKED_BYTES, "the arguments of the call")
            if not await ask_person(call, f"May tool {tool.name} run for {agent.name}?\n{shown}"):
                raise NotAgreed(tool.name)
        run_tool = (await self.access.runtime()).run_tool
        done = await run_tool(tool, OutsideCall(agent, a.arguments))
        ran = ToolRan(
            tool=tool.name,
            agent_id=agent.id,
            version=tool.version,
            failed=done.failed,
            text=done.text,
            tier=done.tier,
        )
        ran = self.kept.first_page(call.caller, ran)

        def work(store: "MemoryStore", transaction: Transaction) -> ToolRan:
            _commit(store, transaction, agent, tool, done)
            return ran

        return await self.access.write(call, "tool_run", a, ToolRan, work)


def _for_all(call: Call, what: str) -> None:
    """Refuse to whom only some agents exist: tools are everybody's."""
    if call.caller.agents is not None:
        raise NotAllowed(what)


def _to_run(reader: Reader, a: RunStoredTool) -> tuple[Agent, StoredTool]:
    """The agent and the tool; to whom only some agents exist, only a tool that this one has."""
    agent = agents.find_agent(reader, a.agent_id)
    tool = tools.find_tool(reader, a.tool_id)
    if reader.visible is not None and tool not in tools.tools_of(reader, agent):
        raise InvalidValue(f"agent {agent.name!r} has no tool {tool.name!r}")
    return agent, tool


def _commit(
    store: "MemoryStore", transaction: Transaction, agent: Agent, tool: StoredTool, done: Done
) -> None:
    """Write what a tool changed in memory, with the tool as the author."""
    if done.commit is None or done.failed:
        return
    with transaction.acting(replace(transaction.origin, actor=f"tool:{tool.name}")):
        done.commit(Scope(store, transaction, agents.find_agent(transaction, agent.id)))


def _attached(agent: Agent, tool: StoredTool, attached: bool, changed: bool) -> ToolAttached:
    return ToolAttached(
        agent_id=agent.id,
        agent=agent.name,
        tool_id=tool.id,
        tool=tool.name,
        attached=attached,
        changed=changed,
    )
