"""The memory tools for hosts that think: the agents' own with an agent_id, and reading it all.

Each write is one transaction with the host as its author. Replies are bounded: pages have a cursor,
and a text that is cut says where memory_read finds the whole.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Final, cast

from pydantic import BaseModel, Field, create_model

from agent.context import render_blocks
from agent.memory_tools import (
    EDIT_TOOLS,
    ArchivalInsert,
    Arguments,
    BlockEdited,
    MemoryTool,
    PassageStored,
    Result,
    Scope,
)
from memory import agents, archival, core_memory
from memory.dates import parse_moment
from memory.records import Holdings, NewPassage
from memory.transaction import Reader, Transaction
from server.memory_access import MemoryAccess
from server.memory_uris import block_uri, describe_holdings, piece_of, read_text
from server.once import Once
from server.registry import Call, Tool, Toolset
from server.reply_size import PAGE_BYTES, first_of, shortened

if TYPE_CHECKING:  # hosts list the tools before DuckDB is imported
    from memory.store import MemoryStore

AgentId = Annotated[str, Field(description="Name or id.")]

THINKING: Final[frozenset[Toolset]] = frozenset({"memory"})
DELEGATING: Final[frozenset[Toolset]] = frozenset({"agents"})
BOTH: Final = THINKING | DELEGATING
FULL_ONLY: Final[frozenset[Toolset]] = frozenset()

# A host shows its model every tool of every server: what the name says is not said again.
_SHORTER: Final = {
    "label": "As human or persona.",
    "content": "In full sentences.",
    "old_content": "Exactly as it stands.",
    "new_string": "Empty deletes.",
    "new_content": "Empty deletes.",
    "insert_line": "After this line; 0 is the top, -1 the end.",
}

_TOLD: Final = {
    "core_memory_append": "Add a fact to a core memory block, on a line of its own.",
    "memory_replace": "Correct a core memory block: replace a text that occurs exactly once.",
    "memory_rethink": "Rewrite a core memory block, or create one.",
}

_TAGS_BYTES: Final = 1_000

_IN_TOOLSETS: Final = {
    "core_memory_replace": FULL_ONLY,  # memory_replace does it, and finds out what is not unique
    "memory_insert": FULL_ONLY,
}


class ForAgent(Arguments):
    """Arguments that name an agent."""

    agent_id: AgentId


class ChangesAgent(ForAgent, Once):
    """Arguments that name an agent whose memory is changed."""


class HostPassage(ArchivalInsert):
    """A passage from a host, which knows where a text comes from."""

    content: str = Field(description="Understandable by itself.")
    tags: list[str] | None = None
    author: str | None = None
    source: str | None = None
    session: str | None = None
    sequence: int | None = Field(None, ge=0)
    occurred_at: str | None = Field(None, description="As 2026-03-31T18:00.")


class HostInsert(HostPassage, ChangesAgent):
    """Arguments of archival_memory_insert for hosts."""


class DeletePassage(ChangesAgent):
    """Arguments of archival_memory_delete."""

    passage_id: str


class PagedAgent(ForAgent):
    """Arguments of memory_context."""

    cursor: str | None = None


class ReadText(Arguments):
    """Arguments of memory_read."""

    uri: str
    cursor: str | None = None


class MemoryContext(Result):
    """An agent's core memory as text, or a piece of it, and what the rest of its memory holds."""

    agent_id: str
    name: str
    timezone: str
    blocks: str
    messages: int
    passages: int
    pending_vectors: int
    tags: list[str]
    next_cursor: str | None = None


class TextPiece(Result):
    """A text of memory, or a piece of it."""

    uri: str
    text: str
    next_cursor: str | None = None


def memory_tools(access: MemoryAccess) -> tuple[Tool, ...]:
    """The table of memory tools but for search, in the order hosts list them."""
    *edits, insert = EDIT_TOOLS
    insert = replace(insert, arguments=HostInsert, run=_insert)
    return (
        _context(access),
        _reading(access),
        *(_writing(access, tool) for tool in (*map(_for_hosts, edits), insert)),
        _deleting(access),
    )


def read_tool(
    access: MemoryAccess, act: Callable[[Scope, Any], BaseModel]
) -> Callable[[Call, Any], Any]:
    """How a tool that names an agent reads it."""

    async def run(call: Call, arguments: ForAgent) -> BaseModel:
        def work(store: "MemoryStore", reader: Reader) -> BaseModel:
            agent = agents.find_agent(reader, arguments.agent_id)
            return act(Scope(store, reader, agent), arguments)

        return await access.read(call.caller, work)

    return run


def write_tool(
    access: MemoryAccess, name: str, result: type[BaseModel], act: Callable[[Scope, Any], BaseModel]
) -> Callable[[Call, Any], Any]:
    """How a tool that names an agent changes it."""

    async def run(call: Call, arguments: ChangesAgent) -> BaseModel:
        def work(store: "MemoryStore", transaction: Transaction) -> BaseModel:
            agent = agents.find_agent(transaction, arguments.agent_id)
            return act(Scope(store, transaction, agent), arguments)

        return await access.write(call, name, arguments, result, work)

    return run


def with_cursor(text: str, cursor: str | None) -> str:
    """A page as text, with how to go on."""
    return text if cursor is None else f"{text}\n(more: repeat with cursor {cursor})"


def _context(access: MemoryAccess) -> Tool:
    def act(scope: Scope, a: PagedAgent) -> MemoryContext:
        agent = scope.agent
        blocks = render_blocks(core_memory.list_blocks(scope.reader, agent))
        piece = piece_of(blocks, a.cursor, PAGE_BYTES - _TAGS_BYTES)
        held = agents.holdings(scope.reader, agent)
        return MemoryContext(
            agent_id=agent.id,
            name=agent.name,
            timezone=agent.timezone,
            blocks=piece.text,
            messages=held.messages,
            passages=held.passages,
            pending_vectors=held.pending_vectors,
            tags=first_of(held.tags, _TAGS_BYTES),
            next_cursor=piece.next_cursor,
        )

    def text(result: MemoryContext) -> str:
        held = Holdings(result.messages, result.passages, 0, tuple(result.tags))
        about = f"Agent {result.name} ({result.agent_id}), time zone {result.timezone}."
        whole = f"{about}\n{result.blocks}\n{describe_holdings(held)}"
        return with_cursor(whole, result.next_cursor)

    return Tool(
        name="memory_context",
        title="Read an agent",
        description="Core memory of an agent and what its archive holds; call it first.",
        arguments=PagedAgent,
        result=MemoryContext,
        run=read_tool(access, act),
        text=text,
        read_only=True,
        toolsets=THINKING,
    )


def _reading(access: MemoryAccess) -> Tool:
    async def run(call: Call, a: ReadText) -> TextPiece:
        text = await access.read(call.caller, lambda _, reader: read_text(reader, a.uri))
        piece = piece_of(text, a.cursor, PAGE_BYTES)
        return TextPiece(uri=a.uri, text=piece.text, next_cursor=piece.next_cursor)

    return Tool(
        name="memory_read",
        title="Read a text",
        description="Read a memory:// text: an agent, block, passage or message.",
        arguments=ReadText,
        result=TextPiece,
        run=run,
        text=lambda result: with_cursor(result.text, result.next_cursor),
        read_only=True,
        toolsets=BOTH,
    )


def _for_hosts(tool: MemoryTool) -> MemoryTool:
    """The agents' tool with an agent_id before its own arguments, and a bounded result."""

    def run(scope: Scope, arguments: Any) -> BaseModel:
        edited = tool.run(scope, arguments)
        assert isinstance(edited, BlockEdited)  # noqa: S101 - memory_tools() chose these
        where = f"memory_read {block_uri(scope.agent.id, edited.label)}"
        return edited.model_copy(update={"value": shortened(edited.value, PAGE_BYTES, where)})

    # In this order agent_id is the first field.
    bases: Any = (tool.arguments, ChangesAgent)
    texts: Any = {
        name: (field.annotation, Field(field.default, description=_SHORTER.get(name)))
        for name, field in tool.arguments.model_fields.items()
    }
    made = create_model(tool.arguments.__name__, __base__=bases, **texts)
    return replace(tool, arguments=cast("type[Arguments]", made), run=run)


def _writing(access: MemoryAccess, tool: MemoryTool) -> Tool:
    return Tool(
        name=tool.name,
        title=tool.title,
        description=_TOLD.get(tool.name, tool.description),
        arguments=tool.arguments,
        result=tool.result,
        run=write_tool(access, tool.name, tool.result, tool.run),
        text=tool.text,
        destructive=tool.destructive,
        toolsets=_IN_TOOLSETS.get(tool.name, THINKING),
    )


def _deleting(access: MemoryAccess) -> Tool:
    def act(scope: Scope, a: DeletePassage) -> PassageStored:
        gone = archival.delete_passage(scope.transaction, scope.agent, a.passage_id)
        return PassageStored(id=gone.id)

    name = "archival_memory_delete"
    return Tool(
        name=name,
        title="Delete a passage",
        description="Delete a passage that is wrong or no longer wanted.",
        arguments=DeletePassage,
        result=PassageStored,
        run=write_tool(access, name, PassageStored, act),
        text=lambda result: f"Deleted {result.id}.",
        destructive=True,
        idempotent=True,
        toolsets=THINKING,
    )


def new_passage(given: HostPassage, timezone: str) -> NewPassage:
    """A passage to be stored; a time without a zone is the agent's.

    Raises:
        InvalidValue: occurred_at is no time.
    """
    occurred_at = given.occurred_at and parse_moment(given.occurred_at, timezone, "occurred_at")
    return NewPassage(
        text=given.content,
        tags=tuple(given.tags or ()),
        author=given.author,
        source=given.source,
        session=given.session,
        sequence=given.sequence,
        occurred_at=occurred_at or None,
    )


def _insert(scope: Scope, a: HostInsert) -> PassageStored:
    new = new_passage(a, scope.agent.timezone)
    (passage,) = archival.insert_passages(scope.transaction, scope.agent, [new])
    return PassageStored(id=passage.id)
