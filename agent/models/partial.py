"""The reply so far, from output that is still being written. Pure; parse.py reads whole outputs.

Never shows half a call, nor the reasoning before an answer, nor what may yet turn out to be either;
how that is told apart is known to each format (formats/).
"""

from agent.model import Prompt
from agent.models.formats.table import FORMATS
from agent.models.transcript import CallStyle


def partial_reply(text: str, prompt: Prompt, style: CallStyle) -> str:
    """Give what can be shown of the reply; empty while there is nothing, or it is a call.

    Later texts of one output begin with earlier ones, but for reasoning that does not say so at its
    beginning: what was shown of it goes away when it ends.
    """
    return FORMATS[style].so_far(text, bool(prompt.tools))
