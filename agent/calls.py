"""The calls of a run so far, and what the agent's tool rules make of the next ones."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from agent.approval import SILENCE, Decisions, denied, is_denied
from agent.settings import AgentSettings
from agent.tool_rules import Made, Permission, RuleSet
from agent.tool_table import ToolTable
from agent.tools import NOT_RUN, is_refusal, refusal
from memory.records import Message, ToolCall


@dataclass(slots=True)
class CallBook:
    """What was called in a run.

    tools: names of those that the agent has. asking: of those whose calls a person must approve
    whatever the rules say.
    """

    rules: RuleSet
    tools: tuple[str, ...]
    asking: frozenset[str] = frozenset()
    made: list[Made] = field(default_factory=list)
    called: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, settings: AgentSettings, tools: ToolTable, stored: Sequence[Message]) -> "CallBook":
        """The book of a run with what an earlier attempt stored of it."""
        book = cls(RuleSet(settings.tool_rules), tools.names, tools.asking)
        step, calls, results = 0, tuple[ToolCall, ...](), list[str]()
        for message in stored:
            if message.role == "assistant":
                step, calls, results = step + 1, message.tool_calls, []
            elif message.role == "tool" and len(results) < len(calls):  # in the order of the calls
                results.append(message.content)
                if len(results) == len(calls):
                    for position in tools.order(calls).positions:
                        book.note(step, calls[position], results[position])
        return book

    def offer(self, tools: ToolTable) -> None:
        """From now on the agent has these tools."""
        self.tools, self.asking = tools.names, tools.asking

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
        if result.startswith(refusal(NOT_RUN)):
            return
        self.made.append(_made(step, call, result))

    def amend(self, step: int, call: ToolCall, before: str, after: str) -> None:
        """Enter another result of a call that was entered in this step."""
        was = _made(step, call, before)
        if was in self.made:
            self.made[self.made.index(was)] = _made(step, call, after)

    def needs_approval(self, name: str) -> bool:
        """Whether a person must say yes to a call of this tool."""
        return name in self.asking or self.rules.needs_approval(name)

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

    @property
    def may_overlap(self) -> bool:
        """Whether no rule makes what may be called depend on what came of the call before."""
        return not self.book.rules.orders_calls

    def prepare(self, call: ToolCall) -> ToolCall | str:
        """The call as it is to be run, or what stands in place of its result."""
        rules = self.book.rules
        if self.book.rules.rules and call.name in self.book.tools:
            barred = rules.refusal(call.name, self.book.tools, self.book.made)
            if barred is not None:
                return refusal(f"{NOT_RUN}{barred}")
        decision = self.decisions.get(call.id)
        if decision is None and self.book.needs_approval(call.name):
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

    def amend(self, call: ToolCall, before: str, after: str) -> None:
        """Enter another result of a call that was done."""
        self.book.amend(self.step, call, before, after)


def _made(step: int, call: ToolCall, result: str) -> Made:
    return Made(call.name, result, is_refusal(result), step, is_denied(result))
