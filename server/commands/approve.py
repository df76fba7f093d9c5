"""`mnemon approve [RUN]`: decide what a run waits with, for hosts that cannot ask.

The run goes on in the process that hosts share, also when this command is ended meanwhile.
"""

from functools import partial
from typing import Any

import anyio
from mcp.shared.exceptions import MCPError

from server.commands.runs import line_text, listed, person_text, waiting_text
from server.config import ConfigError, Settings
from server.console import Console
from server.host_session import HostFailed, HostSession, innermost, open_session
from server.run_models import WRITING, PendingCall, RunDetails, RunShown
from server.tool_session import open_tools
from server.typed_lines import TypedLines


def run(settings: Settings, options: dict[str, Any], console: Console) -> int:
    """Show what waits, or decide it."""
    told = [name for name in ("yes", "deny", "call", "reason") if options[name]]
    if options["run_id"] is None and told:
        raise ConfigError(f"--{told[0]} needs a run: mnemon approve RUN --{told[0]}")
    with open_tools(settings) as tools:
        runs, _ = listed(tools, {"open": True})
    waiting = [line for line in runs if line.status == "waiting"]
    lines = TypedLines()
    asks = lines.by_person and not console.as_json
    if options["run_id"] is None and not (asks and waiting):
        text = "\n".join(map(line_text, waiting)) or "no run waits for a person"
        console.show([line.model_dump(mode="json") for line in waiting], text)
        return 0
    every = [line.run_id for line in waiting]
    chosen = every if options["run_id"] is None else [options["run_id"]]
    decide = _Deciding(options, console, lines if asks else None)
    try:
        return anyio.run(partial(decide.run, settings, chosen))
    except* (HostFailed, MCPError) as failed:
        raise HostFailed(str(innermost(failed))) from None
    finally:
        lines.close()


class _Deciding:
    """Decides runs by what the command was told, or by what the person answers."""

    def __init__(self, options: dict[str, Any], console: Console, lines: TypedLines | None) -> None:
        self._options, self._console, self._lines = options, console, lines

    async def run(self, settings: Settings, run_ids: list[str]) -> int:
        code = 0
        async with open_session(settings, self._options["given"], "mnemon approve") as session:
            for run_id in run_ids:
                code = max(code, await self._decide(session, run_id))
        return code

    async def _decide(self, session: HostSession, run_id: str) -> int:
        found = await session.call("run_get", {"run_id": run_id})
        shown = RunShown.model_validate(found["run"])
        while True:
            for call in shown.pending:
                if call.cut:
                    await _complete(session, shown.run_id, call)
            decision = await self._decision(shown)
            if decision is None:
                return 1 if self._lines else 2
            arguments = {"run_id": run_id, "approve": decision, "reason": self._options["reason"]}
            if shown.steps:  # so that a yes is one to what was shown, whatever waits by then
                arguments["step"] = shown.steps
            if self._options["call"] is not None:
                arguments["call_id"] = self._options["call"]
            try:
                done = await session.call("run_approve", arguments, self._tell)
            finally:
                self._console.end_preview()
            shown = RunShown.model_validate(done)
            # Only a person who reads what is next can decide it, too.
            if shown.status != "waiting" or self._lines is None or self._told:
                break
        self._console.show(shown, _text(shown))
        return 0

    @property
    def _told(self) -> bool:
        return bool(self._options["yes"] or self._options["deny"])

    async def _decision(self, shown: RunShown) -> bool | None:
        """Whether to approve; None: nobody says."""
        if shown.status != "waiting" or self._told:
            return not self._options["deny"]  # what does not wait is refused by the tool
        if self._lines is None:
            self._console.fail(f"not decided: {_text(shown)}\nTo decide it, add --yes or --deny")
            return None
        self._console.note(_text(shown))
        answer = (await self._lines.read("approve? [y/n, Enter: later] ") or "").lower()
        return {"y": True, "yes": True, "n": False, "no": False}.get(answer)

    async def _tell(self, message: str) -> None:
        if message.startswith(WRITING):
            self._console.preview(message.removeprefix(WRITING))


async def _complete(session: HostSession, run_id: str, call: PendingCall) -> None:
    """Fetch all arguments of a call: nobody approves what they have not seen."""
    asked = {"run_id": run_id, "call_id": call.call_id}
    call.arguments, cursor = "", None
    while True:
        found = RunDetails.model_validate(
            await session.call("run_get", {**asked, "cursor": cursor})
        )
        call.arguments += found.arguments or ""
        cursor = found.next_cursor
        if cursor is None:
            return


def _text(shown: RunShown) -> str:
    """A run for the person who decides."""
    return person_text(shown) if shown.status != "waiting" else waiting_text(shown)
