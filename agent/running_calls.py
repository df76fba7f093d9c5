"""Running the calls of one step, each when its turn comes (tool_table.py says when).

Searches and outside calls run before the transaction of the step and may be cancelled; edits, and
what outside tools want to have written, run inside it.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Protocol

import anyio
import anyio.to_thread

from agent.memory_tools import Scope, edited, edited_text
from agent.outside import Done, OutsideCall, OutsideTool
from agent.tool_table import Order, ToolTable
from agent.tools import outside_result, refusal, run_call, storable
from agent.window import MAX_STORED_RESULT_CHARS, clipped
from memory import core_memory
from memory.errors import MemoryStoreError
from memory.records import Agent, ToolCall
from sandbox.errors import SandboxError

MAX_AT_ONCE = 4
"""Outside calls of one step."""

Calling = Callable[[Sequence[str]], None]
"""Told the names of the outside tools that are called now."""

Commit = Callable[[Scope], None]


class Judge(Protocol):
    """Says of each call of a step whether and how it is run, and learns what came of it."""

    @property
    def may_overlap(self) -> bool:
        """Whether what may be called does not depend on what came of the call before."""

    def prepare(self, call: ToolCall) -> ToolCall | str:
        """The call as it is to be run, or what stands in place of its result."""

    def done(self, call: ToolCall, result: str) -> None:
        """A call has its result."""

    def amend(self, call: ToolCall, before: str, after: str) -> None:
        """A call that was done has another result after all."""


@dataclass(slots=True)
class RunningCalls:
    """The calls of a step with what came of them so far, at the places where they were made."""

    given: Sequence[ToolCall]
    tools: ToolTable
    judge: Judge
    calling: Calling
    _made: dict[int, tuple[ToolCall, str]] = field(default_factory=dict)
    _commits: dict[int, Commit] = field(default_factory=dict)

    @property
    def calls(self) -> list[ToolCall]:
        """As they were run, in the order in which they were made."""
        return [self._made[position][0] for position in range(len(self.given))]

    @property
    def results(self) -> list[str]:
        """Of each call."""
        return [self._made[position][1] for position in range(len(self.given))]

    @property
    def _order(self) -> Order:
        return self.tools.order(self.given, self.judge.may_overlap)

    async def before(
        self, read: Callable[[], AbstractContextManager[Scope]], agent: Agent, run_id: str
    ) -> None:
        """Run what runs before the transaction; cancelling this cancels the calls that run."""
        for group in self._order.groups:
            if self.given[group[0]].name in self.tools.outside:
                await self._run_outside(group, agent, run_id)
            else:
                await anyio.to_thread.run_sync(self._search, read, group)

    def inside(self, scope: Scope) -> None:
        """Run the others, and write what outside tools changed, all in the order of the calls."""
        for position in range(len(self.given)):
            if commit := self._commits.get(position):
                self._commit(scope, position, commit)
            elif position not in self._made:
                self._run(scope, position)

    def _search(
        self, read: Callable[[], AbstractContextManager[Scope]], group: Sequence[int]
    ) -> None:
        with read() as scope:
            for position in group:
                self._run(scope, position)

    def _run(self, scope: Scope, position: int) -> None:
        call = self.given[position]
        prepared = self.judge.prepare(call)
        if isinstance(prepared, str):
            self._done(position, call, prepared)
        else:
            result = run_call(scope, self.tools.memory, prepared, self.tools.names)
            self._done(position, prepared, result)

    async def _run_outside(self, group: Sequence[int], agent: Agent, run_id: str) -> None:
        prepared = {position: self.judge.prepare(self.given[position]) for position in group}
        running = {p: call for p, call in prepared.items() if isinstance(call, ToolCall)}
        answers = dict[int, Done]()
        limiter = anyio.CapacityLimiter(MAX_AT_ONCE)

        async def run(position: int, call: ToolCall) -> None:
            async with limiter:
                asked = OutsideCall(agent, call.arguments, run_id)
                answers[position] = await _answer(self.tools.outside[call.name], asked)

        if running:
            self.calling([call.name for call in running.values()])
            try:
                async with anyio.create_task_group() as tasks:
                    for position, call in running.items():
                        tasks.start_soon(run, position, call)
            except ExceptionGroup as several:  # bugs: the first one tells enough
                raise several.exceptions[0] from None
        for position, said in prepared.items():
            if isinstance(said, str):
                self._done(position, self.given[position], said)
            else:
                self._answered(position, said, answers[position])

    def _answered(self, position: int, call: ToolCall, answer: Done) -> None:
        if answer.commit is not None and not answer.failed:
            self._commits[position] = answer.commit
        max_chars = self.tools.outside[call.name].max_chars
        self._done(position, call, outside_result(answer, max_chars))

    def _commit(self, scope: Scope, position: int, commit: Commit) -> None:
        """Write what an outside tool changed, as its author; the model reads what came of it."""
        call, before = self._made[position]
        transaction, tool = scope.transaction, self.tools.outside[call.name]
        known = core_memory.list_blocks(transaction, scope.agent)
        origin = replace(transaction.origin, actor=tool.actor, reason=tool.name)
        try:
            with transaction.acting(origin):
                commit(scope)
        except MemoryStoreError as error:
            after = refusal(f"nothing of what {tool.name} changed in memory was kept: {error}")
            after += f"\nIt had answered: {before}"
        else:
            blocks = core_memory.list_blocks(transaction, scope.agent)
            told = [edited_text(edited(block)) for block in blocks if block not in known]
            after = "\n".join([before, *told])
        after = clipped(storable(after), MAX_STORED_RESULT_CHARS)
        self._made[position] = (call, after)
        self.judge.amend(call, before, after)

    def _done(self, position: int, call: ToolCall, result: str) -> None:
        self._made[position] = (call, result)
        self.judge.done(call, result)


async def _answer(tool: OutsideTool, call: OutsideCall) -> Done:
    """What a tool answers; what it was refused, the model reads. Anything else is a bug."""
    try:
        return await tool.run(call)
    except (SandboxError, MemoryStoreError) as error:
        return Done(str(error), failed=True)
