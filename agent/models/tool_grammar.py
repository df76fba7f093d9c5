"""The grammar a model's output is held to: text or calls that are valid for the tools offered.

Lark as llguidance reads it; formats/ has the rules of each way of writing calls. Pure text
building; the engines run it.
"""

from agent.model import Prompt
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
