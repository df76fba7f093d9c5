"""The search tools over archival and recall memory, under Letta's names."""

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import Field, WithJsonSchema

from agent.memory_tools import Arguments, MemoryTool, Result, Scope
from memory import recall
from memory.dates import parse_range
from memory.errors import InvalidValue
from memory.fusion import Ranked
from memory.limits import check_tags
from memory.records import Agent, Message
from memory.search import Query

if TYPE_CHECKING:  # hosts list the tools before DuckDB is imported
    from memory.store import PassageHit

Start = "Only from this date on, inclusive: 2026-03-01 or 2026-03-01T09:30."
End = "Only up to this date, inclusive: 2026-03-31 means to the end of that day."


class Why(Result):
    """Why a hit is a hit: keyword to question sum up to the score by which hits are ranked.

    keyword and vector compare it and its neighbours (.._in_context) with the other candidates; bm25
    and cosine are the text's own; .._rank is its place in that search, if it was found there.
    """

    score: float
    keyword: float
    vector: float
    author: float
    date: float
    session: float
    question: float
    bm25: float
    cosine: float | None
    bm25_in_context: float
    cosine_in_context: float | None
    keyword_rank: int | None
    vector_rank: int | None
    rerank: float | None


# Hosts read the schema of every result with every prompt; what these numbers are, few will ask.
Explained = Annotated[Why | None, WithJsonSchema({"anyOf": [{"type": "object"}, {"type": "null"}]})]


class PassageFound(Result):
    """A passage of the archive."""

    id: str
    content: str
    timestamp: str
    tags: list[str]
    author: str | None = None
    source: str | None = None
    session: str | None = None
    why: Explained = None


class PassagesFound(Result):
    """Passages, best first. by_meaning is false when only words could be compared.

    pending_vectors: texts, at most, that are not embedded yet and were compared by words only.
    """

    results: list[PassageFound]
    next_cursor: str | None = None
    by_meaning: bool = True
    pending_vectors: int = 0


class MessageFound(Result):
    """A message of the conversation."""

    id: str
    role: str
    content: str
    timestamp: str
    why: Explained = None


class MessagesFound(Result):
    """Messages: best first, or newest first without a query."""

    results: list[MessageFound]
    next_cursor: str | None = None
    by_meaning: bool = True
    pending_vectors: int = 0


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


def search_archive(
    scope: Scope,
    a: ArchivalSearch,
    cursor: str | None = None,
    explain: bool = False,
    fits: Fits = len,
) -> PassagesFound:
    """Search the agent's archive; explain adds the parts of each score."""
    since, until = parse_range(a.start_datetime, a.end_datetime, scope.agent.timezone)
    tags = check_tags(a.tags or ())
    query = Query(
        collection=scope.agent.archive_key,
        text=a.query,
        limit=a.top_k,
        cursor=cursor,
        tags_any=tags if a.tag_match_mode == "any" else (),
        tags_all=tags if a.tag_match_mode == "all" else (),
        since=since,
        until=until,
        timezone=scope.agent.timezone,
    )
    hits, page = scope.store.search_passages(scope.reader, query)
    results = [_passage(scope.agent, hit, explain) for hit in hits]
    count = fits(results)
    return PassagesFound(
        results=results[:count],
        next_cursor=page.next_cursor if count == len(results) else page.cursors[count - 1],
        by_meaning=page.by_meaning,
        pending_vectors=page.pending,
    )


def search_conversation(
    scope: Scope,
    a: ConversationSearch,
    cursor: str | None = None,
    explain: bool = False,
    fits: Fits = len,
) -> MessagesFound:
    """Search the agent's messages, or list the newest when there is no query."""
    since, until = parse_range(a.start_date, a.end_date, scope.agent.timezone)
    if a.query is None:
        return _newest(scope, a, recall.Span(since, until, scope.before_doc), cursor, fits)
    query = Query(
        collection=scope.agent.key,
        text=a.query,
        limit=a.limit,
        cursor=cursor,
        roles=tuple(a.roles or ()),
        since=since,
        until=until,
        before_doc=scope.before_doc,
        timezone=scope.agent.timezone,
    )
    hits, page = scope.store.search_messages(scope.reader, query)
    results = [_message(scope.agent, h.message, h.why if explain else None) for h in hits]
    count = fits(results)
    return MessagesFound(
        results=results[:count],
        next_cursor=page.next_cursor if count == len(results) else page.cursors[count - 1],
        by_meaning=page.by_meaning,
        pending_vectors=page.pending,
    )


def _newest(
    scope: Scope, a: ConversationSearch, span: recall.Span, cursor: str | None, fits: Fits
) -> MessagesFound:
    """The newest messages before the turn that is searching, or before those of the last page."""
    if cursor is not None:
        if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 19):
            raise InvalidValue(
                f"{cursor[:40]!a} continues no list of the newest messages; start without one, or"
                " give the query that it belongs to"
            )
        span = replace(span, before_doc=int(cursor))
    roles = a.roles or recall.SEARCHED_ROLES
    found = recall.newest_messages(scope.reader, scope.agent, roles, span, a.limit + 1)
    results = [_message(scope.agent, message, None) for message in found[: a.limit]]
    count = fits(results)
    return MessagesFound(
        results=results[:count],
        next_cursor=str(found[count - 1].doc) if len(found) > count else None,
    )


def _passage(agent: Agent, hit: "PassageHit", explain: bool) -> PassageFound:
    passage = hit.passage
    return PassageFound(
        id=passage.id,
        content=passage.text,
        timestamp=passage.dated.astimezone(ZoneInfo(agent.timezone)).isoformat("T", "seconds"),
        tags=list(passage.tags),
        author=passage.author,
        source=passage.source,
        session=passage.session,
        why=_why(hit.why) if explain else None,
    )


def _message(agent: Agent, message: Message, why: Ranked | None) -> MessageFound:
    return MessageFound(
        id=message.id,
        role=message.role,
        content=message.content,
        timestamp=message.created_at.astimezone(ZoneInfo(agent.timezone)).isoformat("T", "seconds"),
        why=_why(why) if why else None,
    )


def _why(ranked: Ranked) -> Why:
    found, trace = ranked.found, ranked.found.text.trace
    known = {
        "bm25": ranked.bm25,
        "cosine": ranked.cosine,
        "bm25_in_context": found.bm25_in_context,
        "cosine_in_context": found.cosine_in_context,
        "keyword_rank": trace.keyword_rank,
        "vector_rank": trace.vector_rank,
        **{field.name: getattr(ranked, field.name) for field in fields(ranked)},
    }
    parts = {part: known[part] for part in Why.model_fields}
    return Why(**{part: value and round(value, 4) for part, value in parts.items()})


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
