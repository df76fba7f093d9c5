"""Doing what cannot be undone: once a person agrees, asked at the host or through a tool.

Whoever asks says what would be lost (an Awaited) and how it is done; here it is done, or kept until
approval_decide brings the answer (approvals.py).
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from pydantic import BaseModel

from memory.requests import keep_result
from memory.transaction import Reader, Transaction
from server.agent_models import Decide, Decided
from server.approvals import Approvals, ask_person
from server.consent_models import Awaited
from server.memory_access import MemoryAccess
from server.memory_tools import DELEGATING
from server.once import Once, request_of
from server.registry import Call, Tool

if TYPE_CHECKING:  # hosts list the tools before DuckDB is imported
    from memory.store import MemoryStore

A = TypeVar("A", bound=Awaited)


@dataclass(frozen=True, slots=True)
class Act(Generic[A]):
    """What needs a yes.

    would: what would be lost; its status is "waiting", or "done" where nobody need be asked. do:
    does it, to what `would` named: by ids, since names may be another's by then. then: what is left
    to do once it is stored, which may take long; it makes what is told.
    """

    tool: str
    result: type[A]
    would: Callable[[Reader], A]
    do: Callable[[Transaction, A], A]
    then: Callable[[Call, A], Awaitable[A]] | None = None


@dataclass(frozen=True, slots=True)
class Consent:
    """Asks, and does."""

    access: MemoryAccess
    approvals: Approvals

    async def once_agreed(self, call: Call, arguments: Once, act: Act[A]) -> A:
        """Ask the person, and do it; or return what waits for their yes.

        Raises:
            Declined: the person said no.
        """
        access, tool, result = self.access, act.tool, act.result
        before = await access.first_result(call, tool, arguments, result)
        if before is not None:
            return before
        lost = await access.read(call.caller, lambda _, reader: act.would(reader))
        request = request_of(call, tool, arguments)

        def run(transaction: Transaction) -> A:
            done = act.do(transaction, lost)
            if request is not None:  # so that a repeat of the call that asked finds it done
                keep_result(transaction, request, done.model_dump_json())
            return done

        if lost.status == "done" or await ask_person(call, lost.question()):
            done = await access.write(call, tool, arguments, result, lambda _, t: run(t))
            return done if act.then is None else await act.then(call, done)
        waits = self.approvals.keep(call.caller, run, act.then)
        return lost.model_copy(update={"approval_id": waits})

    async def decide(self, call: Call, a: Decide) -> Decided:
        """approval_decide."""
        name = "approval_decide"
        before = await self.access.first_result(call, name, a, Decided)
        if before is not None:
            return before
        waiting = self.approvals.take(call.caller, a.approval_id)
        results = list[BaseModel]()

        def work(_: "MemoryStore", transaction: Transaction) -> Decided:
            if not a.approve:
                return Decided(approved=False, text="Declined; nothing was changed.")
            done = waiting.act(transaction)
            results.append(done)
            return Decided(approved=True, text=_text(done))

        decided = await self.access.write(call, name, a, Decided, work)
        if results and waiting.then is not None:
            done = await waiting.then(call, results[0])
            return decided.model_copy(update={"text": _text(done)})
        return decided


def _text(done: BaseModel) -> str:
    return done.said() if isinstance(done, Awaited) else "Done."


def approval_tool(consent: Consent) -> Tool:
    """approval_decide, for hosts that cannot ask."""
    return Tool(
        name="approval_decide",
        title="Pass on a decision",
        description="Tell what the person decided about something that waits for approval.",
        arguments=Decide,
        result=Decided,
        run=consent.decide,
        text=lambda result: str(result.text),
        destructive=True,
        toolsets=DELEGATING,
    )
