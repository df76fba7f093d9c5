"""What a format of calls is: data and three functions; and the markers that frame its calls.

`grammar` says what a model may write now, `read` what it wrote, `so_far` what it is saying. Whether
a model's own template writes a format is tried out when it is loaded: chat.py renders calls and has
`read` read them back.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from agent.model import Parsed, Prompt, ToolSpec
from agent.models.transcript import AS_GIVEN, MessageForm


@dataclass(frozen=True, slots=True)
class Marker:
    """A marker in the output, e.g. `<tool_call>`; `token` is its id if it is a special one."""

    text: str
    token: int | None = None

    @property
    def lark(self) -> str:
        """The marker as a grammar symbol."""
        return quoted(self.text) if self.token is None else f"<[{self.token}]>"


@dataclass(frozen=True, slots=True)
class Markers:
    """The markers of one vocabulary: those in `tokens` are special tokens, the others text."""

    tokens: Mapping[str, int] = field(default_factory=dict)

    def of(self, text: str) -> Marker:
        """Give the marker written so."""
        return Marker(text, self.tokens.get(text))


@dataclass(frozen=True, slots=True)
class CallFormat:
    """A way to write calls.

    signs: texts that are all in the template of a model which writes so; what they promise is tried
        out before it is believed. Empty: never found, chosen when nothing else is left.
    markers: texts that may be special tokens; the vocabulary decides.
    grammar: rules in Lark, `start` among them, of what a prompt allows.
    read: text and tools to what it says. Raises Unreadable.
    so_far: output that is still being written, and whether there are tools, to what can be shown.
    messages: how the templates of such models take messages.
    """

    signs: tuple[str, ...]
    markers: tuple[str, ...]
    grammar: Callable[[Prompt, Markers], list[str]]
    read: Callable[[str, Sequence[ToolSpec]], Parsed]
    so_far: Callable[[str, bool], str]
    messages: MessageForm = AS_GIVEN


def quoted(text: str) -> str:
    """Give a text as a Lark string."""
    return json.dumps(text, ensure_ascii=False)
