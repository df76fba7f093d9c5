"""What needs a person's yes: asked for at the host, or kept until it is given through a tool.

The kept ones live in the owner's memory, for WAIT_S. One that is lost, with its owner or by its
age, did nothing; the call is made again.
"""

import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel

from memory.errors import InvalidValue, NotFound
from memory.transaction import Transaction
from server.registry import Call, Caller

WAIT_S: Final = 600.0
MAX_WAITING: Final = 100
"""Of one principal; the oldest makes way."""

FORM: Final = {"type": "object", "properties": {}}
"""Nothing to fill in: accepting is the yes."""


class UnknownApproval(NotFound):
    """Nothing waits under this id, or not for this caller."""

    def __init__(self, approval_id: str) -> None:
        super().__init__(
            f"nothing waits for approval {approval_id[:80]!a}; what waited is forgotten after"
            f" {WAIT_S / 60:.0f} minutes or a restart: make the call again"
        )


class Declined(InvalidValue):
    """The person said no; nothing was changed."""

    def __init__(self) -> None:
        super().__init__("declined by the person; nothing was changed")


Then = Callable[[Call, Any], Awaitable[BaseModel]]
"""Is told the result of what was done, and returns what is to be told of it."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Something that waits for a yes; `act` does it, and `then` what is left when it is stored."""

    id: str
    principal: str
    act: Callable[[Transaction], BaseModel]
    until_s: float
    then: Then | None = None


class Approvals:
    """What waits, by id.

    Args:
        now: a clock in seconds.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._waiting: dict[str, Waiting] = {}

    def keep(
        self, caller: Caller, act: Callable[[Transaction], BaseModel], then: Then | None = None
    ) -> str:
        """Let something wait; return its id."""
        self._forget_old()
        own = [w.id for w in self._waiting.values() if w.principal == caller.principal]
        for old in own[: max(len(own) + 1 - MAX_WAITING, 0)]:
            del self._waiting[old]
        id_ = f"approval-{secrets.token_hex(8)}"
        self._waiting[id_] = Waiting(id_, caller.principal, act, self._now() + WAIT_S, then)
        return id_

    def take(self, caller: Caller, approval_id: str) -> Waiting:
        """Return what waits under an id, which waits no more.

        Raises:
            UnknownApproval: nothing does.
        """
        self._forget_old()
        found = self._waiting.get(approval_id)
        if found is None or found.principal != caller.principal:
            raise UnknownApproval(approval_id)
        return self._waiting.pop(approval_id)

    def _forget_old(self) -> None:
        now = self._now()
        for old in [waiting.id for waiting in self._waiting.values() if waiting.until_s < now]:
            del self._waiting[old]


async def ask_person(call: Call, question: str) -> bool:
    """Ask the person at the host; False: nobody there can be asked.

    Raises:
        Declined: the person said no.
    """
    answer = None if call.ask is None else await call.ask(question, FORM)
    if answer is not None and not answer.accepted:
        raise Declined
    return answer is not None
