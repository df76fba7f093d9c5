"""The body of a chat completion request. Pure.

Only the tools that may be called now are sent. A server without a grammar cannot be held to fewer
than it was told of, and one with a grammar holds the model to what it was told; so tool rules cost
the server's prompt cache in the steps where they narrow the choice. For the same reason a call of
one certain tool is asked for as "required" with that tool alone, which more servers understand
than a named tool_choice.
"""

import json
from collections.abc import Sequence
from typing import Any

from agent.model import ChatMessage, Prompt, ToolSpec
from agent.models.chat_api.quirks import Quirks
from agent.models.tool_schema import sanitise_schema
from agent.models.transcript import AS_GIVEN, template_tools


def chat_request(model: str, prompt: Prompt, max_tokens: int, quirks: Quirks) -> dict[str, Any]:
    """The body that asks for an answer to a prompt, as a stream.

    Raises:
        ToolSchemaInvalid: names the tool.
    """
    body: dict[str, Any] = {
        **({"model": model} if model else {}),
        **prompt_fields(prompt.messages, prompt.callable_tools, quirks),
        "stream": True,
        quirks.max_tokens: max_tokens,
    }
    if quirks.usage:
        body["stream_options"] = {"include_usage": True}
    if prompt.temperature is not None:
        body["temperature"] = prompt.temperature
    if "tools" in body:
        if not prompt.may_reply and quirks.tool_choice:
            body["tool_choice"] = "required"
        if quirks.asks_parallel:
            body["parallel_tool_calls"] = True
    return body


def prompt_fields(
    messages: Sequence[ChatMessage], tools: Sequence[ToolSpec], quirks: Quirks
) -> dict[str, Any]:
    """The part of a request that becomes the prompt."""
    for tool in tools:
        sanitise_schema(tool.name, tool.parameters)  # refuses what an answer cannot be held to
    fields: dict[str, Any] = {"messages": _messages(messages, quirks.late_system)}
    if tools:
        fields["tools"] = template_tools(tools, AS_GIVEN)
    return fields


def encoded(body: dict[str, Any]) -> bytes:
    """JSON in UTF-8; lone surrogates, which UTF-8 does not have, as question marks."""
    return json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")


def _messages(messages: Sequence[ChatMessage], late_system: bool) -> list[dict[str, Any]]:
    """Neighbours of the user are joined: many templates refuse turns that do not alternate."""
    written: list[dict[str, Any]] = []
    for message in messages:
        role = message.role
        if role == "system" and written and not late_system:
            role = "user"  # templates refuse, or drop, a system message that is not the first
        if role == "user" and written and written[-1]["role"] == "user":
            written[-1]["content"] += "\n\n" + message.content
        else:
            written.append(_message(message, role))
    return written


def _message(message: ChatMessage, role: str) -> dict[str, Any]:
    written: dict[str, Any] = {"role": role, "content": message.content}
    if message.tool_calls:
        # Some providers refuse an empty text beside calls, and all know null there.
        written["content"] = message.content or None
        written["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {
                    "name": call.name,
                    "arguments": json.dumps(dict(call.arguments), ensure_ascii=False),
                },
            }
            for call in message.tool_calls
        ]
    if message.tool_call_id is not None:
        written["tool_call_id"] = message.tool_call_id
    return written
