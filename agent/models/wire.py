"""What the frames mean: prompts, measures and errors as JSON, and back.

Requests are {"id", "op", ...} with op `load`, `measure`, `complete` or `forget`, and
{"op": "abort", "id"}. Answers are {"id", "result"}, {"id", "error"} or {"id", "stopped"}; before
them may come {"id", "alive"}, a sign of life while a request takes long, and {"id", "partial"}, the
output so far.
"""

from pathlib import Path
from typing import Any

from agent.errors import (
    ModelError,
    ModelFileInvalid,
    ModelUnavailable,
    PromptTooLong,
    ReplyRoomTooSmall,
    ToolSchemaInvalid,
)
from agent.model import ChatMessage, Prompt, ToolSpec
from memory.records import ToolCall


def tools_to_json(tools: tuple[ToolSpec, ...]) -> list[dict[str, Any]]:
    """Write tools as JSON."""
    return [
        {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)}
        for tool in tools
    ]


def tools_from_json(tools: list[dict[str, Any]]) -> tuple[ToolSpec, ...]:
    """Read what tools_to_json wrote."""
    return tuple(ToolSpec(t["name"], t["description"], t["parameters"]) for t in tools)


def prompt_to_json(prompt: Prompt) -> dict[str, Any]:
    """Write a prompt as JSON."""
    messages = [
        {
            "role": message.role,
            "content": message.content,
            "tool_call_id": message.tool_call_id,
            "tool_calls": [
                {"id": call.id, "name": call.name, "arguments": dict(call.arguments)}
                for call in message.tool_calls
            ],
        }
        for message in prompt.messages
    ]
    return {
        "messages": messages,
        "tools": tools_to_json(prompt.tools),
        "allowed": None if prompt.allowed is None else sorted(prompt.allowed),
        "may_reply": prompt.may_reply,
        "agent_id": prompt.agent_id,
        "temperature": prompt.temperature,
    }


def prompt_from_json(prompt: dict[str, Any]) -> Prompt:
    """Read what prompt_to_json wrote."""
    messages = tuple(
        ChatMessage(
            role=message["role"],
            content=message["content"],
            tool_calls=tuple(
                ToolCall(call["id"], call["name"], call["arguments"])
                for call in message["tool_calls"]
            ),
            tool_call_id=message["tool_call_id"],
        )
        for message in prompt["messages"]
    )
    allowed = prompt["allowed"]
    return Prompt(
        messages,
        tools_from_json(prompt["tools"]),
        None if allowed is None else frozenset(allowed),
        prompt["may_reply"],
        prompt["agent_id"],
        prompt["temperature"],
    )


def error_to_json(error: ModelError) -> dict[str, Any]:
    """Write an error the worker answers with; any other kind of error lets the worker die."""
    match error:
        case PromptTooLong():
            return {
                "kind": "too_long",
                "prompt_tokens": error.prompt_tokens,
                "limit_tokens": error.limit_tokens,
            }
        case ReplyRoomTooSmall():
            sizes = {"needed_tokens": error.needed_tokens, "max_tokens": error.max_tokens}
            return {"kind": "room", **sizes}
        case ModelFileInvalid():
            return {"kind": "file", "path": str(error.path), "problem": error.problem}
        case ToolSchemaInvalid():
            return {"kind": "schema", "tool": error.tool, "problem": error.problem}
        case _:
            return {"kind": "unavailable", "message": str(error)}


def error_from_json(error: dict[str, Any]) -> ModelError:
    """Read what error_to_json wrote."""
    match error["kind"]:
        case "too_long":
            return PromptTooLong(error["prompt_tokens"], error["limit_tokens"])
        case "room":
            return ReplyRoomTooSmall(error["needed_tokens"], error["max_tokens"])
        case "file":
            return ModelFileInvalid(Path(error["path"]), error["problem"])
        case "schema":
            return ToolSchemaInvalid(error["tool"], error["problem"])
        case _:
            return ModelUnavailable(error["message"])
