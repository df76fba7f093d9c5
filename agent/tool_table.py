"""The tools that one agent has, and the order in which the calls of a step are run.

Of its memory first (tools.py), then those outside of it (outside.py), so that an agent's prompts
begin with what does not depend on what is attached. Pure but for `of`, which asks the source.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from agent.memory_tools import MemoryTool
from agent.model import ToolSpec
from agent.outside import OutsideTool, ToolSource
from agent.settings import settings_of
from agent.tools import RESERVED_NAMES, offered_tools, tool_specs
from memory.records import AgentState, ToolCall


@dataclass(frozen=True, slots=True)
class Order:
    """Positions of calls, in the order in which they run.

    groups: before the transaction; the calls of a group are all searches, or outside calls that may
    run at once. inside: in the transaction, where outside calls have their commits, too.
    """

    groups: tuple[tuple[int, ...], ...]
    inside: tuple[int, ...]

    @property
    def positions(self) -> tuple[int, ...]:
        """All of them."""
        return (*(position for group in self.groups for position in group), *self.inside)


@dataclass(frozen=True, slots=True)
class ToolTable:
    """An agent's tools by name; no name is in both."""

    memory: Mapping[str, MemoryTool]
    outside: Mapping[str, OutsideTool] = field(default_factory=dict)

    @classmethod
    def of(cls, state: AgentState, source: ToolSource) -> "ToolTable":
        """The tools that an agent has now. Reads memory, so it is called on a thread.

        Raises:
            InvalidValue: the agent is set to a memory tool that does not exist.
        """
        return cls(offered_tools(settings_of(state.agent).tools), _outside(state, source))

    def renewed(self, state: AgentState, source: ToolSource) -> "ToolTable":
        """With the outside tools as they are now: one may be new, changed, or gone."""
        return ToolTable(self.memory, _outside(state, source))

    @property
    def names(self) -> tuple[str, ...]:
        """Of all tools, in the order in which the model is told of them."""
        return (*self.memory, *self.outside)

    @property
    def asking(self) -> frozenset[str]:
        """Names of the tools whose calls a person must approve, whatever the rules say."""
        return frozenset(name for name, tool in self.outside.items() if tool.needs_approval)

    @property
    def versions(self) -> dict[str, str]:
        """Of the outside tools, by name."""
        return {name: tool.version for name, tool in self.outside.items() if tool.version}

    def specs(self) -> tuple[ToolSpec, ...]:
        """The tools as the model is told of them."""
        outside = (ToolSpec(t.name, t.description, t.schema) for t in self.outside.values())
        return (*tool_specs(tuple(self.memory.values())), *outside)

    def order(self, calls: Sequence[ToolCall], overlapping: bool = True) -> Order:
        """When each call of a step runs.

        Searches before the first edit and outside calls come first, one after another: nobody else
        waits for them. Edits come then, with the searches after them, which may look for what they
        store. What is unknown counts as an edit.

        Args:
            overlapping: whether neighbouring calls of parallel tools run at once.
        """
        groups: list[list[int]] = []
        inside: list[int] = []
        last = ""
        for position, call in enumerate(calls):
            kind = self._kind(call)
            if kind == "edit" or (kind == "search" and inside):
                inside.append(position)
                continue
            if kind == last and (kind == "search" or (kind == "parallel" and overlapping)):
                groups[-1].append(position)
            else:
                groups.append([position])
            last = kind
        return Order(tuple(map(tuple, groups)), tuple(inside))

    def _kind(self, call: ToolCall) -> str:
        if tool := self.outside.get(call.name):
            return "parallel" if tool.parallel else "outside"
        known = self.memory.get(call.name)
        return "edit" if known is None or known.writes else "search"


def _outside(state: AgentState, source: ToolSource) -> dict[str, OutsideTool]:
    return {n: tool for n, tool in source(state).items() if n not in RESERVED_NAMES}
