"""Archival memory: passages in an archive. A passage is never changed, only inserted or deleted."""

from collections.abc import Sequence
from dataclasses import replace as with_changes
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from memory import documents
from memory.errors import UnknownPassage
from memory.limits import MAX_NAME_CHARS, check_filled, check_tags, check_text
from memory.records import Agent, NewPassage, Passage
from memory.terms import indexed_text
from memory.transaction import Pending, Reader, Row, Transaction, to_json


def insert_passages(
    transaction: Transaction, agent: Agent, passages: Sequence[NewPassage]
) -> list[Passage]:
    """Archive passages for an agent; they are found by keyword as soon as this is committed.

    Raises:
        InvalidValue: a text is empty, too long or no valid text; nothing was stored.
    """
    checked = [_checked(new) for new in passages]
    docs = [doc for (doc,) in transaction.rows("take_docs", count=len(checked))]
    stored = [_insert(transaction, agent, doc, new) for doc, new in zip(docs, checked, strict=True)]
    indexed = [(p.doc, indexed_text(p.text, p.author, p.occurred_at)) for p in stored]
    documents.add_documents(transaction, agent.archive_key, indexed)
    transaction.changes.to_embed += [Pending(agent.archive_key, doc, text) for doc, text in indexed]
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


def describe(passage: Passage) -> dict[str, Any]:
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


def _insert(transaction: Transaction, agent: Agent, doc: int, new: NewPassage) -> Passage:
    sequence = new.sequence
    if new.session is not None and sequence is None:
        last = transaction.value(
            "last_sequence", archive_key=agent.archive_key, session=new.session
        )
        sequence = int(last) + 1
    passage = Passage(
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
    columns = describe(passage)
    transaction.run(
        "insert_passage",
        **{
            **columns,
            "tags": to_json(columns["tags"]),
            "occurred_at": _naive_utc(new.occurred_at),
        },
        doc=doc,
        id=passage.id,
        archive_key=agent.archive_key,
        now=transaction.now_utc,
    )
    transaction.record("passage.insert", passage.id, agent.id, after=columns)
    return passage


def _checked(new: NewPassage) -> NewPassage:
    check_filled(new.text, "the passage")
    for field in ("author", "source", "session"):
        value = getattr(new, field)
        if value is not None:
            check_text(value, field, MAX_NAME_CHARS * 5)
    return with_changes(new, tags=check_tags(new.tags))


def _naive_utc(moment: datetime | None) -> datetime | None:
    return moment and moment.astimezone(UTC).replace(tzinfo=None)
