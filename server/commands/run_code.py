"""`mnemon run-code AGENT [FILE]`: run Python in the sandbox, in the workspace of an agent."""

import sys
from functools import partial
from pathlib import Path
from typing import Any

import anyio
from mcp.shared.exceptions import MCPError

from server.code_models import CodeRan
from server.code_tools import ran_text
from server.command_words import result_for_a_person
from server.config import ConfigError, Settings, expanded
from server.console import Console
from server.host_session import HostFailed, innermost, open_session


def run(settings: Settings, options: dict[str, Any], console: Console) -> int:
    """Print what came of it; exit 1 when it failed."""
    arguments = {"agent_id": options["agent_id"], "code": _code(options["file"])}
    if options["wall_s"] is not None:
        arguments["wall_s"] = options["wall_s"]
    try:
        ran = anyio.run(partial(_run, settings, options["given"], arguments))
    except* (HostFailed, MCPError) as failed:
        raise HostFailed(str(innermost(failed))) from None
    console.show(ran, result_for_a_person(ran_text(ran), "", options["agent_id"]))
    return int(ran.status != "ok")


async def _run(settings: Settings, given: dict[str, Any], arguments: dict[str, Any]) -> CodeRan:
    async with open_session(settings, given, "mnemon run-code") as session:
        return CodeRan.model_validate(await session.call("run_code", arguments))


def _code(file: str) -> str:
    if file == "-":
        return sys.stdin.read()
    path = expanded(Path(file))
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is no UTF-8 text: {error.reason}") from error
