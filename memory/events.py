"""The journal: every change of memory, who made it, when, why, before and after."""

import json
from datetime import UTC

from memory.records import Event
from memory.transaction import Reader


def list_events(
    reader: Reader, agent_id: str | None = None, after: int = 0, limit: int = 100
) -> list[Event]:
    """Return events in the order they happened, those after a given number."""
    rows = reader.rows("list_events", agent_id=agent_id, after=after, limit=limit)
    return [
        Event(
            number=number,
            happened_at=happened_at.replace(tzinfo=UTC),
            actor=actor,
            reason=reason,
            action=action,
            agent_id=agent,
            subject=subject,
            before=None if before is None else json.loads(before),
            after=None if after_ is None else json.loads(after_),
        )
        for number, happened_at, actor, reason, action, agent, subject, before, after_ in rows
    ]
