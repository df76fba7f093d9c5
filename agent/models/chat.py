"""A model's side of a chat: its template, tried out, and the way it writes calls.

Which format a model uses is not believed but tried when it is loaded: a conversation is rendered,
every text must be in it, and the call that the template writes must be read back as it was. What
passes first is taken; json style, which asks least of a template, is tried last. No engine here.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from agent.errors import ModelUnavailable
from agent.model import ChatMessage, Prompt, ToolCalls, ToolSpec
from agent.models.chat_template import ChatTemplate, Defuser
from agent.models.formats.reading import Unreadable
from agent.models.formats.table import FORMATS, likely_styles
from agent.models.transcript import (
    CallStyle,
    MessageForm,
    render_messages,
    template_tools,
)
from memory.records import ToolCall

SAMPLE_TOOL = ToolSpec(
    "take_note",
    "description of the tool",
    {
        "type": "object",
        "properties": {
            "text": {"type": "string"},
            "count": {"type": "integer"},
            "tags": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["text"],
    },
)
SAMPLE_CALL = ToolCall(
    "call_0123456789abcdef", "take_note", {"text": 'An "ä"\n', "count": 2, "tags": ["a", "b"]}
)
SAMPLE_MESSAGES = (
    ChatMessage("system", "system text"),
    ChatMessage("user", "first question"),
    ChatMessage("assistant", "", (SAMPLE_CALL,)),
    ChatMessage("tool", "tool result", tool_call_id=SAMPLE_CALL.id),
    ChatMessage("assistant", "an answer"),
    ChatMessage("user", "next question"),
)
# What is left of a conversation may begin and go on anyhow.
_UNEVEN_MESSAGES = (
    SAMPLE_MESSAGES[0],
    *SAMPLE_MESSAGES[4:],
    *SAMPLE_MESSAGES[1:4],
    ChatMessage("user", "last question"),
    ChatMessage("user", "very last question"),
)
# Stands where a call would; shares no character with one at either end.
_STAND_IN = "§"
_QUOTED = 'a "quoted" wörd'


class Chat:
    """Renders prompts for one model: `style` is how it writes calls, `form` what it is given.

    Raises from its constructor ModelUnavailable: the template does not show what it is given.
    """

    def __init__(
        self, template: ChatTemplate, controls: Iterable[str], style: CallStyle | None = None
    ) -> None:
        """Try the template.

        Args:
            controls: texts of the vocabulary that no message may contain.
            style: the only one to be tried; None: whichever the template bears signs of.
        """
        self._template = template
        self._defuser = Defuser(controls)
        self.style, self.form = self._try_out((style,) if style else likely_styles(template.source))
        self._escaped = self._find_escaping()

    def render(self, prompt: Prompt) -> str:
        """Give the text a model continues.

        Raises:
            ModelUnavailable: the template refuses these messages.
        """
        return self._render(prompt, self.form)

    def written_call(self, call: ToolCall) -> str:
        """Give what the template writes for a call: what differs where a word stands instead."""
        return self._written(self.form, call)

    def shown(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Give arguments as a prompt shows them, control markers broken up."""
        return self._defuser.object(dict(arguments))

    def counted_forms(self, text: str) -> list[str]:
        """Give the forms in which a text may stand in the prompt; the longest counts."""
        forms = [text]
        if self._escaped is not None:
            forms.append(json.dumps(text, ensure_ascii=self._escaped)[1:-1])
        return [self._defuser.text(form) for form in forms]

    def _try_out(self, styles: Sequence[CallStyle]) -> tuple[CallStyle, MessageForm]:
        problem = None
        for style in styles:
            given = FORMATS[style].messages
            for form in _variants(given):
                try:
                    found = self._problem(style, form)
                except ModelUnavailable as error:
                    found = error
                if found is None:
                    return style, form
                if form == FORMATS[styles[-1]].messages:
                    problem = found
        assert problem is not None  # noqa: S101 - the last style was tried
        raise problem

    def _problem(self, style: CallStyle, form: MessageForm) -> ModelUnavailable | None:
        tools = (SAMPLE_TOOL,)
        for shown in (tools, ()):
            conversations = [SAMPLE_MESSAGES[:length] for length in (2, 4, 6)]
            for messages in (*conversations, _UNEVEN_MESSAGES):
                rendered = self._render(Prompt(messages, shown), form)
                if missing := _missing(messages, shown, rendered):
                    return ModelUnavailable(
                        "the model's chat template leaves out messages"
                        f" ({', '.join(missing)}); use a model whose template shows the system"
                        " message and every turn"
                    )
        if not form.in_words and not self._reads_back(style, form):
            return ModelUnavailable(f"the model's chat template does not write {style} calls")
        return None

    def _reads_back(self, style: CallStyle, form: MessageForm) -> bool:
        try:
            read = FORMATS[style].read(self._written(form, SAMPLE_CALL), (SAMPLE_TOOL,))
        except Unreadable:
            return False
        return isinstance(read, ToolCalls) and [
            (call.name, call.arguments) for call in read.calls
        ] == [(SAMPLE_CALL.name, SAMPLE_CALL.arguments)]

    def _written(self, form: MessageForm, call: ToolCall) -> str:
        opening = SAMPLE_MESSAGES[:2]
        texts = [
            self._render(Prompt((*opening, message), (SAMPLE_TOOL,)), form, to_be_continued=False)
            for message in (
                ChatMessage("assistant", "", (call,)),
                ChatMessage("assistant", _STAND_IN),
            )
        ]
        shared = _shared_start(*texts)
        return texts[0][shared:].removesuffix(texts[1].partition(_STAND_IN)[2])

    def _find_escaping(self) -> bool | None:
        """Find out whether the template writes texts as JSON; True: with non-ASCII escaped."""
        quoting = [replace(m, content=m.content and _QUOTED) for m in SAMPLE_MESSAGES]
        rendered = self._render(Prompt(tuple(quoting), (SAMPLE_TOOL,)), self.form)
        for ascii_only in (True, False):
            if json.dumps(_QUOTED, ensure_ascii=ascii_only)[1:-1] in rendered:
                return ascii_only
        return None

    def _render(self, prompt: Prompt, form: MessageForm, *, to_be_continued: bool = True) -> str:
        messages = [
            {**self._defuser.object(message), "role": message["role"]}
            for message in render_messages(prompt, form)
        ]
        tools = [self._defuser.object(tool) for tool in template_tools(prompt.tools, form)]
        if tools:
            return self._template.render(messages, tools, to_be_continued=to_be_continued)
        return self._without_tools(messages, to_be_continued)

    def _without_tools(self, messages: list[dict[str, Any]], to_be_continued: bool) -> str:
        # Templates test for tools in two ways: `is not none`, and a loop over what is there.
        try:
            return self._template.render(messages, None, to_be_continued=to_be_continued)
        except ModelUnavailable:
            return self._template.render(messages, [], to_be_continued=to_be_continued)


def _variants(form: MessageForm) -> list[MessageForm]:
    """Give the ways to work round what templates refuse, the least change first."""
    return [
        replace(form, system_in_user=folded, alternating=alternating)
        for folded in (False, True)
        for alternating in (False, True)
    ]


def _shared_start(one: str, other: str) -> int:
    pairs = enumerate(zip(one, other, strict=False))
    return next(
        (index for index, (left, right) in pairs if left != right), min(len(one), len(other))
    )


def _missing(
    messages: Sequence[ChatMessage], tools: Sequence[ToolSpec], rendered: str
) -> list[str]:
    texts = [message.content for message in messages]
    texts += [tool.name for tool in tools]  # a small model may be shown no more of them
    return [text for text in texts if text not in rendered]
