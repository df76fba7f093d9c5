"""The search tools for hosts: pages of bounded size, with what a host needs to judge and cite."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Final, Literal, TypeVar

from pydantic import Field

from agent.memory_tools import MemoryTool, Scope
from agent.search_results import (
    MessageFound,
    MessagesFound,
    PassageFound,
    PassagesFound,
    Why,
)
from agent.search_tools import (
    SEARCH_TOOLS,
    ArchivalSearch,
    ConversationSearch,
    Searched,
    Wishes,
    search_archive,
    search_conversation,
)
from memory.neighbours import MAX_STEPS
from server.counted import counted
from server.memory_access import MemoryAccess
from server.memory_tools import DELEGATING, THINKING, ForAgent, read_tool, with_cursor
from server.memory_uris import message_uri, passage_uri
from server.registry import Tool
from server.reply_size import (
    PAGE_BYTES,
    first_of,
    fitting,
    json_bytes,
    prefix_chars,
    shortened,
)

HIT_BYTES: Final = PAGE_BYTES // 2
"""Of one hit's text. Whatever is longer is read by its URI, so that others find room beside it."""

NOTE_BYTES: Final = 600
"""Of an author, a source, a session, and of all tags together: 500 characters of plain text fit."""

BESIDE_BYTES: Final = 1_200
"""Of all texts beside a hit together."""

WHO_BYTES: Final = 60
"""Of the author of one of them."""

_FIELDS_BYTES: Final = 60
"""What surrounds a hit in a reply, beside its values."""

Hit = TypeVar("Hit", PassageFound, MessageFound)


_START: Final = "From then on: 2026-03-01 or 2026-03-01T09:30."
_END: Final = "Through that day or minute."


class HostSearch(ArchivalSearch, ForAgent):
    """Arguments of archival_memory_search for hosts."""

    query: str
    tags: list[str] | None = None
    tag_match_mode: Literal["any", "all"] = "any"
    top_k: int = Field(10, ge=1, le=100)
    start_datetime: str | None = Field(None, description=_START)
    end_datetime: str | None = Field(None, description=_END)
    cursor: str | None = None
    explain: bool = False
    scope: Searched = "archive"
    neighbours: int = Field(0, ge=0, le=MAX_STEPS)


class HostConversationSearch(ConversationSearch, ForAgent):
    """Arguments of conversation_search for hosts."""

    query: str | None = Field(None, description="Without: the newest messages.")
    roles: list[Literal["user", "assistant"]] | None = None
    limit: int = Field(10, ge=1, le=100)
    start_date: str | None = Field(None, description=_START)
    end_date: str | None = Field(None, description=_END)
    cursor: str | None = None
    explain: bool = False
    neighbours: int = Field(0, ge=0, le=MAX_STEPS)


def search_tools(access: MemoryAccess) -> tuple[Tool, ...]:
    """The two searches, in the order hosts list them."""
    passages, messages = SEARCH_TOOLS
    passages = replace(passages, arguments=HostSearch, run=_search_archive, text=_passages_text)
    messages = replace(
        messages,
        arguments=HostConversationSearch,
        run=_search_conversation,
        text=_messages_text,
    )
    return (_tool(access, passages), _tool(access, messages))


def _tool(access: MemoryAccess, tool: MemoryTool) -> Tool:
    return Tool(
        name=tool.name,
        title=tool.title,
        description=tool.description,
        arguments=tool.arguments,
        result=tool.result,
        run=read_tool(access, tool.run),
        text=tool.text,
        read_only=True,
        # A host that thinks leaves no conversation here to search.
        toolsets=DELEGATING if tool.name == "conversation_search" else THINKING,
    )


def _search_archive(scope: Scope, a: HostSearch) -> PassagesFound:
    def shown(hit: PassageFound) -> PassageFound:
        short = _short_passage(hit, _uri(scope, hit.id), _hit_bytes(a.neighbours))
        return _with_short_neighbours(short)

    fits = partial(_fitting, shown, _passage_line)
    wishes = Wishes(a.cursor, a.explain, fits, a.scope, a.neighbours)
    found = search_archive(scope, a, wishes)
    return found.model_copy(update={"results": list(map(shown, found.results))})


def _search_conversation(scope: Scope, a: HostConversationSearch) -> MessagesFound:
    def shown(hit: MessageFound) -> MessageFound:
        where = f"memory_read {_uri(scope, hit.id)}"
        short = shortened(hit.content, _hit_bytes(a.neighbours), where)
        return _with_short_neighbours(hit.model_copy(update={"content": short}))

    fits = partial(_fitting, shown, _message_line)
    wishes = Wishes(a.cursor, a.explain, fits, neighbours=a.neighbours)
    found = search_conversation(scope, a, wishes)
    return found.model_copy(update={"results": list(map(shown, found.results))})


def _uri(scope: Scope, text_id: str) -> str:
    """Where a passage or a message is read whole."""
    uri = message_uri if text_id.startswith("message-") else passage_uri
    return uri(scope.agent.id, text_id)


def _with_short_neighbours(hit: Hit) -> Hit:
    """The hit with the beginnings of what stands beside it; each is read whole by its id."""
    room = BESIDE_BYTES // max(1, len(hit.neighbours))
    short = tuple(
        text.model_copy(
            update={
                "content": _beginning(text.content, room),
                "author": text.author and _beginning(text.author, WHO_BYTES),
            }
        )
        for text in hit.neighbours
    )
    return hit.model_copy(update={"neighbours": short})


def _beginning(text: str, room_bytes: int) -> str:
    kept = prefix_chars(text, room_bytes)
    return text if kept == len(text) else f"{text[:kept]}…"


def _hit_bytes(neighbours: int) -> int:
    """The room of a hit's own text, which leaves some for what stands beside it."""
    return HIT_BYTES // 2 if neighbours else HIT_BYTES


def _fitting(shown: Callable[[Hit], Hit], line: Callable[[Hit], str], hits: Sequence[Hit]) -> int:
    """How many of the hits fit a reply as they are shown; one at least."""
    sizes = [
        json_bytes(hit.model_dump(mode="json")) + json_bytes(line(hit)) + _FIELDS_BYTES
        for hit in map(shown, hits)
    ]
    return fitting(sizes, 2 * PAGE_BYTES)


def _short_passage(hit: PassageFound, uri: str, room_bytes: int) -> PassageFound:
    """The hit with a long text cut, and what is said about it."""
    notes = {"author": hit.author, "source": hit.source, "session": hit.session}
    short = {name: note and note[: prefix_chars(note, NOTE_BYTES)] for name, note in notes.items()}
    return hit.model_copy(
        update={
            "content": shortened(hit.content, room_bytes, f"memory_read {uri}"),
            "tags": first_of(hit.tags, NOTE_BYTES),
            **short,
        }
    )


def _passages_text(found: PassagesFound) -> str:
    return _page_text(found, [_passage_line(hit) for hit in found.results])


def _messages_text(found: MessagesFound) -> str:
    return _page_text(found, [_message_line(hit) for hit in found.results])


def _message_line(hit: MessageFound) -> str:
    return f"[{hit.timestamp}] {hit.role}: {hit.content}{_about(hit)}"


def _passage_line(hit: PassageFound) -> str:
    """A passage with what a host needs to judge, cite or delete it."""
    author = f"{hit.author}: " if hit.author else ""
    known = {"source": hit.source, "session": hit.session, "tags": ", ".join(hit.tags)}
    about = "".join(f"; {name} {value}" for name, value in known.items() if value)
    return f"[{hit.timestamp}] {author}{hit.content} ({hit.id}{about}){_about(hit)}"


def _about(hit: PassageFound | MessageFound) -> str:
    """Why it is a hit, and what stands beside it, each on a line of its own."""
    beside = (
        f"\n  ({text.step:+d}) {f'{text.author}: ' if text.author else ''}{text.content}"
        for text in hit.neighbours
    )
    return _why_text(hit.why) + "".join(beside)


def _why_text(why: Why | None) -> str:
    if why is None:
        return ""
    parts = why.model_dump(exclude_none=True)
    return " | " + ", ".join(f"{part} {_figure(value)}" for part, value in parts.items())


def _figure(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.2f}"


def _page_text(found: PassagesFound | MessagesFound, lines: Sequence[str]) -> str:
    """The hits as text, with what a reader must know about them."""
    notes = []
    if not found.by_meaning:
        notes.append("(found by words only: the embedder is still loading, or there is none)")
    if found.pending_vectors:
        notes.append(
            f"(not embedded yet, so compared by words only: up to"
            f" {counted(found.pending_vectors, 'text')}; search again in a moment)"
        )
    if found.days_meant is not None:
        notes.append(f"({found.days_meant}; texts of then are preferred)")
    listed = [f"- {row}" for row in lines or ["No results found."]]
    return with_cursor("\n".join([*listed, *notes]), found.next_cursor)
