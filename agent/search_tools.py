"""The search tools over archival and recall memory, under Letta's names."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from pydantic import Field

from agent.memory_tools import Arguments, MemoryTool, Scope
from agent.search_results import (
    MessagesFound,
    PassagesFound,
    beside,
    days_meant,
    message_as_passage,
    message_found,
    passage_found,
)
from memory import recall
from memory.dates import parse_range
from memory.errors import InvalidValue
from memory.limits import check_tags
from memory.neighbours import messages_around, passages_around
from memory.records import Message, Passage
from memory.search_pages import MessageHit, Page, PassageHit, Query

Start = "Only from this date on, inclusive: 2026-03-01 or 2026-03-01T09:30."
End = "Only up to this date, inclusive: 2026-03-31 means to the end of that day."


class ArchivalSearch(Arguments):
    """Arguments of archival_memory_search."""

    query: str = Field(description="What to look for, as a question or key words.")
    tags: list[str] | None = Field(None, description="Only passages with these tags.")
    tag_match_mode: Literal["any", "all"] = Field("any", description="Any of the tags, or all.")
    top_k: int = Field(10, ge=1, le=100, description="How many results at most.")
    start_datetime: str | None = Field(None, description=Start)
    end_datetime: str | None = Field(None, description=End)


class ConversationSearch(Arguments):
    """Arguments of conversation_search."""

    query: str | None = Field(None, description="What to look for; leave out for the newest.")
    roles: list[Literal["user", "assistant"]] | None = Field(None, description="Who said it.")
    limit: int = Field(10, ge=1, le=100, description="How many results at most.")
    start_date: str | None = Field(None, description=Start)
    end_date: str | None = Field(None, description=End)


Fits = Callable[[Sequence[Any]], int]
"""How many of the hits the reply has room for, one at least; the others are on the next page."""

Searched = Literal["archive", "recall", "both"]


@dataclass(frozen=True, slots=True)
class Wishes:
    """What only hosts may ask of a search: where to go on, and what is to be told of each hit.

    explain: the parts of each score. searched: instead of the archive. neighbours: how many texts
    before and after each hit are shown with it.
    """

    cursor: str | None = None
    explain: bool = False
    fits: Fits = len
    searched: Searched = "archive"
    neighbours: int = 0


NO_WISHES = Wishes()


def search_archive(scope: Scope, a: ArchivalSearch, wishes: Wishes = NO_WISHES) -> PassagesFound:
    """Search the agent's archive, or what else of its memory is wished for."""
    since, until = parse_range(a.start_datetime, a.end_datetime, scope.agent.timezone)
    tags = check_tags(a.tags or ())
    query = Query(
        collection=scope.agent.archive_key,
        text=a.query,
        limit=a.top_k,
        cursor=wishes.cursor,
        tags_any=tags if a.tag_match_mode == "any" else (),
        tags_all=tags if a.tag_match_mode == "all" else (),
        since=since,
        until=until,
        before_doc=scope.before_doc if wishes.searched != "archive" else None,
        timezone=scope.agent.timezone,
    )
    hits, page = _searched(scope, query, wishes.searched)
    passages = [hit.passage for hit in hits if isinstance(hit, PassageHit)]
    messages = [hit.message for hit in hits if isinstance(hit, MessageHit)]
    around: dict[int, Mapping[int, Passage | Message]] = {}
    if wishes.neighbours:
        around |= passages_around(scope.reader, scope.agent, passages, wishes.neighbours)
        around |= messages_around(scope.reader, scope.agent, messages, wishes.neighbours)
    results = []
    for hit in hits:
        why = hit.why if wishes.explain else None
        found = (
            passage_found(scope.agent, hit.passage, why)
            if isinstance(hit, PassageHit)
            else message_as_passage(scope.agent, hit.message, why)
        )
        found.neighbours = beside(around.get(hit.why.doc, {}))
        results.append(found)
    count = wishes.fits(results)
    return PassagesFound(
        results=results[:count],
        next_cursor=page.next_cursor if count == len(results) else page.cursors[count - 1],
        by_meaning=page.by_meaning,
        pending_vectors=page.pending,
        days_meant=days_meant(page.meant),
    )


def search_conversation(
    scope: Scope, a: ConversationSearch, wishes: Wishes = NO_WISHES
) -> MessagesFound:
    """Search the agent's messages, or list the newest when there is no query."""
    since, until = parse_range(a.start_date, a.end_date, scope.agent.timezone)
    if a.query is None:
        return _newest(scope, a, recall.Span(since, until, scope.before_doc), wishes)
    query = Query(
        collection=scope.agent.key,
        text=a.query,
        limit=a.limit,
        cursor=wishes.cursor,
        roles=tuple(a.roles or ()),
        since=since,
        until=until,
        before_doc=scope.before_doc,
        timezone=scope.agent.timezone,
    )
    hits, page = scope.store.search_messages(scope.reader, query)
    around: Mapping[int, Mapping[int, Message]] = {}
    if wishes.neighbours:
        messages = [hit.message for hit in hits]
        around = messages_around(scope.reader, scope.agent, messages, wishes.neighbours)
    results = []
    for hit in hits:
        found = message_found(scope.agent, hit.message, hit.why if wishes.explain else None)
        found.neighbours = beside(around.get(hit.why.doc, {}))
        results.append(found)
    count = wishes.fits(results)
    return MessagesFound(
        results=results[:count],
        next_cursor=page.next_cursor if count == len(results) else page.cursors[count - 1],
        by_meaning=page.by_meaning,
        pending_vectors=page.pending,
        days_meant=days_meant(page.meant),
    )


def _searched(
    scope: Scope, query: Query, searched: Searched
) -> tuple[Sequence["PassageHit | MessageHit"], Page]:
    """The hits of a search in the archive, in the conversation, or in both."""
    if searched == "both":
        return scope.store.search_both(scope.reader, query, scope.agent)
    if searched == "recall":
        said = replace(query, collection=scope.agent.key)
        return scope.store.search_messages(scope.reader, said)
    return scope.store.search_passages(scope.reader, query)


def _newest(
    scope: Scope, a: ConversationSearch, span: recall.Span, wishes: Wishes
) -> MessagesFound:
    """The newest messages before the turn that is searching, or before those of the last page."""
    cursor = wishes.cursor
    if cursor is not None:
        if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 19):
            raise InvalidValue(
                f"{cursor[:40]!a} continues no list of the newest messages; start without one, or"
                " give the query that it belongs to"
            )
        span = replace(span, before_doc=int(cursor))
    roles = a.roles or recall.SEARCHED_ROLES
    found = recall.newest_messages(scope.reader, scope.agent, roles, span, a.limit + 1)
    results = [message_found(scope.agent, message, None) for message in found[: a.limit]]
    count = wishes.fits(results)
    return MessagesFound(
        results=results[:count],
        next_cursor=str(found[count - 1].doc) if len(found) > count else None,
    )


def _passages_text(found: PassagesFound) -> str:
    return _lines([f"[{r.timestamp[:10]}] {r.content}" for r in found.results])


def _messages_text(found: MessagesFound) -> str:
    return _lines([f"[{r.timestamp[:10]}] {r.role}: {r.content}" for r in found.results])


def _lines(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines) if lines else "No results found."


SEARCH_TOOLS = (
    MemoryTool(
        name="archival_memory_search",
        title="Search the archive",
        description="Search archival memory by meaning and by words.",
        arguments=ArchivalSearch,
        result=PassagesFound,
        run=search_archive,
        text=_passages_text,
        writes=False,
    ),
    MemoryTool(
        name="conversation_search",
        title="Search the conversation",
        description="Search everything said in earlier conversations.",
        arguments=ConversationSearch,
        result=MessagesFound,
        run=search_conversation,
        text=_messages_text,
        writes=False,
    ),
)
