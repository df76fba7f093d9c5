"""Running an agent's tool calls: the table it is offered, and one call at a time.

A call that is refused becomes a result the model can read; a bug is not caught here and undoes the
whole step.
"""

from collections.abc import Mapping, Sequence
from functools import cache

from pydantic import ValidationError

from agent.approval import is_denied
from agent.custom.writing import WRITING_TOOLS
from agent.memory_command import COMMAND_TOOLS
from agent.memory_files import FILE_TOOLS
from agent.memory_tools import EDIT_TOOLS, MemoryTool, Scope
from agent.message_tool import MESSAGE_READ
from agent.model import ToolSpec
from agent.models.transcript import SEND_MESSAGE
from agent.outside import Done
from agent.schema import input_schema
from agent.search_tools import SEARCH_TOOLS
from agent.window import MAX_STORED_RESULT_CHARS, clipped
from memory.errors import InvalidValue, MemoryStoreError
from memory.records import ToolCall

MEMORY_TOOLS: Mapping[str, MemoryTool] = {tool.name: tool for tool in (*EDIT_TOOLS, *SEARCH_TOOLS)}
"""What hosts are offered, too."""

DEFAULT_TOOLS: Mapping[str, MemoryTool] = {**MEMORY_TOOLS, MESSAGE_READ.name: MESSAGE_READ}
"""What an agent is offered, in this order, unless it is set to other tools."""

OPTIONAL_TOOLS: Mapping[str, MemoryTool] = {
    tool.name: tool for tool in (*COMMAND_TOOLS, *FILE_TOOLS, *WRITING_TOOLS)
}
"""What an agent is offered only when it is set to it by name."""

ALL_TOOLS: Mapping[str, MemoryTool] = {**DEFAULT_TOOLS, **OPTIONAL_TOOLS}

OUTSIDE_BY_NAME = ("run_code", "file_list", "file_read", "file_write", "file_delete")
"""Tools outside of memory (outside.py) that an agent has when it is set to them by name."""

RESERVED_NAMES = frozenset({*ALL_TOOLS, SEND_MESSAGE})
"""No outside tool can have one of these."""


def tool_specs(tools: Sequence[MemoryTool]) -> tuple[ToolSpec, ...]:
    """The tools as the model is told of them, in the order given."""
    return tuple(map(_spec, tools))


@cache  # a schema takes a millisecond to make, and a step needs all of them
def _spec(tool: MemoryTool) -> ToolSpec:
    return ToolSpec(tool.name, tool.description, input_schema(tool.arguments))


def run_call(
    scope: Scope,
    tools: Mapping[str, MemoryTool],
    call: ToolCall,
    known_names: Sequence[str] | None = None,
) -> str:
    """Run one call and return its result as text, an explanation when it was refused.

    tools: those of the agent's memory, by name. known_names: of all that it has; None: of these.
    """
    tool = tools.get(call.name)
    if tool is None:
        known = ", ".join(tools if known_names is None else known_names) or "none"
        return _refusal(scope, f"there is no tool {call.name[:80]!r}; use {known}")
    try:
        result = tool.run(scope, tool.arguments.model_validate(dict(call.arguments)))
    except ValidationError as error:
        takes = ", ".join(tool.arguments.model_fields)
        return _refusal(scope, f"{_problems(error)}; {tool.name} takes {takes}")
    except MemoryStoreError as error:
        return _refusal(scope, str(error))
    return clipped(tool.text(result), MAX_STORED_RESULT_CHARS)


def offered_tools(names: Sequence[str] | None) -> dict[str, MemoryTool]:
    """The memory tools that an agent is offered, by name; None: the default ones.

    Names of OUTSIDE_BY_NAME may be among those given; their tools come from elsewhere.

    Raises:
        InvalidValue: there is no such tool.
    """
    if names is None:
        return dict(DEFAULT_TOOLS)
    every = (*ALL_TOOLS, *OUTSIDE_BY_NAME)
    if unknown := [name for name in names if name not in every]:
        known = ", ".join(every)
        raise InvalidValue(f"there is no tool {unknown[0][:80]!a} for agents; there are {known}")
    return {name: ALL_TOOLS[name] for name in dict.fromkeys(names) if name in ALL_TOOLS}


def refusal(problem: str) -> str:
    """What a model reads in place of the result of a call that was refused."""
    return f"{_REFUSED}{problem}"


def is_refusal(result: str) -> bool:
    """Whether a result says that the call was refused."""
    return result.startswith(_REFUSED)


_REFUSED = "Error: "


def outside_result(done: Done, max_chars: int) -> str:
    """What a model reads of a call of an outside tool; as text that can be stored.

    A tool cannot say what only we say: that its call was refused, denied or not made.
    """
    text = storable(done.text)
    if done.failed:
        text = refusal(text if not text.startswith(NOT_RUN) else f"the tool says: {text}")
    elif is_refusal(text) or is_denied(text):
        text = f"The tool says: {text}"
    return clipped(text, min(max_chars, MAX_STORED_RESULT_CHARS), "the tool gave more than is kept")


def storable(text: str) -> str:
    """Any text a model or a tool made as one that can be stored."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "\ufffd")


NOT_RUN = "not run: "
"""How the refusal of a call begins that a rule did not let through."""


def _refusal(scope: Scope, problem: str) -> str:
    """What a model reads when its call was refused; as text that can be stored."""
    storable = problem.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "\\x00")
    return clipped(refusal(storable), scope.max_chars)


def _problems(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(map(str, problem['loc'])) or 'arguments'}: {problem['msg']}"
        for problem in error.errors(include_url=False, include_input=False)
    )
