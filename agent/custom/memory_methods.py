"""The memory of an agent, as a tool may ask for it while it runs.

The agent is bound on our side and is no argument. A tool sees its own writes at once, checked as
the model's own are; memory gets them when the call has ended well, all of them or none
(buffered_writes.py). What the tool is told is only what it was granted to ask.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import anyio
import anyio.to_thread
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agent.custom.buffered_writes import Append, Edit, Insert, Replace, find, with_edits
from agent.memory_tools import Scope
from agent.search_tools import (
    ArchivalSearch,
    ConversationSearch,
    search_archive,
    search_conversation,
)
from memory import archival, core_memory, recall
from memory.errors import MemoryStoreError
from memory.limits import check_filled, check_tags
from memory.records import Agent, Block, NewPassage
from memory.store import MemoryStore
from memory.terms import terms
from sandbox.protocol import Method, MethodRefused

MAX_FOUND_CHARS = 200_000
"""Of all that one search returns: less than a frame holds."""


class _Asked(BaseModel):
    """Base: unknown keys are refused, and a number is no text."""

    model_config = ConfigDict(extra="forbid", strict=True, defer_build=True)


class ReadBlock(_Asked):
    """Arguments of memory.read_block."""

    label: str


class SearchMemory(_Asked):
    """Arguments of memory.search. tags: of passages. limit: of each kind."""

    query: str
    limit: int = Field(10, ge=1, le=100)
    where: Literal["everywhere", "archive", "conversation"] = "everywhere"
    tags: list[str] | None = None


class AppendToBlock(_Asked):
    """Arguments of memory.append."""

    label: str
    content: str


class ReplaceInBlock(_Asked):
    """Arguments of memory.replace; every occurrence is replaced."""

    label: str
    old: str
    new: str


class InsertIntoBlock(_Asked):
    """Arguments of memory.insert. line: 0 is the top, -1 the end."""

    label: str
    text: str
    line: int = -1


class ArchiveText(_Asked):
    """Arguments of memory.archive."""

    content: str
    tags: list[str] | None = None


@dataclass(slots=True)
class MemoryMethods:
    """What one call may ask, and what it wrote so far.

    run_id: of the run that calls, whose own messages are not found; empty: a host calls.
    """

    store: MemoryStore
    agent: Agent
    run_id: str = ""
    _edits: list[Edit] = field(default_factory=list)
    _passages: list[NewPassage] = field(default_factory=list)
    _lock: anyio.Lock = field(default_factory=anyio.Lock)

    def granted(self, names: Collection[str]) -> dict[str, Method]:
        """The methods of these names."""
        return {name: partial(self._answer, name) for name in METHODS if name in names}

    @property
    def commit(self) -> Callable[[Scope], None] | None:
        """Writes what the tool wrote, checked against the memory of then; None: it wrote nothing.

        Raises:
            MemoryStoreError: it cannot be written, or not any more; then nothing is.
        """
        if not self._edits and not self._passages:
            return None
        return partial(_commit, tuple(self._edits), tuple(self._passages))

    async def _answer(self, name: str, arguments: Mapping[str, Any]) -> Any:
        model, answer = METHODS[name]
        try:
            asked = model.model_validate(dict(arguments))
        except ValidationError as error:
            takes = ", ".join(model.model_fields)
            raise MethodRefused(f"{_problems(error)}; {name} takes {takes}") from None
        try:
            async with self._lock:  # a tool may ask from several threads
                return await anyio.to_thread.run_sync(answer, self, asked)
        except MemoryStoreError as error:
            raise MethodRefused(str(error)) from None

    def _blocks(self) -> tuple[Block, ...]:
        """As they are now, with what the tool wrote."""
        held = self.store.agent_state(self.agent.id).blocks
        return with_edits(self.agent.name, held, self._edits)

    def _block(self, label: str) -> Block:
        return find(self.agent.name, self._blocks(), label)

    def _edit(self, edit: Edit) -> str:
        """Make an edit, or refuse it; says how the block is then."""
        made = with_edits(self.agent.name, self._blocks(), [edit])
        self._edits.append(edit)
        return find(self.agent.name, made, edit.label).value

    def _read_block(self, a: ReadBlock) -> str:
        return self._block(a.label).value

    def _append(self, a: AppendToBlock) -> str:
        return self._edit(Append.to(self._block(a.label), a.content))

    def _replace(self, a: ReplaceInBlock) -> str:
        return self._edit(Replace.to(self._block(a.label), a.old, a.new))

    def _insert(self, a: InsertIntoBlock) -> str:
        return self._edit(Insert.to(self._block(a.label), a.text, a.line))

    def _archive(self, a: ArchiveText) -> None:
        text = check_filled(a.content, "the passage")
        self._passages.append(NewPassage(text, check_tags(a.tags or ())))

    def _search(self, a: SearchMemory) -> list[dict[str, Any]]:
        agent = self.store.agent_state(self.agent.id).agent
        found = list[dict[str, Any]]()
        with self.store.read() as reader:
            scope = Scope(self.store, reader, agent, self._before_doc(agent))
            if a.where != "conversation":
                query = ArchivalSearch(query=a.query, top_k=a.limit, tags=a.tags)
                stored = search_archive(scope, query).results
                found += self._own_passages(a)
                found += [
                    {"where": "archive"} | hit.model_dump(include={"content", "timestamp", "tags"})
                    for hit in stored
                ]
            if a.where != "archive":
                said = ConversationSearch(query=a.query, limit=a.limit)
                found += [
                    {"where": "conversation"}
                    | hit.model_dump(include={"role", "content", "timestamp"})
                    for hit in search_conversation(scope, said).results
                ]
        return _bounded(found)

    def _own_passages(self, a: SearchMemory) -> list[dict[str, Any]]:
        """Passages of this call, which no index knows yet, that hold one of the words."""
        wanted, tags = set(terms(a.query)), set(a.tags or ())
        return [
            {"where": "archive", "content": new.text, "timestamp": None, "tags": list(new.tags)}
            for new in self._passages
            if wanted & set(terms(new.text)) and (not tags or tags & set(new.tags))
        ][: a.limit]

    def _before_doc(self, agent: Agent) -> int | None:
        if not self.run_id:
            return None
        with self.store.read() as reader:
            stored = recall.turn_messages(reader, agent, self.run_id)
        return stored[0].doc if stored else None


METHODS: Mapping[str, tuple[type[_Asked], Callable[[MemoryMethods, Any], Any]]] = {
    "memory.read_block": (ReadBlock, MemoryMethods._read_block),
    "memory.search": (SearchMemory, MemoryMethods._search),
    "memory.append": (AppendToBlock, MemoryMethods._append),
    "memory.replace": (ReplaceInBlock, MemoryMethods._replace),
    "memory.insert": (InsertIntoBlock, MemoryMethods._insert),
    "memory.archive": (ArchiveText, MemoryMethods._archive),
}
"""What can be granted, by name."""


def _commit(edits: Sequence[Edit], passages: Sequence[NewPassage], scope: Scope) -> None:
    # Everything is checked before anything is written: a refused call stays in its transaction.
    name = scope.agent.name
    held = core_memory.list_blocks(scope.transaction, scope.agent)
    with_edits(name, held, edits)
    archival.insert_passages(scope.transaction, scope.agent, passages)
    core_memory.edit_blocks(
        scope.transaction, scope.agent, lambda before: with_edits(name, before, edits)
    )


def _bounded(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """As many as fit into an answer, one at least, cut where even one does not."""
    kept, room = list[dict[str, Any]](), MAX_FOUND_CHARS
    for hit in found:
        if room <= 0:
            break
        kept.append(hit | {"content": hit["content"][:room]})
        room -= len(hit["content"])
    return kept


def _problems(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(map(str, problem['loc'])) or 'arguments'}: {problem['msg']}"
        for problem in error.errors(include_url=False, include_input=False)
    )[:1_000]
