"""Harmony, of gpt-oss: messages in channels, each `<|channel|>NAME ...<|message|>TEXT<|end|>`.

analysis is reasoning and is dropped, final is the reply, commentary is said before a call or is
one: `<|channel|>commentary to=functions.NAME <|constrain|>json<|message|>{...}<|call|>`. One call
an answer. The prompt ends with `<|start|>assistant`, as a further message begins. `<|call|>` and
`<|return|>` end the output and are not in its text.
"""

import re
from collections.abc import Sequence

from agent.model import Parsed, Prompt, ToolCalls, ToolSpec
from agent.models.formats.call_format import CallFormat, Markers, quoted
from agent.models.formats.reading import (
    Unreadable,
    checked_call,
    expect_end,
    read_json,
    reply,
)
from agent.models.formats.rules import TEXT, json_rule, until
from agent.models.formats.showing import without_beginning_of
from agent.models.tool_schema import sanitise_schema
from agent.models.transcript import MessageForm

START, CHANNEL, MESSAGE = "<|start|>", "<|channel|>", "<|message|>"
CONSTRAIN, END, CALL, RETURN = "<|constrain|>", "<|end|>", "<|call|>", "<|return|>"
_RECIPIENT = re.compile(r"\bto=functions\.(\S+?)(?=\s|<\||$)")


def _grammar(prompt: Prompt, markers: Markers) -> list[str]:
    channel, message = markers.of(CHANNEL).lark, markers.of(MESSAGE).lark
    rules = [
        TEXT,
        "start: aside* answer",
        f'aside: {channel} ("analysis" | "commentary") {message} said {markers.of(START).lark}'
        ' "assistant"',
        until("said", markers.of(END)),
    ]
    tools = prompt.callable_tools
    final = f'{channel} "final" {message} TEXT'
    if not tools:
        return [*rules, f"answer: {final}"]
    rules += [
        f"answer: {final} | call" if prompt.may_reply else "answer: call",
        # Models write it in the first way, the templates in the second.
        f'call: {channel} "commentary to=functions." behind | " to=functions." before',
        "behind: " + " | ".join(f"behind_{index}" for index in range(len(tools))),
        "before: " + " | ".join(f"before_{index}" for index in range(len(tools))),
        f'form: " " {markers.of(CONSTRAIN).lark} "json" | " json"',
    ]
    for index, tool in enumerate(tools):
        arguments = json_rule(sanitise_schema(tool.name, tool.parameters))
        name = quoted(tool.name)
        rules += [
            f"body_{index}: form {message} {arguments}",
            f"behind_{index}: {name} body_{index}",
            f'before_{index}: {name} {channel} "commentary" body_{index}',
        ]
    return rules


def _read(text: str, tools: Sequence[ToolSpec]) -> Parsed:
    asides: list[str] = []
    position = 0
    while (opened := text.find(MESSAGE, position)) >= 0:
        header, start = text[position:opened], opened + len(MESSAGE)
        recipient = _RECIPIENT.search(header)
        if recipient and tools:
            arguments, end = read_json(text, start)
            expect_end(text.removesuffix(CALL), end)
            call = checked_call(recipient[1], arguments, tools)
            return ToolCalls((call,), "\n".join(asides))
        if "final" in header:
            return reply(text[start:].removesuffix(RETURN))
        said, _, _ = text[start:].partition(END)
        position = start + len(said) + len(END)
        if "commentary" in header and said.strip():
            asides.append(said.strip())
    if rest := text[position:].strip():
        raise Unreadable(f"{MESSAGE} expected behind {rest[:80]!r}")
    raise Unreadable("it says nothing in its final channel")


def _so_far(text: str, _with_tools: bool) -> str:
    _, opened, said = text.partition(f"{CHANNEL}final{MESSAGE}")
    return without_beginning_of(RETURN, said).strip() if opened else ""


HARMONY = CallFormat(
    signs=("tools", CHANNEL, MESSAGE),
    markers=(START, CHANNEL, MESSAGE, CONSTRAIN, END),
    grammar=_grammar,
    read=_read,
    so_far=_so_far,
    messages=MessageForm(one_call=True),
)
