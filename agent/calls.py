"""The calls of a run so far, and what the agent's tool rules make of the next ones."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from agent.approval import SILENCE, Decisions, denied, is_denied
from agent.settings import AgentSettings
from agent.tool_rules import Made, Permission, RuleSet
from agent.tools import is_refusal, refusal
from memory.records import Message, ToolCall

_NOT_RUN = "not run: "


@dataclass(slots=True)
class CallBook:
    """What was called in a run. tools: names of those that the agent has."""

    rules: RuleSet
    tools: tuple[str, ...]
    made: list[Made] = field(default_factory=list)
    called: list[str] = field(default_factory=list)

    @classmethod
    def of(
        cls, settings: AgentSettings, tools: Sequence[str], stored: Sequence[Message]
    ) -> "CallBook":
        """The book of a run with what an earlier attempt stored of it."""
        book = cls(RuleSet(settings.tool_rules), tuple(tools))
        step, calls = 0, list[ToolCall]()
        for message in stored:
            if message.role == "assistant":
                step, calls = step + 1, list(message.tool_calls)
            elif message.role == "tool" and calls:  # in the order of the calls
                book.note(step, calls.pop(0), message.content)
        return book

    @property
    def names(self) -> tuple[str, ...]:
        """Every tool that was called, in order."""
        return tuple(self.called)

    def permission(self) -> Permission:
        """What may come next."""
        return self.rules.permission(self.tools, self.made)

    def note(self, step: int, call: ToolCall, result: str) -> None:
        """Enter a call with its result."""
        self.called.append(call.name)
        if result.startswith(refusal(_NOT_RUN)):
            return
        self.made.append(Made(call.name, result, is_refusal(result), step, is_denied(result)))

    def ends(self, step: int) -> bool:
        """Whether a rule ends the run with this step."""
        of_step = [made for made in self.made if made.step == step]
        return self.rules.ends(of_step, self.made, self.tools)


@dataclass(frozen=True, slots=True)
class StepCalls:
    """Says of each call of a step whether and how it is run, and enters what came of it."""

    book: CallBook
    step: int
    decisions: Decisions

    def prepare(self, call: ToolCall) -> ToolCall | str:
        """The call as it is to be run, or what stands in place of its result."""
        rules = self.book.rules
        if self.book.rules.rules and call.name in self.book.tools:
            barred = rules.refusal(call.name, self.book.tools, self.book.made)
            if barred is not None:
                return refusal(f"{_NOT_RUN}{barred}")
        decision = self.decisions.get(call.id)
        if decision is None and rules.needs_approval(call.name):
            decision = SILENCE
        # A no stays one, also when the rule that asked for it is gone by now.
        if decision is not None and not decision.approve:
            return denied(decision)
        return ToolCall(
            call.id, call.name, rules.arguments(call.name, call.arguments, self.book.made)
        )

    def done(self, call: ToolCall, result: str) -> None:
        """Enter a call with its result."""
        self.book.note(self.step, call, result)
