"""The memory tools for hosts that think: the agents' own with an agent_id, and memory_context.

Each write is one transaction with the host as its author.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, cast

import anyio.to_thread
from pydantic import BaseModel, Field, create_model

from agent.context import render_blocks
from agent.memory_tools import ArchivalInsert, Arguments, MemoryTool, PassageStored, Scope
from agent.search_tools import (
    ArchivalSearch,
    ConversationSearch,
    MessagesFound,
    PassageFound,
    PassagesFound,
    Why,
    search_archive,
    search_conversation,
)
from agent.tools import MEMORY_TOOLS
from memory import agents, archival, core_memory
from memory.dates import parse_moment
from memory.records import NewPassage, Origin
from memory.transaction import Transaction
from server.once import Once, request_of, write_once
from server.registry import Call, Tool

if TYPE_CHECKING:
    from server.runtime import Runtime

GetRuntime = Callable[[], Awaitable["Runtime"]]

MAX_PAGE_CHARS = 20_000
"""Of text in one page of a search: some 5,000 tokens. A longer single text is shown whole."""

AgentId = Annotated[str, Field(description="The agent's id or name.")]


class ForAgent(Arguments):
    """Arguments that name an agent."""

    agent_id: AgentId


class ChangesAgent(ForAgent, Once):
    """Arguments that name an agent whose memory is changed."""


class HostInsert(ArchivalInsert, ChangesAgent):
    """Arguments of archival_memory_insert for hosts, which know where a text comes from."""

    author: str | None = Field(None, description="Who said or wrote it.")
    source: str | None = Field(None, description="Where it comes from, e.g. a file or URL.")
    session: str | None = Field(None, description="Conversation or document it belongs to.")
    sequence: int | None = Field(None, ge=0, description="Its place there; default: the next.")
    occurred_at: str | None = Field(None, description="When it happened: 2026-03-31T18:00.")


class HostSearch(ArchivalSearch, ForAgent):
    """Arguments of archival_memory_search for hosts."""

    cursor: str | None = Field(None, description="next_cursor of the page before.")
    explain: bool = Field(False, description="Say why each hit is a hit.")


class HostConversationSearch(ConversationSearch, ForAgent):
    """Arguments of conversation_search for hosts."""

    cursor: str | None = Field(None, description="next_cursor of the page before.")
    explain: bool = Field(False, description="Say why each hit is a hit.")


class DeletePassage(ChangesAgent):
    """Arguments of archival_memory_delete."""

    passage_id: str = Field(description="Id of the passage, from archival_memory_search.")


class MemoryContext(BaseModel):
    """An agent's core memory as text, and what the rest of its memory holds."""

    agent_id: str
    name: str
    blocks: str
    messages: int
    passages: int
    pending_vectors: int
    tags: list[str]
    timezone: str


def memory_tools(runtime: GetRuntime) -> tuple[Tool, ...]:
    """The table of memory tools, in the order hosts list them."""
    host_tools = {tool.name: _for_hosts(tool) for tool in MEMORY_TOOLS.values()}
    host_tools |= {
        tool.name: tool
        for tool in (
            replace(MEMORY_TOOLS["archival_memory_insert"], arguments=HostInsert, run=_insert),
            replace(
                MEMORY_TOOLS["archival_memory_search"],
                arguments=HostSearch,
                run=_search,
                text=_passages_text,
            ),
            replace(
                MEMORY_TOOLS["conversation_search"],
                arguments=HostConversationSearch,
                run=_search_conversation,
                text=_messages_text,
            ),
        )
    }
    context = Tool(
        name="memory_context",
        title="Read an agent's memory",
        description="Core memory of an agent and what its archive holds; call it first.",
        arguments=ForAgent,
        result=MemoryContext,
        run=partial(_read, runtime, _context),
        text=_context_text,
        read_only=True,
    )
    delete = Tool(
        name="archival_memory_delete",
        title="Delete from the archive",
        description="Delete a passage that is wrong or no longer wanted.",
        arguments=DeletePassage,
        result=PassageStored,
        run=partial(_write, runtime, "archival_memory_delete", PassageStored, _delete),
        text=lambda result: f"Deleted {result.id}.",
        destructive=True,
        idempotent=True,
    )
    return (context, *(_tool(runtime, tool) for tool in host_tools.values()), delete)


def _for_hosts(tool: MemoryTool) -> MemoryTool:
    """The agents' tool with an agent_id before its own arguments."""
    # In this order agent_id is the first field.
    bases: Any = (tool.arguments, ChangesAgent if tool.writes else ForAgent)
    return replace(tool, arguments=create_model(tool.arguments.__name__, __base__=bases))


def _tool(runtime: GetRuntime, tool: MemoryTool) -> Tool:
    write = partial(_write, runtime, tool.name, tool.result)
    run = write if tool.writes else partial(_read, runtime)
    return Tool(
        name=tool.name,
        title=tool.title,
        description=tool.description,
        arguments=tool.arguments,
        result=tool.result,
        run=partial(run, tool.run),
        text=tool.text,
        read_only=not tool.writes,
        destructive=tool.destructive,
    )


async def _read(
    runtime: GetRuntime, act: Callable[[Scope, Any], Any], call: Call, arguments: ForAgent
) -> Any:
    store = (await runtime()).store

    def work() -> Any:
        with store.read() as reader:
            agent = agents.find_agent(reader, arguments.agent_id)
            return act(Scope(store, reader, agent), arguments)

    return await anyio.to_thread.run_sync(work)


async def _write(
    runtime: GetRuntime,
    name: str,
    result: type[BaseModel],
    act: Callable[[Scope, Any], Any],
    *called: Any,
) -> Any:
    call, arguments = cast("tuple[Call, ChangesAgent]", called)
    store = (await runtime()).store

    def work(transaction: Transaction) -> Any:
        agent = agents.find_agent(transaction, arguments.agent_id)
        return act(Scope(store, transaction, agent), arguments)

    origin = Origin(f"host:{call.host}", name, call.request_id)
    request = request_of(call, name, arguments)
    return await anyio.to_thread.run_sync(write_once, store, origin, request, result, work)


def _insert(scope: Scope, a: HostInsert) -> PassageStored:
    zone = scope.agent.timezone
    occurred = parse_moment(a.occurred_at, zone, "occurred_at") if a.occurred_at else None
    new = NewPassage(
        a.content, tuple(a.tags or ()), a.author, a.source, a.session, a.sequence, occurred
    )
    (passage,) = archival.insert_passages(scope.transaction, scope.agent, [new])
    return PassageStored(id=passage.id)


def _search(scope: Scope, a: HostSearch) -> PassagesFound:
    found = search_archive(scope, a, a.cursor, a.explain)
    fitting = _fitting([hit.content for hit in found.results])
    if fitting < len(found.results):
        shorter = a.model_copy(update={"top_k": fitting})
        found = search_archive(scope, shorter, a.cursor, a.explain)
    return found


def _search_conversation(scope: Scope, a: HostConversationSearch) -> MessagesFound:
    found = search_conversation(scope, a, a.cursor, a.explain)
    fitting = _fitting([hit.content for hit in found.results])
    if fitting < len(found.results):
        shorter = a.model_copy(update={"limit": fitting})
        found = search_conversation(scope, shorter, a.cursor, a.explain)
    return found


def _fitting(texts: Sequence[str]) -> int:
    """How many of the hits a reply has room for; one at least. The rest is on the next page."""
    room = MAX_PAGE_CHARS
    for number, text in enumerate(texts):
        room -= len(text)
        if room < 0:
            return max(number, 1)
    return len(texts)


def _delete(scope: Scope, a: DeletePassage) -> PassageStored:
    return PassageStored(
        id=archival.delete_passage(scope.transaction, scope.agent, a.passage_id).id
    )


def _context(scope: Scope, a: ForAgent) -> MemoryContext:
    agent = scope.agent
    held = agents.holdings(scope.reader, agent)
    return MemoryContext(
        agent_id=agent.id,
        name=agent.name,
        blocks=render_blocks(core_memory.list_blocks(scope.reader, agent)),
        messages=held.messages,
        passages=held.passages,
        pending_vectors=held.pending_vectors,
        tags=list(held.tags),
        timezone=agent.timezone,
    )


def _context_text(result: MemoryContext) -> str:
    tags = f" Tags: {', '.join(result.tags)}." if result.tags else ""
    return (
        f"Agent {result.name} ({result.agent_id}), time zone {result.timezone}.\n{result.blocks}\n"
        f"Archival memory: {result.passages} passages.{tags}\n"
        f"Recall memory: {result.messages} messages."
    )


def _passages_text(found: PassagesFound) -> str:
    return _page_text(found, [_passage_line(hit) for hit in found.results])


def _messages_text(found: MessagesFound) -> str:
    lines = [f"[{m.timestamp}] {m.role}: {m.content}{_why_text(m.why)}" for m in found.results]
    return _page_text(found, lines)


def _passage_line(hit: PassageFound) -> str:
    """A passage with what a host needs to judge, cite or delete it."""
    author = f"{hit.author}: " if hit.author else ""
    known = {"source": hit.source, "session": hit.session, "tags": ", ".join(hit.tags)}
    about = "".join(f"; {name} {value}" for name, value in known.items() if value)
    return f"[{hit.timestamp}] {author}{hit.content} ({hit.id}{about}){_why_text(hit.why)}"


def _why_text(why: Why | None) -> str:
    if why is None:
        return ""
    parts = why.model_dump(exclude_none=True)
    return " | " + ", ".join(f"{part} {value:.2f}" for part, value in parts.items())


def _page_text(found: PassagesFound | MessagesFound, lines: Sequence[str]) -> str:
    """The hits as text, with what a reader must know about them."""
    notes = []
    if not found.by_meaning:
        notes.append("(found by words only: the embedder is still loading, or there is none)")
    if found.pending_vectors:
        notes.append(
            f"(up to {found.pending_vectors} texts are not embedded yet and were compared by words"
            " only; search again in a moment)"
        )
    if found.next_cursor:
        notes.append(f"(more: repeat with cursor {found.next_cursor})")
    return "\n".join([*(f"- {row}" for row in lines or ["No results found."]), *notes])
