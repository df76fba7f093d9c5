"""Running an agent's tool calls: the table it is offered, and one call at a time.

A call that is refused becomes a result the model can read; a bug is not caught here and undoes the
whole step.
"""

from collections.abc import Mapping, Sequence

from pydantic import ValidationError

from agent.memory_command import COMMAND_TOOLS
from agent.memory_files import FILE_TOOLS
from agent.memory_tools import EDIT_TOOLS, MemoryTool, Scope
from agent.model import ToolSpec
from agent.schema import input_schema
from agent.search_tools import SEARCH_TOOLS
from memory.errors import MemoryStoreError
from memory.records import ToolCall

MEMORY_TOOLS: Mapping[str, MemoryTool] = {tool.name: tool for tool in (*EDIT_TOOLS, *SEARCH_TOOLS)}
"""What every agent is offered, in this order, unless it is set to other tools."""

OPTIONAL_TOOLS: Mapping[str, MemoryTool] = {
    tool.name: tool for tool in (*COMMAND_TOOLS, *FILE_TOOLS)
}
"""What an agent is offered only when it is set to it by name."""

ALL_TOOLS: Mapping[str, MemoryTool] = {**MEMORY_TOOLS, **OPTIONAL_TOOLS}


def tool_specs(tools: Sequence[MemoryTool]) -> tuple[ToolSpec, ...]:
    """The tools as the model is told of them, in the order given."""
    return tuple(
        ToolSpec(tool.name, tool.description, input_schema(tool.arguments)) for tool in tools
    )


def run_call(scope: Scope, call: ToolCall) -> str:
    """Run one call and return its result as text, an explanation when it was refused."""
    tool = ALL_TOOLS.get(call.name)
    if tool is None:
        known = ", ".join(MEMORY_TOOLS)
        return _refusal(scope, f"there is no tool {call.name[:80]!r}; use {known}")
    try:
        result = tool.run(scope, tool.arguments.model_validate(dict(call.arguments)))
    except ValidationError as error:
        takes = ", ".join(tool.arguments.model_fields)
        return _refusal(scope, f"{_problems(error)}; {tool.name} takes {takes}")
    except MemoryStoreError as error:
        return _refusal(scope, str(error))
    return clipped(tool.text(result), scope.max_chars)


def clipped(text: str, max_chars: int) -> str:
    """A result no longer than the model can take; says what is missing."""
    if len(text) <= max_chars:
        return text
    # The number has no more digits than the text's length: the note never exceeds its room.
    kept = max(0, max_chars - len(_MISSING.format(count=len(text))))
    return text[:kept] + _MISSING.format(count=len(text) - kept)


_MISSING = "\n[{count} more characters; ask for fewer results]"


def _refusal(scope: Scope, problem: str) -> str:
    """What a model reads when its call was refused; as text that can be stored."""
    storable = problem.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "\\x00")
    return clipped(f"Error: {storable}", scope.max_chars)


def _problems(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(map(str, problem['loc'])) or 'arguments'}: {problem['msg']}"
        for problem in error.errors(include_url=False, include_input=False)
    )
