"""The texts before and after a hit, for whoever wants to read on around it.

For the ranking, which has neighbours of its own, see surroundings.py and gathering.py.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from memory.archival import passage_of
from memory.recall import SEARCHED_ROLES, message_of
from memory.records import Agent, Message, Passage
from memory.transaction import Reader, to_json

MAX_STEPS = 5

_NUMBERS_PER_STEP = 4
"""The calls of a tool and its results may stand between two messages that were said."""

T = TypeVar("T", Passage, Message)

Around = Mapping[int, Mapping[int, T]]
"""By the document of a hit: its neighbours by the steps to them, -1 for the one before it."""


def passages_around(
    reader: Reader, agent: Agent, passages: Iterable[Passage], steps: int
) -> Around[Passage]:
    """The passages of the same session up to some steps before and after each passage."""
    places = {p.doc: p.sequence for p in passages if p.sequence is not None and p.session}
    rows = reader.rows(
        "passages_beside",
        archive_key=agent.archive_key,
        docs=to_json(list(places)),
        steps=2 * steps,  # a deleted one leaves a gap
    )
    return _around(places, [(hit, passage_of(tuple(row))) for hit, *row in rows], steps)


def messages_around(
    reader: Reader, agent: Agent, messages: Iterable[Message], steps: int
) -> Around[Message]:
    """What user and assistant said up to some steps before and after each message."""
    places = {message.doc: message.sequence for message in messages}
    rows = reader.rows(
        "messages_beside",
        agent_key=agent.key,
        docs=to_json(list(places)),
        roles=to_json(list(SEARCHED_ROLES)),
        steps=_NUMBERS_PER_STEP * steps,
    )
    return _around(places, [(hit, message_of(tuple(row))) for hit, *row in rows], steps)


def _around(
    places: Mapping[int, int], pairs: Sequence[tuple[int, T]], steps: int
) -> dict[int, dict[int, T]]:
    """The nearest on both sides of each hit, from pairs of a hit and a text beside it, in order."""
    found: dict[int, dict[int, T]] = {}
    for hit, place in places.items():
        beside = [text for owner, text in pairs if owner == hit]
        before = [t for t in beside if ((t.sequence or 0), t.doc) < (place, hit)][-steps:]
        after = [t for t in beside if ((t.sequence or 0), t.doc) > (place, hit)][:steps]
        found[hit] = dict(zip(range(-len(before), 0), before, strict=True))
        found[hit] |= dict(enumerate(after, start=1))
    return found
