"""Runs as hosts see them, within what a reply may hold."""

import json
from typing import Final

from agent.approval import Pending
from agent.live_run import LiveRun
from memory.records import ToolCall
from memory.runs import Run, StepTaken
from server.counted import counted
from server.memory_tools import with_cursor
from server.memory_uris import message_uri
from server.reply_size import PAGE_BYTES, first_of, shortened
from server.run_models import (
    ContextShown,
    PendingCall,
    RunDetails,
    RunLine,
    RunPage,
    RunShown,
    StepShown,
)

_NAMES_BYTES: Final = 1_000
_ARGUMENTS_BYTES: Final = 4_000
_TEXT_BYTES: Final = 1_500
_MESSAGE_BYTES: Final = 200


def show_run(live: LiveRun, reply_bytes: int = PAGE_BYTES) -> RunShown:
    """A run as it is now. reply_bytes: as much of its reply is shown at most."""
    run = live.run
    reply = live.reply
    if run.reply_id is not None:
        reply = shortened(
            reply, reply_bytes, f"memory_read {message_uri(live.agent_id, run.reply_id)}"
        )
    pending = None if run.pending is None else Pending.from_json(run.pending)
    return RunShown(
        run_id=run.id,
        agent_id=live.agent_id,
        status=run.status,
        stop_reason=run.stop_reason,
        reply=reply,
        cut=reply != live.reply,
        message_id=run.reply_id,
        steps=run.steps,
        tools_used=first_of(live.tools_used, _NAMES_BYTES),
        place=live.place,
        text=shortened(live.text[-_TEXT_BYTES:], _TEXT_BYTES, "run_get"),
        pending=_calls(pending),
        pending_until=_until(pending),
        error=run.error and shortened(run.error, _TEXT_BYTES, "the log"),
        prompt_tokens=run.usage.prompt_tokens,
        completion_tokens=run.usage.completion_tokens,
        cached_tokens=run.usage.cached_tokens,
        created_at=run.created_at.isoformat(timespec="seconds"),
        ended_at=None if run.ended_at is None else run.ended_at.isoformat(timespec="seconds"),
    )


def run_line(agent_id: str, run: Run) -> RunLine:
    """A run in a list."""
    pending = None if run.pending is None else Pending.from_json(run.pending)
    return RunLine(
        run_id=run.id,
        agent_id=agent_id,
        status=run.status,
        stop_reason=run.stop_reason,
        message=shortened(run.message, _MESSAGE_BYTES, f"run_get {run.id}"),
        steps=run.steps,
        created_at=run.created_at.isoformat(timespec="seconds"),
        pending=[] if pending is None else [call.name for call in pending.calls],
        pending_until=_until(pending),
    )


def show_step(step: StepTaken) -> StepShown:
    """A step of a run."""
    return StepShown(
        number=step.number,
        outcome=step.outcome[:_NAMES_BYTES],
        model=step.model,
        prompt_tokens=step.usage.prompt_tokens,
        completion_tokens=step.usage.completion_tokens,
        cached_tokens=step.usage.cached_tokens,
        started_at=step.started_at.isoformat(timespec="milliseconds"),
        ended_at=step.ended_at.isoformat(timespec="milliseconds"),
        error=step.error and shortened(step.error, _MESSAGE_BYTES, "the log"),
    )


def run_text(shown: RunShown) -> str:
    """A run as a model reads it: the reply when it has one, else what to do."""
    match shown.status:
        case "completed" if shown.reply or not shown.error:
            return shown.reply or f"Run {shown.run_id} ended ({shown.stop_reason}) without text."
        case "waiting":
            wants = "\n".join(f"- {call.tool} {call.arguments}" for call in shown.pending)
            return (
                f"Run {shown.run_id} waits until {shown.pending_until} for a person to approve:\n"
                f"{wants}\nAsk them; then call run_approve with this run_id and approve true or"
                " false."
            )
        case "queued":
            return (
                f"Run {shown.run_id} is queued; {shown.place} of the agent's runs come before it."
                " run_get tells what came of it."
            )
        case "running":
            said = f" So far: {shown.text}" if shown.text else ""
            return f"Run {shown.run_id} is running, {counted(shown.steps, 'step')} done.{said}"
        case _:
            why = shown.error or shown.stop_reason
            said = f"Run {shown.run_id} {shown.status}"
            return said if why == shown.status else f"{said}: {why}"


def step_line(step: StepShown) -> str:
    """A step of a run as a model or a person reads it."""
    return (
        f"Step {step.number}: {step.outcome} ({step.prompt_tokens} + {step.completion_tokens}"
        f" tokens, {step.cached_tokens} cached){': ' + step.error if step.error else ''}"
    )


def details_text(details: RunDetails) -> str:
    """A run with its steps as a model reads it."""
    lines = [run_text(details.run)]
    lines += map(step_line, details.steps)
    lines += [text for text in (details.prompt, details.arguments) if text is not None]
    return with_cursor("\n".join(lines), details.next_cursor)


def page_text(page: RunPage) -> str:
    """A list of runs as a model reads it."""
    lines = [
        f"- {run.run_id} {run.status}"
        + (f" until {run.pending_until} ({', '.join(run.pending)})" if run.pending else "")
        + f", {run.created_at}: {run.message}"
        for run in page.runs
    ]
    return with_cursor("\n".join(lines) or "No runs.", page.next_cursor)


def context_text(shown: ContextShown) -> str:
    """A context window as a model reads it."""
    lines = [
        f"{shown.used_tokens} of {shown.window_tokens} tokens ({shown.counted}),"
        f" {shown.reply_tokens} kept for the reply; {counted(shown.messages, 'message')} in the"
        f" window, {shown.messages_outside} only in recall memory."
    ]
    lines += [f"- {section.name}: {section.tokens} tokens" for section in shown.sections]
    if shown.text is not None:
        lines.append(shown.text)
    return with_cursor("\n".join(lines), shown.next_cursor)


def _until(pending: Pending | None) -> str | None:
    return None if pending is None else pending.until.isoformat(timespec="seconds")


def arguments_text(call: ToolCall) -> str:
    """All arguments of a call, for whoever decides it."""
    return json.dumps(dict(call.arguments), ensure_ascii=False)


def _calls(pending: Pending | None) -> list[PendingCall]:
    """All calls that wait, as long as each may be: nobody approves what they are not shown."""
    if pending is None or not pending.calls:
        return []
    room = _ARGUMENTS_BYTES // len(pending.calls)
    found = list[PendingCall]()
    for call in pending.calls:
        whole = arguments_text(call)
        shown = shortened(whole, room, f"run_get with call_id {call.id}")
        found.append(
            PendingCall(call_id=call.id, tool=call.name, arguments=shown, cut=shown != whole)
        )
    return found
