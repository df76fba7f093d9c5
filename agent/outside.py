"""Tools that work outside of memory: code in the sandbox, tools of other servers.

Their calls take long and may be cancelled, so they run before the transaction of their step is
begun. What they change in memory is checked and written in it, with the tool as the author.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from agent.memory_tools import Scope
from memory.records import Agent, AgentState
from sandbox.protocol import Tier


@dataclass(frozen=True, slots=True)
class OutsideCall:
    """One call. arguments: as the model or the host gave them; they may not fit the schema.

    run_id: of the run that calls; empty: a host does.
    """

    agent: Agent
    arguments: Mapping[str, Any]
    run_id: str = ""


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a call.

    text: what the model reads. failed: the text says what went wrong. commit: writes what the tool
    changed in memory, all of it or, when it raises a MemoryStoreError, nothing. tier: how its code
    was isolated; None: no code was run here.
    """

    text: str
    failed: bool = False
    commit: Callable[[Scope], None] | None = None
    tier: Tier | None = None


@dataclass(frozen=True, slots=True)
class OutsideTool:
    """A tool that an agent has beside its memory tools.

    schema: of its arguments, JSON Schema. actor: the author of what it changes in memory.
    needs_approval: a person must say yes to each call. parallel: its calls may run at once with
    others. max_chars: of its result that are kept. version: changes with what it does; a yes to a
    call is for the version that was shown.
    """

    name: str
    description: str
    schema: Mapping[str, Any]
    run: Callable[[OutsideCall], Awaitable[Done]]
    actor: str
    needs_approval: bool = False
    parallel: bool = False
    max_chars: int = 50_000
    version: str = ""


ToolSource = Callable[[AgentState], Mapping[str, OutsideTool]]
"""The outside tools of an agent, by name; reads memory, so it is called on a thread.

Their order is that in which the model is told of them: the same every time, new ones last, so that
what was computed for earlier prompts stays of use.
"""


def no_tools(_: AgentState) -> Mapping[str, OutsideTool]:
    """The source of an agent that has none."""
    return {}


def together(*sources: ToolSource) -> ToolSource:
    """One source of the tools of several; of two with one name the first is taken."""

    def source(state: AgentState) -> Mapping[str, OutsideTool]:
        found = dict[str, OutsideTool]()
        for one in sources:
            found |= {name: tool for name, tool in one(state).items() if name not in found}
        return found

    return source
