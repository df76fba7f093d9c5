"""The grammar a model's output is held to: text or calls that are valid for the tools offered.

Lark as llguidance reads it; formats/ has the rules of each way of writing calls. Pure text
building; the engines run it.
"""

from collections.abc import Callable, Sequence

from agent.errors import ToolSchemaInvalid
from agent.model import Prompt, ToolSpec
from agent.models.formats.call_format import Markers
from agent.models.formats.table import FORMATS
from agent.models.transcript import CallStyle


def output_grammar(prompt: Prompt, style: CallStyle, markers: Markers) -> str:
    """Build the grammar for one prompt.

    Only what the prompt allows now is in it: a model cannot break a tool rule. Without tools the
    answer is free text.

    Raises:
        ToolSchemaInvalid: a tool's parameters are no schema.
    """
    return "\n".join(FORMATS[style].grammar(prompt, markers))


def blamed_tool(
    tools: Sequence[ToolSpec], style: CallStyle, problem: str, refusal: Callable[[str], str | None]
) -> ToolSchemaInvalid:
    """Find the tool whose grammar is refused by itself, when that of all of them is.

    Args:
        problem: why that of all was refused.
        refusal: says why a grammar is refused; None when it is not.
    """
    for tool in tools:
        own = refusal(output_grammar(Prompt((), (tool,)), style, Markers()))
        if own is not None:
            return ToolSchemaInvalid(tool.name, own.splitlines()[0])
    return ToolSchemaInvalid(", ".join(tool.name for tool in tools), problem.splitlines()[0])
