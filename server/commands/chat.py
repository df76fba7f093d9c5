"""`mnemon chat AGENT`: a conversation in the terminal."""

import sys
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import anyio
import anyio.to_thread

from agent.errors import AgentError
from agent.loop import Turn, TurnRunner
from memory.errors import InvalidValue
from server.config import Settings
from server.console import Console
from server.runtime import Runtime


def run(settings: Settings, options: dict[str, Any], console: Console) -> int:
    """Answer one message, or each line of stdin until it ends."""
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
    while (line := await anyio.to_thread.run_sync(_read_line, interactive)) is not None:
        if not line.strip():
            continue
        try:
            await answer(line)
        except (AgentError, InvalidValue) as error:
            console.fail(str(error))
            if not interactive:
                return 1
    return 0


def _read_line(interactive: bool) -> str | None:
    """The next line without its end; None at the end of input."""
    if interactive:
        sys.stderr.write("> ")
        sys.stderr.flush()
    line = sys.stdin.readline()
    return line.rstrip("\n") if line else None


def _as_json(turn: Turn) -> dict[str, Any]:
    return {
        "reply": turn.reply,
        "turn_id": turn.turn_id,
        "steps": turn.steps,
        "tools_used": list(turn.tools_used),
        "prompt_tokens": turn.prompt_tokens,
        "completion_tokens": turn.completion_tokens,
    }
