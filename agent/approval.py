"""Calls that wait for a person: how they are kept in a run's row, and what is decided of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from agent.model import ToolCalls
from memory.records import ToolCall


@dataclass(frozen=True, slots=True)
class Pending:
    """A step that was thought and waits: nothing of it has been done.

    waiting: ids of the calls that a person must approve. until: when silence becomes a no.
    versions: of the outside tools that are called, by name, as the person is shown them.
    """

    answer: ToolCalls
    waiting: tuple[str, ...]
    until: datetime
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def calls(self) -> tuple[ToolCall, ...]:
        """The calls that a person must approve."""
        return tuple(call for call in self.answer.calls if call.id in self.waiting)

    def to_json(self) -> dict[str, Any]:
        """As a run keeps it."""
        return {
            "text": self.answer.text,
            "calls": [
                {"id": call.id, "name": call.name, "arguments": dict(call.arguments)}
                for call in self.answer.calls
            ],
            "waiting": list(self.waiting),
            "until": self.until.isoformat(),
            "versions": dict(self.versions),
        }

    def answered(self, decision: "Decision", call_id: str | None, now: datetime) -> "Decisions":
        """What is decided of each call that waits, once a person has said something.

        call_id: of the only call that they decided about; None: they decided about all.
        """
        if now >= self.until:
            return all_of(self.waiting, SILENCE)
        if call_id is None:
            return all_of(self.waiting, decision)
        return {**all_of(self.waiting, UNDECIDED), call_id: decision}

    def decided(self, decisions: "Decisions", versions: Mapping[str, str]) -> "Decisions":
        """The decisions, with a no where the tool is another one than was shown.

        versions: of the outside tools now, by name.
        """
        changed = {
            call.id: CHANGED
            for call in self.calls
            if (decision := decisions.get(call.id)) is not None
            and decision.approve
            and versions.get(call.name, "") != self.versions.get(call.name, "")
        }
        return {**decisions, **changed}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> "Pending":
        """Read what to_json wrote."""
        calls = tuple(ToolCall(**call) for call in kept["calls"])
        return cls(
            ToolCalls(calls, kept["text"]),
            tuple(kept["waiting"]),
            datetime.fromisoformat(kept["until"]),
            kept.get("versions", {}),  # an older version of mnemon kept none
        )


def waiting_calls(pending: Mapping[str, Any] | None) -> tuple[ToolCall, ...]:
    """The calls that a person must approve, of what a run keeps; none when it does not wait."""
    return () if pending is None else Pending.from_json(pending).calls


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person decided of one call, and why.

    step: the number of the step whose calls they were shown; None: whichever waits.
    """

    approve: bool
    reason: str = ""
    step: int | None = None


SILENCE = Decision(False, "nobody answered in time")
"""What it is when nobody decided."""

UNDECIDED = Decision(False, "they decided about another call of the same step")
"""What it is for calls beside the only one that was decided."""

CHANGED = Decision(False, "the tool was changed after they were asked; call it again")
"""What it is when a tool is not what was shown any more."""

Decisions = Mapping[str, Decision]
"""By the id of the call."""


def denied(decision: Decision) -> str:
    """What the model reads in place of the result of a call that a person denied."""
    because = f": {decision.reason}" if decision.reason else ""
    return f"Denied by the person{because}. The call was not made."


def is_denied(result: str) -> bool:
    """Whether a result says that a person denied the call."""
    return result.startswith("Denied by the person")


def all_of(waiting: Sequence[str], decision: Decision) -> Decisions:
    """The same decision for every call that waits."""
    return dict.fromkeys(waiting, decision)
