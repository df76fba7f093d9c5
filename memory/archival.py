"""Archival memory: passages in an archive. A passage is never changed, only inserted or deleted."""

from collections.abc import Sequence
from dataclasses import replace as with_changes
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from memory import documents
from memory.errors import InvalidValue, UnknownPassage
from memory.limits import check_filled, check_note, check_tags
from memory.records import Agent, NewPassage, Passage
from memory.terms import indexed_text
from memory.transaction import Reader, Row, Transaction, to_json

MAX_SEQUENCE = 2**31
"""What an INTEGER column holds."""


def insert_passages(
    transaction: Transaction, agent: Agent, passages: Sequence[NewPassage]
) -> list[Passage]:
    """Archive passages for an agent; they are found by keyword as soon as this is committed.

    Raises:
        InvalidValue: a text is empty, too long or no valid text; nothing was stored.
    """
    checked = [check_passage(new) for new in passages]
    if not checked:
        return []
    stored = _placed(transaction, agent, checked)
    transaction.run(
        "insert_passages",
        archive_key=agent.archive_key,
        now=transaction.now_utc,
        rows=to_json([{"doc": p.doc, "id": p.id, **columns_of(p)} for p in stored]),
    )
    transaction.record_all("passage.insert", agent.id, [(p.id, None, describe(p)) for p in stored])
    indexed = [(p.doc, indexed_text(p.text, p.author, p.occurred_at)) for p in stored]
    documents.add_documents(transaction, agent.archive_key, indexed)
    return stored


def get_passage(reader: Reader, agent: Agent, passage_id: str) -> Passage:
    """Return one passage of the agent's archive, or raise UnknownPassage."""
    row = reader.row("passage_by_id", archive_key=agent.archive_key, id=passage_id)
    if row is None:
        raise UnknownPassage(passage_id)
    return passage_of(row)


def delete_passage(transaction: Transaction, agent: Agent, passage_id: str) -> Passage:
    """Delete a passage; its event keeps the text.

    Raises:
        UnknownPassage: the agent's archive has none with this id.
    """
    passage = get_passage(transaction, agent, passage_id)
    transaction.run("delete_passage", doc=passage.doc)
    documents.remove_document(transaction, agent.archive_key, passage.doc)
    transaction.record("passage.delete", passage.id, agent.id, before=describe(passage))
    return passage


def passage_of(row: Row) -> Passage:
    """A passage from its columns."""
    doc, id_, text, tags, author, source, session, sequence, occurred_at, created_at = row
    return Passage(
        doc=doc,
        id=id_,
        text=text,
        tags=tuple(tags),
        author=author,
        source=source,
        session=session,
        sequence=sequence,
        occurred_at=occurred_at and occurred_at.replace(tzinfo=UTC),
        created_at=created_at.replace(tzinfo=UTC),
    )


def describe(passage: Passage | NewPassage) -> dict[str, Any]:
    """A passage as events keep it: whole, so that a deletion can be undone."""
    return {
        "text": passage.text,
        "tags": list(passage.tags),
        "author": passage.author,
        "source": passage.source,
        "session": passage.session,
        "sequence": passage.sequence,
        "occurred_at": passage.occurred_at and passage.occurred_at.isoformat(),
    }


def _placed(transaction: Transaction, agent: Agent, checked: Sequence[NewPassage]) -> list[Passage]:
    """The passages as they are to be stored, each with its place in its session."""
    docs = [doc for (doc,) in transaction.rows("take_docs", count=len(checked))]
    last: dict[str, int] = {}
    for session in {new.session for new in checked if new.session is not None}:
        last[session] = int(
            transaction.value("last_sequence", archive_key=agent.archive_key, session=session)
        )
    stored = []
    for doc, new in zip(docs, checked, strict=True):
        sequence = new.sequence
        if new.session is not None:
            sequence = last[new.session] + 1 if sequence is None else sequence
            last[new.session] = max(last[new.session], sequence)
        stored.append(
            Passage(
                doc=doc,
                id=f"passage-{uuid4()}",
                text=new.text,
                tags=new.tags,
                author=new.author,
                source=new.source,
                session=new.session,
                sequence=sequence,
                occurred_at=new.occurred_at,
                created_at=transaction.now,
            )
        )
    return stored


def columns_of(passage: Passage | NewPassage) -> dict[str, Any]:
    """What a passage says, as its columns take it from JSON."""
    happened = passage.occurred_at and passage.occurred_at.replace(tzinfo=None).isoformat()
    return {**describe(passage), "occurred_at": happened}


def check_passage(new: NewPassage, place: int | None = None) -> NewPassage:
    """A passage as it is stored: blank notes are none, tags without repeats, times in UTC.

    Args:
        place: its number among several, from 1, for the message.

    Raises:
        InvalidValue: it cannot be stored.
    """
    try:
        return _checked(new)
    except InvalidValue as error:
        if place is None:
            raise
        raise InvalidValue(f"passage {place}: {error}") from None


def _checked(new: NewPassage) -> NewPassage:
    check_filled(new.text, "the passage")
    if new.sequence is not None and not 0 <= new.sequence < MAX_SEQUENCE:
        raise InvalidValue(f"sequence {new.sequence} is outside 0 to {MAX_SEQUENCE - 1}")
    return with_changes(
        new,
        tags=check_tags(new.tags),
        author=check_note(new.author, "author"),
        source=check_note(new.source, "source"),
        session=check_note(new.session, "session"),
        occurred_at=new.occurred_at and _utc(new.occurred_at),
    )


def _utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise InvalidValue(f"occurred_at {moment} has no time zone; add one, such as +00:00")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise InvalidValue(f"occurred_at {moment} is outside the years 1 to 9999 in UTC") from None
