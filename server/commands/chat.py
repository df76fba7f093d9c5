"""`mnemon chat AGENT`: a conversation in the terminal."""

import asyncio
import math
import os
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any

import anyio
import anyio.to_thread

from agent.errors import AgentError
from agent.loop import Turn, TurnRunner
from memory.errors import InvalidValue
from server.config import Settings
from server.console import Console
from server.lines import split_lines
from server.owner_questions import refuse_while_owned
from server.runtime import Runtime


def run(settings: Settings, options: dict[str, Any], console: Console) -> int:
    """Answer one message, or each line of stdin until it ends."""
    if settings.directory is not None:
        refuse_while_owned(settings.data)
    return anyio.run(partial(_chat, settings, options, console))


async def _chat(settings: Settings, options: dict[str, Any], console: Console) -> int:
    async with Runtime(settings) as runtime:
        state = await anyio.to_thread.run_sync(runtime.store.agent_state, options["agent"])
        async with runtime.runner_for(state.agent) as runner:
            answer = partial(_answer, runner, state.agent.id, console)
            if options["message"] is not None:
                await answer(options["message"])
                return 0
            if sys.stdin.isatty():
                console.note(f"talking to {state.agent.name}; end with Ctrl-D")
            return await _converse(answer, console)


async def _answer(runner: TurnRunner, agent_id: str, console: Console, text: str) -> None:
    async def announce(step: int, what: str) -> None:
        console.note(f"  [{what}]")

    turn = await runner.run(agent_id, text, announce)
    console.show(_as_json(turn), turn.reply)


async def _converse(answer: Callable[[str], Awaitable[None]], console: Console) -> int:
    """Answer each line of stdin; a failed answer ends it unless a person can try again."""
    interactive = sys.stdin.isatty()
    _prompt(interactive)
    async for line in _lines():
        try:
            if line.strip():
                await answer(line)
        except (AgentError, InvalidValue) as error:
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


def _as_json(turn: Turn) -> dict[str, Any]:
    return {
        "reply": turn.reply,
        "turn_id": turn.turn_id,
        "steps": turn.steps,
        "tools_used": list(turn.tools_used),
        "prompt_tokens": turn.prompt_tokens,
        "completion_tokens": turn.completion_tokens,
    }
