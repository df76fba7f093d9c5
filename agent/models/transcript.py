"""A prompt as the list of messages that a chat template renders.

Most templates know tools, calls and results themselves; they differ in the ids they take and in how
many calls one message may have. json style is for all others: tools are described in the system
message, calls are the assistant's words and results come in the user's turn. A reply is a call of
SEND_MESSAGE there, as in MemGPT, so that one grammar covers whatever the model may do.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from string import Template
from typing import Any, Literal

from agent.model import ChatMessage, Prompt, ToolSpec

CallStyle = Literal[
    "hermes", "qwen", "llama", "mistral-list", "mistral-args", "harmony", "gemma", "json"
]
"""How a model writes calls: the keys of formats/table.py."""

SEND_MESSAGE = "send_message"
SEND_MESSAGE_SPEC = ToolSpec(
    SEND_MESSAGE,
    "Say something to the user. Ends your turn.",
    {"type": "object", "properties": {"message": {"type": "string"}}, "required": ["message"]},
)


def call_text(name: str, arguments: Mapping[str, Any]) -> str:
    """Write a call as models are trained to: name first, one space after colon and comma."""
    return json.dumps({"name": name, "arguments": dict(arguments)}, ensure_ascii=False)


def message_text(message: ChatMessage) -> str:
    """Give the text of a message that counts against the window: its content and its calls."""
    if not message.tool_calls:
        return message.content
    calls = (call_text(call.name, call.arguments) for call in message.tool_calls)
    return "\n".join(part for part in (message.content, *calls) if part)


@dataclass(frozen=True, slots=True)
class MessageForm:
    """How a template takes messages.

    in_words: it knows no tools: all of them, calls and results are put in words.
    one_call: a message has at most one call and no text beside it.
    short_ids: ids of calls are nine letters or digits.
    system_in_user: it refuses a system message; its text begins the first user's.
    alternating: user and assistant must take turns, the user first, calls and results aside.
    """

    in_words: bool = False
    one_call: bool = False
    short_ids: bool = False
    system_in_user: bool = False
    alternating: bool = False


AS_GIVEN = MessageForm()
IN_WORDS = MessageForm(in_words=True)


def offered_tools(tools: Sequence[ToolSpec]) -> tuple[ToolSpec, ...]:
    """Give the tools that json style offers: with SEND_MESSAGE, whose name is reserved."""
    if not tools:
        return ()
    return (*(tool for tool in tools if tool.name != SEND_MESSAGE), SEND_MESSAGE_SPEC)


def render_messages(prompt: Prompt, form: MessageForm) -> list[dict[str, Any]]:
    """Turn a prompt into the messages for the template, in the form OpenAI's API has them."""
    if form.in_words:
        messages = _merge_turns(_json_messages(prompt))
    else:
        given = _one_call_each(prompt.messages) if form.one_call else prompt.messages
        messages = [_native_message(message, form) for message in given]
    if form.system_in_user:
        messages = _system_in_user(messages)
    return list(_alternating(messages)) if form.alternating else messages


def template_tools(tools: Sequence[ToolSpec], form: MessageForm) -> list[dict[str, Any]]:
    """Give the tools for the template, as OpenAI's API has them; none where they are in words."""
    if form.in_words:
        return []
    return [
        {
            "type": "function",
            "function": {
                "name": tool.name,
                "description": tool.description,
                "parameters": dict(tool.parameters),
            },
        }
        for tool in tools
    ]


def _native_message(message: ChatMessage, form: MessageForm) -> dict[str, Any]:
    rendered: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        rendered["tool_calls"] = [
            {
                "id": _call_id(call.id, form),
                "type": "function",
                "function": {"name": call.name, "arguments": dict(call.arguments)},
            }
            for call in message.tool_calls
        ]
    if message.tool_call_id is not None:
        rendered["tool_call_id"] = _call_id(message.tool_call_id, form)
    return rendered


def _call_id(id_: str, form: MessageForm) -> str:
    # A digest, not a part: ids may come from anywhere and must stay apart.
    return hashlib.sha256(id_.encode("utf-8", "replace")).hexdigest()[:9] if form.short_ids else id_


def _one_call_each(messages: Sequence[ChatMessage]) -> Iterator[ChatMessage]:
    """Give each call a message of its own, followed by its result; text beside calls, too."""
    results = {m.tool_call_id: m for m in messages if m.role == "tool"}
    placed: set[int] = set()
    for message in messages:
        if not message.tool_calls:
            if id(message) not in placed:
                yield message
            continue
        if message.content:
            yield ChatMessage("assistant", message.content)
        for call in message.tool_calls:
            yield ChatMessage("assistant", "", (call,))
            if (result := results.get(call.id)) is not None and id(result) not in placed:
                placed.add(id(result))
                yield result


def _system_in_user(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if not messages or messages[0]["role"] != "system":
        return messages
    system, *rest = messages
    return _merge_turns([{"role": "user", "content": system["content"]}, *rest[:1]]) + rest[1:]


def _alternating(messages: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Join neighbours and, where calls or nothing stand between, let the other say `...`."""
    spoke = "assistant"
    for message in _merge_turns(messages):
        if message["role"] in ("user", "assistant") and not message.get("tool_calls"):
            if message["role"] == spoke:
                yield {"role": "user" if spoke == "assistant" else "assistant", "content": "..."}
            spoke = message["role"]
        yield message


def _json_messages(prompt: Prompt) -> list[dict[str, Any]]:
    messages = [_json_message(message, bool(prompt.tools)) for message in prompt.messages]
    if prompt.tools:
        described = _describe_tools(offered_tools(prompt.tools))
        if messages and messages[0]["role"] == "system":
            messages[0]["content"] += "\n\n" + described
        else:
            messages.insert(0, {"role": "system", "content": described})
    return messages


def _json_message(message: ChatMessage, with_tools: bool) -> dict[str, Any]:
    match message.role:
        case "tool":
            return {"role": "user", "content": "Function result: " + message.content}
        case "assistant" if message.tool_calls:
            return {"role": "assistant", "content": message_text(message)}
        case "assistant" if with_tools:
            said = call_text(SEND_MESSAGE, {"message": message.content})
            return {"role": "assistant", "content": said}
        case _:
            return {"role": message.role, "content": message.content}


def _merge_turns(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Join neighbours of one role: many templates refuse turns that do not alternate."""
    merged: list[dict[str, Any]] = []
    for message in messages:
        if merged and _can_join(merged[-1], message):
            merged[-1]["content"] += "\n\n" + message["content"]
        else:
            merged.append(dict(message))
    return merged


def _can_join(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return one["role"] == other["role"] and one.keys() == other.keys() == {"role", "content"}


def _describe_tools(tools: Sequence[ToolSpec]) -> str:
    template = Template(files("agent.models").joinpath("json_tools.md").read_text("utf-8").strip())
    lines = [
        f"- {tool.name}: {tool.description}\n"
        f"  arguments: {json.dumps(dict(tool.parameters), ensure_ascii=False)}"
        for tool in tools
    ]
    return template.substitute(tools="\n".join(lines))
