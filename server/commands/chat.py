"""`mnemon chat AGENT`: a conversation in the terminal.

A host like any other: it starts `mnemon mcp`, so it shares the owner with whoever is connected, and
an answer survives the owner's death.
"""

import asyncio
import math
import os
import re
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any, Final

import anyio
from mcp import Client, StdioServerParameters
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult, Implementation, TextContent

from server.config import Settings
from server.console import Console
from server.errors import OperatorError
from server.front_flags import NAMES
from server.lines import split_lines
from server.memory_uris import message_uri
from server.owner_questions import ask_owner, describe_owner

_KEYS: Final = re.compile(r"\x1b\[[0-9;]*[A-Za-z~]|[\x00-\x08\x0b-\x1f\x7f]")
"""What arrow keys and their like leave in a line that a terminal does not edit."""


class ChatFailed(OperatorError):
    """There is no answer; the message says why."""


def run(settings: Settings, options: dict[str, Any], console: Console) -> int:
    """Answer one message, or each line of stdin until it ends."""
    _check_settings(settings, options["given"])
    try:
        return anyio.run(partial(_chat, _server(settings, options["given"]), options, console))
    except* (ChatFailed, MCPError) as failed:
        found = _innermost(failed)
        said = str(found) if isinstance(found, ChatFailed) else f"there is no answer: {found}"
        raise ChatFailed(said) from None


def _check_settings(settings: Settings, given: dict[str, Any]) -> None:
    """Refuse settings that the owner does not have and will not take while it has hosts."""
    status = ask_owner(settings.data, "status") if settings.directory else None
    if status is None or (status["background"] and not status["hosts"]):
        return
    wanted = settings.model_dump(mode="json")
    for name, value in status["settings"].items():
        if name in given and wanted[name] != value:
            raise ChatFailed(
                f"{settings.data} is {describe_owner(status)} with {name} {value or 'not set'}, and"
                f" all share it; leave --{name.replace('_', '-')} out, or set it in"
                f" {settings.data}/config.toml and run `mnemon stop`"
            )


def _innermost(error: BaseException) -> BaseException:
    """The first error in groups of groups, as tasks inside tasks leave them."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _server(settings: Settings, given: dict[str, Any]) -> StdioServerParameters:
    """How the front is started: with the flags that this command was given."""
    flags = {name.replace("_", "-"): str(value) for name, value in given.items()}
    flags |= {"data": settings.data, "toolset": "full"}
    arguments = [f"--{name}={value}" for name, value in flags.items() if name in NAMES]
    program = ["-P", "-m", "server.cli", "mcp"]  # -P: a folder `server` here is not ours
    return StdioServerParameters(
        command=sys.executable, args=[*program, *arguments], env=dict(os.environ)
    )


async def _chat(server: StdioServerParameters, options: dict[str, Any], console: Console) -> int:
    me = Implementation(name="mnemon chat", version="1")
    async with Client(server, mode="legacy", client_info=me) as client:
        shown = await _call(client, console, "agent_get", {"agent_id": options["agent_id"]})
        answer = partial(_answer, client, shown["id"], console)
        if options["message"] is not None:
            await answer(options["message"])
            return 0
        if sys.stdin.isatty():
            console.note(f"talking to {shown['name']}; end with Ctrl-D or /quit")
        return await _converse(answer, console)


async def _answer(client: Client, agent_id: str, console: Console, text: str) -> None:
    arguments = {"agent_id": agent_id, "message": text}
    turn = await _call(client, console, "agent_message", arguments)
    if turn.pop("cut"):
        turn["reply"] = await _whole(client, console, agent_id, turn["message_id"])
    console.show(turn, turn["reply"])


async def _whole(client: Client, console: Console, agent_id: str, message_id: str) -> str:
    """A reply that was too long for its own answer."""
    arguments = {"uri": message_uri(agent_id, message_id)}
    text: str = ""
    while True:
        piece = await _call(client, console, "memory_read", arguments)
        text += piece["text"]
        if piece["next_cursor"] is None:
            return text.partition(": ")[2]  # without when and by whom
        arguments["cursor"] = piece["next_cursor"]


async def _call(
    client: Client, console: Console, tool: str, arguments: dict[str, Any]
) -> dict[str, Any]:
    async def announce(progress: float, total: float | None, message: str | None) -> None:
        console.note(f"  [{message}]")

    result: CallToolResult = await client.call_tool(tool, arguments, progress_callback=announce)
    if result.is_error:
        (content,) = result.content
        raise ChatFailed(content.text if isinstance(content, TextContent) else "no answer")
    found: dict[str, Any] = result.structured_content or {}
    return found


async def _converse(answer: Callable[[str], Awaitable[None]], console: Console) -> int:
    """Answer each line of stdin; a failed answer ends it unless a person can try again."""
    interactive = sys.stdin.isatty()
    _prompt(interactive)
    async for line in _lines():
        said = _KEYS.sub("", line).strip() if interactive else line.strip()
        if interactive and said in ("/quit", "/exit"):
            break
        try:
            if said:
                await answer(said)
        except ChatFailed as error:
            console.fail(str(error))
            if not interactive:
                return 1
        _prompt(interactive)
    return 0


def _prompt(interactive: bool) -> None:
    if interactive:
        sys.stderr.write("> ")
        sys.stderr.flush()


async def _lines() -> AsyncIterator[str]:
    """Lines of stdin, read on a thread that Ctrl-C need not wait for."""
    send, receive = anyio.create_memory_object_stream[str](math.inf)
    loop = asyncio.get_running_loop()

    def pump() -> None:
        # os.read, not sys.stdin: its lock, held while waiting, would hold up the exit.
        with suppress(OSError, RuntimeError):  # the terminal or the loop is gone
            for line in split_lines(iter(lambda: os.read(0, 65_536), b"")):
                text = line.decode("utf-8", "replace")
                loop.call_soon_threadsafe(send.send_nowait, text)
            loop.call_soon_threadsafe(send.close)

    threading.Thread(target=pump, name="stdin", daemon=True).start()
    with receive:
        async for line in receive:
            yield line
