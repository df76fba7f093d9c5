"""Recall memory: the log of all messages of an agent. It only grows; the log is its own history."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from memory import documents
from memory.errors import UnknownMessage
from memory.limits import check_text
from memory.records import Agent, Message, NewMessage, ToolCall
from memory.terms import indexed_text
from memory.transaction import Change, Reader, Row, Transaction, to_json

SEARCHED_ROLES = ("user", "assistant")
"""What is indexed: what was said. Tool results repeat memory and would find themselves."""


def append_messages(
    transaction: Transaction,
    agent: Agent,
    turn_id: str,
    last_sequence: int,
    messages: Sequence[NewMessage],
) -> list[Message]:
    """Append the messages of a step, in order, and index what was said.

    Args:
        last_sequence: how many messages the agent has so far.

    Raises:
        InvalidValue: a text cannot be stored; nothing was.
    """
    if not messages:
        return []
    docs = [doc for (doc,) in transaction.rows("take_docs", count=len(messages))]
    stored = [
        Message(
            doc=doc,
            id=f"message-{uuid4()}",
            role=new.role,
            content=check_text(new.content, f"the {new.role} message"),
            tool_calls=new.tool_calls,
            tool_call_id=new.tool_call_id and check_text(new.tool_call_id, "tool_call_id"),
            turn_id=turn_id,
            sequence=last_sequence + number,
            created_at=transaction.now,
        )
        for number, (doc, new) in enumerate(zip(docs, messages, strict=True), start=1)
    ]
    transaction.run(
        "insert_messages",
        agent_key=agent.key,
        turn_id=turn_id,
        now=transaction.now_utc,
        rows=to_json([_columns(message) for message in stored]),
    )
    said = [
        (message.doc, indexed_text(message.content, None, None))
        for message in stored
        if message.role in SEARCHED_ROLES and message.content.strip()
    ]
    if said:
        documents.add_documents(transaction, agent.key, said)
    transaction.changes.messages.setdefault(agent.key, []).extend(stored)
    transaction.changes.all.append(Change("message.append", agent.id, stored[-1].id))
    return stored


def window_messages(reader: Reader, agent: Agent, limit: int) -> tuple[Message, ...]:
    """Return the newest messages of the agent's window, oldest first."""
    rows = reader.rows(
        "window_messages", agent_key=agent.key, window_start=agent.window_start, limit=limit
    )
    return tuple(message_of(row) for row in rows)


def turn_messages(reader: Reader, agent: Agent, turn_id: str) -> list[Message]:
    """Return what is stored of a turn, oldest first."""
    return [
        message_of(row)
        for row in reader.rows("turn_messages", agent_key=agent.key, turn_id=turn_id)
    ]


@dataclass(frozen=True, slots=True)
class Span:
    """A part of the log: a half-open range of time (UTC), up to a document that is out."""

    since: datetime | None = None
    until: datetime | None = None
    before_doc: int | None = None


def newest_messages(
    reader: Reader, agent: Agent, roles: Sequence[str], span: Span, limit: int
) -> list[Message]:
    """Return messages of a part of the log, newest first."""
    rows = reader.rows(
        "newest_messages",
        agent_key=agent.key,
        roles=to_json(list(roles)),
        since=span.since and span.since.replace(tzinfo=None),
        until=span.until and span.until.replace(tzinfo=None),
        before_doc=span.before_doc,
        limit=limit,
    )
    return [message_of(row) for row in rows]


def get_message(reader: Reader, agent: Agent, message_id: str) -> Message:
    """Return one message of the agent, or raise UnknownMessage."""
    row = reader.row("message_by_id", agent_key=agent.key, id=message_id)
    if row is None:
        raise UnknownMessage(message_id)
    return message_of(row)


def numbered_message(reader: Reader, agent: Agent, number: int) -> Message:
    """Return the agent's message with this sequence number, or raise UnknownMessage."""
    row = reader.row("message_by_sequence", agent_key=agent.key, sequence=number)
    if row is None:
        raise UnknownMessage(f"number {number}")
    return message_of(row)


def last_sequence(reader: Reader, agent: Agent) -> int:
    """How many messages the agent has."""
    _, last = reader.rows("count_messages", agent_key=agent.key)[0]
    return int(last)


def message_of(row: Row) -> Message:
    """A message from its columns."""
    doc, id_, role, content, calls, call_id, turn_id, sequence, created_at = row
    return Message(
        doc=doc,
        id=id_,
        role=role,
        content=content,
        tool_calls=tuple(ToolCall(**call) for call in json.loads(calls or "[]")),
        tool_call_id=call_id,
        turn_id=turn_id,
        sequence=sequence,
        created_at=created_at.replace(tzinfo=UTC),
    )


def _columns(message: Message) -> dict[str, Any]:
    calls = [
        {"id": call.id, "name": call.name, "arguments": dict(call.arguments)}
        for call in message.tool_calls
    ]
    return {
        "doc": message.doc,
        "id": message.id,
        "role": message.role,
        "content": message.content,
        "tool_calls": to_json(calls) if calls else None,
        "tool_call_id": message.tool_call_id,
        "sequence": message.sequence,
    }
