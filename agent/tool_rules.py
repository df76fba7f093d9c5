"""What an agent may do next: its tool rules, solved against the calls of the run so far.

Pure. The kinds of rules are in rule_kinds.py, the checks of a set of rules in rule_checks.py. The
rules hold together: a tool may be called when every rule lets it.

Three things are decided here and nowhere else:

- A call that failed or was denied is as if it had not been made: it neither opens what may follow a
  tool nor narrows it, and it meets no requirement. Only max_count_per_step counts it.
- A rule is never loosened. Where no tool may be called, the run may end, whatever is missing.
- What is required is due as long as calls that the rules allow can still lead to it. Which way a
  conditional tool goes is not known beforehand, so every way it may go is hoped for. What can no
  longer be called is no longer required. Nor is a call that a person denied: it may be tried again,
  and nobody is asked twice by force.

Letta lets every tool be called where the rules leave none, and lets nothing but the children of a
parent_last_tool rule follow its tool; here its children follow it only, and others may, too.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from agent.prompts import render
from agent.rule_kinds import (
    Conditional,
    ConstrainChildTools,
    ContinueLoop,
    ExitLoop,
    MaxCountPerStep,
    ParentLastTool,
    RequiredBeforeExit,
    RequiresApproval,
    RunFirst,
    ToolRule,
)

Kind = TypeVar("Kind")

Narrowing = ConstrainChildTools | Conditional
"""Rules that say what comes next after a tool."""


@dataclass(frozen=True, slots=True)
class Made:
    """A call of this run. Calls that the rules did not let through are none.

    result: the text of its result. denied: a person said no to it; it did not run. step: calls of
    one step have one number.
    """

    name: str
    result: str
    failed: bool = False
    step: int = 0
    denied: bool = False

    @property
    def worked(self) -> bool:
        """Whether it ran and did what it was called for."""
        return not (self.failed or self.denied)


@dataclass(frozen=True, slots=True)
class Permission:
    """What may come next: calls of these tools, and, or only, a reply that ends the run."""

    allowed: frozenset[str]
    may_reply: bool


class RuleSet:
    """An agent's tool rules. Solving takes time in proportion to rules, tools and calls.

    Calls are always given oldest first, all of the run. Calls of one step run one after another:
    ask for each with the earlier ones of its step among those made.
    """

    def __init__(self, rules: Iterable[ToolRule] = ()) -> None:
        self.rules = tuple(rules)
        self._first = {rule.tool_name: rule for rule in reversed(self._of(RunFirst))}
        self._exits = frozenset(rule.tool_name for rule in self._of(ExitLoop))
        self._goes_on = frozenset(rule.tool_name for rule in self._of(ContinueLoop))
        self._asked = frozenset(rule.tool_name for rule in self._of(RequiresApproval))
        self._required = tuple(dict.fromkeys(r.tool_name for r in self._of(RequiredBeforeExit)))
        self._limits: dict[str, int] = {}
        for limit in self._of(MaxCountPerStep):
            known = self._limits.get(limit.tool_name, limit.max_count_limit)
            self._limits[limit.tool_name] = min(known, limit.max_count_limit)
        self._parents: dict[str, set[str]] = {}
        for parent in self._of(ParentLastTool):
            for child in parent.children:
                self._parents.setdefault(child, set()).add(parent.tool_name)
        self._narrowing: dict[str, list[Narrowing]] = {}
        narrowing: list[Narrowing] = [*self._of(ConstrainChildTools), *self._of(Conditional)]
        for rule in narrowing:
            self._narrowing.setdefault(rule.tool_name, []).append(rule)

    def permission(self, tools: Sequence[str], made: Sequence[Made]) -> Permission:
        """Return what may come next.

        Args:
            tools: names of all the tools the agent has; what is allowed is among them.
        """
        run = _Run.of(made)
        open_ = self._left(tools, run)
        narrowed = self._narrowed(run.last)
        allowed = self._open_after(run.last_name, open_, narrowed)
        forced = narrowed is not None and bool(allowed - run.denied)
        return Permission(allowed, not (forced or self._due(run, allowed, open_)))

    def refusal(self, name: str, tools: Sequence[str], made: Sequence[Made]) -> str | None:
        """Return what to tell a model that calls a tool it may not call now; None: it may."""
        permission = self.permission(tools, made)
        if name in permission.allowed:
            return None
        last = _Run.of(made).last_name
        why = dict.fromkeys(
            rule.sentence for rule in self.rules if rule.tool_name == last or name in rule.named
        )
        because = f" ({' '.join(why)})" if why else ""
        now = [f"call {', '.join(sorted(permission.allowed))}"] if permission.allowed else []
        now += ["answer without a call"] if permission.may_reply else []
        return f"{name[:80]} cannot be called now{because}; {' or '.join(now)}"

    def ends(
        self,
        made_in_this_step: Sequence[Made],
        made: Sequence[Made],
        tools: Sequence[str] | None = None,
    ) -> bool:
        """Tell whether a step ends the run: an exit_loop tool worked and nothing is still required.

        Of the step's calls the last one with an exit_loop or continue_loop rule decides.

        Args:
            made: all calls of the run, those of this step included.
            tools: as for permission; None: those that the rules name, which says the same when the
                agent has them all.
        """
        telling = [
            call.name in self._exits
            for call in made_in_this_step
            if call.worked and (call.name in self._exits or call.name in self._goes_on)
        ]
        if not telling or not telling[-1]:
            return False
        run = _Run.of(made)
        open_ = self._left(self.named if tools is None else tools, run)
        allowed = self._open_after(run.last_name, open_, self._narrowed(run.last))
        return not self._due(run, allowed, open_)

    @property
    def orders_calls(self) -> bool:
        """Whether what may be called can depend on the calls made before."""
        return bool(self._first or self._limits or self._parents or self._narrowing)

    def needs_approval(self, name: str) -> bool:
        """Tell whether a person is asked before this tool runs."""
        return name in self._asked

    def arguments(
        self, name: str, given: Mapping[str, Any], made: Sequence[Made]
    ) -> Mapping[str, Any]:
        """Return the arguments of a call: what rules prescribe wins over what the model gave."""
        last = _Run.of(made).last_name
        prescribed = dict(given)
        if last is None:
            first = self._first.get(name)
            return prescribed | dict((first and first.args) or {})
        for rule in self._narrowing.get(last, ()):
            nodes = rule.child_arg_nodes if isinstance(rule, ConstrainChildTools) else None
            for node in nodes or ():
                if node.name == name:
                    prescribed |= dict(node.args or {})
        return prescribed

    def missing(self, made: Sequence[Made]) -> tuple[str, ...]:
        """Return the required tools that have not worked in this run, in the order of the rules."""
        worked = _Run.of(made).worked
        return tuple(name for name in self._required if name not in worked)

    def describe(self) -> str:
        """Return the rules for the head of a prompt, a line each; "" when there are none to tell.

        What must run first and what a person is asked about are not told: the model need not know.
        """
        told = (r for r in self.rules if not isinstance(r, RunFirst | RequiresApproval))
        lines = dict.fromkeys(f"- {rule.sentence}" for rule in told)
        return render("tool_rules", rules="\n".join(lines)) if lines else ""

    @property
    def named(self) -> tuple[str, ...]:
        """All tools that the rules name, in the order in which they do."""
        return tuple(dict.fromkeys(name for rule in self.rules for name in rule.named))

    def possible_after(self, last: str | None, tools: Iterable[str]) -> frozenset[str]:
        """Return the tools that may follow one for some result of it; None: may begin a run.

        How often they were called is not looked at.
        """
        return self._open_after(last, frozenset(tools), self._possible(last))

    def reachable(self, start: Iterable[str], tools: Iterable[str]) -> frozenset[str]:
        """Return `start` and the tools that calls from there on can lead to.

        Only the last call decides what may follow, so the shortest way to a tool calls none twice:
        to have one call left of each is enough. What a tool opens that narrows nothing is the same
        for all, and added once; this keeps the work linear.
        """
        open_ = frozenset(tools)
        free = self._open_after(None, open_, None)
        guarded = defaultdict[str, list[str]](list)
        for child, parents in self._parents.items():
            if len(parents) == 1 and child in open_:
                guarded[next(iter(parents))].append(child)
        waiting, freed = list(start), False
        found = set(waiting)
        while waiting:
            last = waiting.pop()
            narrowed = self._possible(last)
            if narrowed is None:
                following = [*guarded[last], *(() if freed else free)]
                freed = True
            else:
                following = list(self._open_after(last, open_, narrowed))
            new = [name for name in following if name not in found]
            found.update(new)
            waiting += new
        return frozenset(found)

    def _of(self, kind: type[Kind]) -> list[Kind]:
        return [rule for rule in self.rules if isinstance(rule, kind)]

    def _left(self, tools: Iterable[str], run: "_Run") -> frozenset[str]:
        """The tools that have calls left."""
        return frozenset(
            name
            for name in tools
            if name not in self._limits or run.count[name] < self._limits[name]
        )

    def _narrowed(self, last: Made | None) -> frozenset[str] | None:
        """The tools one of which must come next; None: any may."""
        if last is None:
            return frozenset(self._first) or None
        return _common(
            rule.next_tools(last.result) if isinstance(rule, Conditional) else rule.children
            for rule in self._narrowing.get(last.name, ())
        )

    def _possible(self, last: str | None) -> frozenset[str] | None:
        """The same when the result is not known: what may come next for some result."""
        if last is None:
            return frozenset(self._first) or None
        return _common(
            rule.possible_tools() if isinstance(rule, Conditional) else rule.children
            for rule in self._narrowing.get(last, ())
        )

    def _open_after(
        self, last: str | None, open_: frozenset[str], narrowed: frozenset[str] | None
    ) -> frozenset[str]:
        """Those of the open tools that may directly follow `last`."""
        candidates = open_ if narrowed is None else open_ & narrowed
        return frozenset(name for name in candidates if self._parents.get(name, {last}) == {last})

    def _due(self, run: "_Run", allowed: frozenset[str], open_: frozenset[str]) -> bool:
        """Whether something required is missing that can still be called."""
        missing = {name for name in self._required if name not in run.worked}
        return bool(missing) and bool(
            missing & self.reachable(allowed - run.denied, open_ - run.denied)
        )


@dataclass(frozen=True, slots=True)
class _Run:
    """What the rules look at in the calls of a run."""

    last: Made | None
    worked: frozenset[str]
    denied: frozenset[str]
    count: Mapping[str, int]

    @classmethod
    def of(cls, made: Sequence[Made]) -> "_Run":
        worked = [call for call in made if call.worked]
        return cls(
            worked[-1] if worked else None,
            frozenset(call.name for call in worked),
            frozenset(call.name for call in made if call.denied),
            Counter(call.name for call in made),
        )

    @property
    def last_name(self) -> str | None:
        return None if self.last is None else self.last.name


def _common(sets: Iterable[Iterable[str] | None]) -> frozenset[str] | None:
    """What all sets hold; None stands for everything."""
    narrow = [frozenset(members) for members in sets if members is not None]
    return frozenset.intersection(*narrow) if narrow else None
