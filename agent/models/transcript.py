"""A prompt as the list of messages that a chat template renders, in either style of calling.

native: the template itself knows tools, calls and results.
json:   it does not; tools are described in the system message, calls are the assistant's words and
        results come in the user's turn. A reply is a call of SEND_MESSAGE there, as in MemGPT, so
        that one grammar covers whatever the model may do.
"""

import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from string import Template
from typing import Any, Literal

from agent.model import ChatMessage, Prompt, ToolSpec

CallStyle = Literal["native", "json"]
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
    calls = (call_text(call.name, call.arguments) for call in message.tool_calls)
    return "\n".join(part for part in (message.content, *calls) if part)


def offered_tools(tools: Sequence[ToolSpec], style: CallStyle) -> tuple[ToolSpec, ...]:
    """Give the tools the grammar knows: in json style with SEND_MESSAGE, whose name is reserved."""
    if style == "native" or not tools:
        return tuple(tools)
    return (*(tool for tool in tools if tool.name != SEND_MESSAGE), SEND_MESSAGE_SPEC)


def render_messages(prompt: Prompt, style: CallStyle) -> list[dict[str, Any]]:
    """Turn a prompt into the messages for the template, in the form OpenAI's API has them."""
    if style == "native":
        return [_native_message(message) for message in prompt.messages]
    return _merge_turns(_json_messages(prompt))


def template_tools(tools: Sequence[ToolSpec], style: CallStyle) -> list[dict[str, Any]]:
    """Give the tools for the template, as OpenAI's API has them; none in json style."""
    if style == "json":
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


def _native_message(message: ChatMessage) -> dict[str, Any]:
    rendered: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        rendered["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": dict(call.arguments)},
            }
            for call in message.tool_calls
        ]
    if message.tool_call_id is not None:
        rendered["tool_call_id"] = message.tool_call_id
    return rendered


def _json_messages(prompt: Prompt) -> list[dict[str, Any]]:
    messages = [_json_message(message, bool(prompt.tools)) for message in prompt.messages]
    if prompt.tools:
        described = _describe_tools(offered_tools(prompt.tools, "json"))
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
        if merged and merged[-1]["role"] == message["role"]:
            merged[-1]["content"] += "\n\n" + message["content"]
        else:
            merged.append(dict(message))
    return merged


def _describe_tools(tools: Sequence[ToolSpec]) -> str:
    template = Template(files("agent.models").joinpath("json_tools.md").read_text("utf-8").strip())
    lines = [
        f"- {tool.name}: {tool.description}\n"
        f"  arguments: {json.dumps(dict(tool.parameters), ensure_ascii=False)}"
        for tool in tools
    ]
    return template.substitute(tools="\n".join(lines))
