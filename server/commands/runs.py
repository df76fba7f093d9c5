"""`mnemon runs`: what an agent was asked and what came of it, and stopping it."""

from collections.abc import Callable
from typing import Any, Final

from server.command_words import for_a_person
from server.config import ConfigError, Settings
from server.console import Console
from server.counted import counted
from server.run_models import RunDetails, RunLine, RunPage, RunShown
from server.run_views import run_text, step_line
from server.tool_session import ToolSession, open_tools

_PAGE: Final = 100
"""As many as run_list gives at once."""


def run(settings: Settings, options: dict[str, Any], console: Console) -> int:
    """Do one of the actions."""
    with open_tools(settings) as tools:
        return _ACTIONS[options["action"]](tools, options, console)


def line_text(run: RunLine) -> str:
    """A run in a list, for people."""
    waits = f" for approval of {', '.join(run.pending)}" if run.pending else ""
    message = " ".join(run.message.split())
    state = f"{run.status}{waits}, {counted(run.steps, 'step')}"
    return f"{run.run_id}  {run.created_at}  {state}: {message}"


def waiting_text(shown: RunShown) -> str:
    """What a run waits with, for the person who decides."""
    wants = [f"- {call.tool} {call.arguments}  ({call.call_id})" for call in shown.pending]
    return "\n".join([f"{shown.run_id} waits until {shown.pending_until} for a yes:", *wants])


def person_text(shown: RunShown) -> str:
    """A run for people: the reply when it has one, else what to do."""
    if shown.status == "waiting":
        return f"{waiting_text(shown)}\ndecide it with: mnemon approve {shown.run_id}"
    return run_text(shown) if shown.status == "completed" else for_a_person(run_text(shown))


def listed(
    tools: ToolSession, which: dict[str, Any], limit: int | None = None
) -> tuple[list[RunLine], bool]:
    """Runs over all pages of run_list up to a limit, and whether there are more."""
    if limit is not None and limit < 1:
        raise ConfigError(f"--limit is {limit}; it must be at least 1")
    runs, cursor = list[RunLine](), None
    while True:
        size = _PAGE if limit is None else min(_PAGE, limit - len(runs))
        found = tools.call("run_list", {**which, "limit": size, "cursor": cursor})
        page = RunPage.model_validate(found)
        runs += page.runs
        cursor = page.next_cursor
        if cursor is None or len(runs) == limit:
            return runs, cursor is not None


def _list(tools: ToolSession, options: dict[str, Any], console: Console) -> int:
    runs, more = listed(tools, {"agent_id": options["agent_id"]}, options["limit"])
    text = "\n".join(map(line_text, runs)) or "no runs yet"
    if more:
        text += "\n… and earlier ones: --limit N"
    console.show([run.model_dump(mode="json") for run in runs], text)
    return 0


def _show(tools: ToolSession, options: dict[str, Any], console: Console) -> int:
    arguments = {"run_id": options["run_id"], "prompt_of_step": options["prompt"]}
    found = RunDetails.model_validate(tools.call("run_get", arguments))
    while found.next_cursor is not None:  # a long prompt comes in pieces
        more = RunDetails.model_validate(
            tools.call("run_get", {**arguments, "cursor": found.next_cursor})
        )
        prompt = (found.prompt or "") + (more.prompt or "")
        found = more.model_copy(update={"prompt": prompt})
    shown, lines = found.run, [person_text(found.run)]
    if options["prompt"] is not None:
        lines = [found.prompt or ""]
    elif options["steps"]:
        lines += [step_line(step) for step in found.steps]
    else:
        lines.append(
            f"{counted(shown.steps, 'step')}, {shown.prompt_tokens} tokens read"
            f" ({shown.cached_tokens} of them known), {shown.completion_tokens} written;"
            f" began {shown.created_at}, ended"
            f" {shown.ended_at or 'not yet'}"
        )
    console.show(found, "\n".join(lines))
    return 0


def _cancel(tools: ToolSession, options: dict[str, Any], console: Console) -> int:
    shown = RunShown.model_validate(tools.call("run_cancel", {"run_id": options["run_id"]}))
    console.show(shown, f"{shown.run_id} is {shown.status}")
    return 0


_ACTIONS: dict[str, Callable[[ToolSession, dict[str, Any], Console], int]] = {
    "list": _list,
    "show": _show,
    "cancel": _cancel,
}
