"""What a search of memory returns: hits, where they come from, why, and what stands beside them.

The searches themselves are in search_tools.py; hosts get these as data, agents as text.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo

from pydantic import WithJsonSchema
from pydantic.json_schema import SkipJsonSchema

from agent.memory_tools import Result
from memory.records import Agent, Message, Passage
from memory.search_pages import MeantDays

if TYPE_CHECKING:  # hosts list the tools before DuckDB and numpy are imported
    from datetime import datetime

    from memory.fusion import Ranked


class Why(Result):
    """Why a hit is a hit: keyword to question sum up to the score by which hits are ranked.

    keyword and vector compare it and its neighbours (.._in_context) with the other candidates; bm25
    and cosine are the text's own; .._rank is its place in that search, if it was found there.
    """

    score: float
    keyword: float
    vector: float
    author: float
    subject: float
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


class Beside(Result):
    """A text that stands beside a hit: `step` -1 is the one before it, 1 the one after it."""

    step: int
    id: str
    content: str
    author: str | None = None


# Hosts read the schema of every result with every prompt: what is in these, few will ask, and that
# a note is a text or null is not worth 45 bytes for each. A schema that says nothing at all is one
# that some hosts do not take.
Explained = Annotated[Why | None, WithJsonSchema({"minProperties": 0})]
Neighbours = Annotated[tuple[Beside, ...], WithJsonSchema({"type": "array"})]
Note = Annotated[str | None, WithJsonSchema({"minLength": 0})]
DaysMeant = SkipJsonSchema[str | None]

SHOWN_CHARS = 60
"""Of a date as it was written, and of the text that tells of its event."""


class PassageFound(Result):
    """A passage of the archive; or a message, whose author is its role and whose session its turn.

    neighbours: only if they were asked for.
    """

    id: str
    content: str
    timestamp: str
    tags: list[str]
    author: Note = None
    source: Note = None
    session: Note = None
    why: Explained = None
    neighbours: Neighbours = ()


class PassagesFound(Result):
    """Passages, best first. by_meaning is false when only words could be compared.

    pending_vectors: texts, at most, that are not embedded yet and were compared by words only.
    days_meant: what "two weeks before the wedding" was taken for, and because of which text.
    """

    results: list[PassageFound]
    next_cursor: str | None = None
    by_meaning: bool = True
    pending_vectors: int = 0
    days_meant: DaysMeant = None


class MessageFound(Result):
    """A message of the conversation."""

    id: str
    role: str
    content: str
    timestamp: str
    why: Explained = None
    neighbours: Neighbours = ()


class MessagesFound(Result):
    """Messages: best first, or newest first without a query."""

    results: list[MessageFound]
    next_cursor: str | None = None
    by_meaning: bool = True
    pending_vectors: int = 0
    days_meant: DaysMeant = None


def passage_found(agent: Agent, passage: Passage, why: "Ranked | None") -> PassageFound:
    """A passage as a result, in the agent's time zone."""
    return PassageFound(
        id=passage.id,
        content=passage.text,
        timestamp=_local(agent, passage.dated),
        tags=list(passage.tags),
        author=passage.author,
        source=passage.source,
        session=passage.session,
        why=_why(why) if why else None,
    )


def message_found(agent: Agent, message: Message, why: "Ranked | None") -> MessageFound:
    """A message as a result, in the agent's time zone."""
    return MessageFound(
        id=message.id,
        role=message.role,
        content=message.content,
        timestamp=_local(agent, message.created_at),
        why=_why(why) if why else None,
    )


def message_as_passage(agent: Agent, message: Message, why: "Ranked | None") -> PassageFound:
    """A message among passages: its role is its author, its turn the session."""
    found = message_found(agent, message, why)
    return PassageFound(
        id=found.id,
        content=found.content,
        timestamp=found.timestamp,
        tags=[],
        author=found.role,
        session=message.turn_id,
        why=found.why,
    )


def days_meant(meant: MeantDays | None) -> str | None:
    """How a date was read that the query counts from something else, and because of which text."""
    if meant is None:
        return None
    days = " or ".join(
        str(span.first) if span.first == span.last else f"{span.first} to {span.last}"
        for span in meant.days
    )
    because = f", by “{_short(meant.events[0])}”" if meant.events else ""
    return f"“{_short(meant.written)}” is {days}{because}"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SHOWN_CHARS else f"{line[:SHOWN_CHARS]}…"


def beside(around: Mapping[int, Passage | Message]) -> tuple[Beside, ...]:
    """Neighbours as results, in order; `around` has them by step."""
    return tuple(
        Beside(step=step, id=text.id, content=text.text, author=text.author)
        if isinstance(text, Passage)
        else Beside(step=step, id=text.id, content=text.content, author=text.role)
        for step, text in sorted(around.items())
    )


def _local(agent: Agent, moment: "datetime") -> str:
    return moment.astimezone(ZoneInfo(agent.timezone)).isoformat("T", "seconds")


def _why(ranked: "Ranked") -> Why:
    parts = {part: getattr(ranked, part) for part in Why.model_fields}
    return Why(**{part: value and round(value, 4) for part, value in parts.items()})
