"""Talking to agents: giving them messages, and the runs that come of it.

What runs do is agent/runs.py's; here is what hosts are told of them, and who is asked.
"""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

import anyio

from agent.approval import Decision, waiting_calls
from agent.errors import NotWaiting
from agent.live_run import LiveRun, Said
from memory import agents, runs
from memory.errors import InvalidValue
from memory.runs import Run, list_runs, open_runs
from memory.transaction import Reader
from server.approvals import FORM
from server.memory_access import MemoryAccess
from server.memory_tools import DELEGATING
from server.memory_uris import piece_of
from server.once import request_of, run_of
from server.registry import Call, Tool
from server.reply_size import PAGE_BYTES, fitting, json_bytes
from server.run_models import (
    WRITING,
    ApproveRun,
    CancelRun,
    DecidedStep,
    GetRun,
    ListRuns,
    RunDetails,
    RunPage,
    RunShown,
    SendMessage,
)
from server.run_views import (
    arguments_text,
    details_text,
    page_text,
    run_line,
    run_text,
    show_run,
    show_step,
)

if TYPE_CHECKING:  # hosts list the tools before DuckDB is imported
    from agent.runs import Runs
    from memory.store import MemoryStore

_STEPS_SHOWN: Final = 20
_STEPS_BYTES: Final = 1_500
"""Of a reply's room, for the newest steps at least."""
_TOLD_CHARS: Final = 200
"""Of a reply that is being written, in a notice of progress."""
_TOLD_EVERY_S: Final = 0.1
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class RunTools:
    """What the tools do."""

    access: MemoryAccess

    async def message(self, call: Call, a: SendMessage) -> RunShown:
        """agent_message."""
        runs = (await self.access.runtime()).runs
        state = await self.access.state(call.caller, a.agent_id)
        request = request_of(call, "agent_message", a)
        said = Said(
            state.agent.id,
            a.message,
            _actor(call),
            None if request is None else run_of(request),
            call.caller.agents,
        )
        if a.background:
            return show_run(await runs.start(said))
        live = await self._asked_about(call, runs, said) or await runs.waiting_for_answer(said)
        if live is None or not live.is_finished:
            live = await self._followed(call, live or await runs.prepare(said), runs.take)
        return show_run(await self._approved(call, runs, state.agent.name, live))

    async def get(self, call: Call, a: GetRun) -> RunDetails:
        """run_get."""
        runs = (await self.access.runtime()).runs
        live = await runs.find(a.run_id, call.caller.agents)
        if a.wait_s > 0 and not live.is_finished:
            with anyio.move_on_after(a.wait_s):
                await self._watched(call, live)

        def work(_: "MemoryStore", reader: Reader) -> RunDetails:
            return _details(reader, live, a)

        return await self.access.read(call.caller, work)

    async def list(self, call: Call, a: ListRuns) -> RunPage:
        """run_list."""
        if a.agent_id is None and not a.open:
            raise InvalidValue("name an agent_id, or say open for those of all agents")
        runs = (await self.access.runtime()).runs
        before = _moment(a.cursor)

        def work(_: "MemoryStore", reader: Reader) -> list[tuple[str, Run]]:
            agent = None if a.agent_id is None else agents.find_agent(reader, a.agent_id)
            if agent is None or a.open:
                found = _by_id(open_runs(reader))
            else:
                stored = list_runs(reader, agent, before, a.limit + 1)
                found = _by_id((agent.id, run) for run in stored)
            # What is in work is further than its row, if it has one.
            visible = reader.visible
            live = [live for live in runs.all() if visible is None or live.agent_id in visible]
            found |= _by_id((live.agent_id, live.run) for live in live)
            return [
                (agent_id, run)
                for agent_id, run in found.values()
                if (agent is None or agent_id == agent.id)
                and (before is None or run.created_at < before)
            ]

        found = await self.access.read(call.caller, work)
        found.sort(key=lambda of: of[1].created_at, reverse=True)
        shown = [run_line(agent_id, run) for agent_id, run in found[: a.limit]]
        count = fitting([json_bytes(line.model_dump()) + 1 for line in shown], PAGE_BYTES)
        more = len(found) > count
        last = found[count - 1][1].created_at if count else _EPOCH
        return RunPage(
            runs=shown[:count],
            next_cursor=str((last - _EPOCH) // timedelta(microseconds=1)) if more else None,
        )

    async def cancel(self, call: Call, a: CancelRun) -> RunShown:
        """run_cancel."""
        runs = (await self.access.runtime()).runs
        await runs.cancel(a.run_id, call.caller.agents)
        return show_run(await runs.find(a.run_id, call.caller.agents))

    async def approve(self, call: Call, a: ApproveRun) -> RunShown:
        """run_approve."""
        runs = (await self.access.runtime()).runs
        decision = Decision(a.approve, a.reason, a.step)
        live = await runs.find(a.run_id, call.caller.agents)
        step = DecidedStep(run_id=live.run.id, number=live.run.steps)
        before = await self.access.first_result(call, "run_approve", a, DecidedStep)
        if before is None and live.run.status == "waiting":
            await self.access.write(call, "run_approve", a, DecidedStep, lambda *_: step)
        elif before is not None and (live.run.status != "waiting" or before != step):
            # The same call again, as after the death of the process that decided.
            return show_run(await self._followed(call, live, partial(_joined, runs)))

        async def decide(_: LiveRun) -> LiveRun:
            visible = call.caller.agents
            return await runs.decide(a.run_id, decision, visible, a.call_id, detached=True)

        # What the run may wait with next is another decision: nobody is asked here.
        return show_run(await self._followed(call, live, decide))

    async def _asked_about(self, call: Call, runs: "Runs", said: Said) -> LiveRun | None:
        """The run of a call that comes again with a person's answer, as in the newer era."""
        if call.ask is None or not call.ask.answered.startswith("run-"):
            return None
        live = await runs.find(call.ask.answered.partition(":")[0], said.visible)
        same = (live.agent_id, live.run.message) == (said.agent, said.text)
        return live if same else None

    async def _approved(self, call: Call, runs: "Runs", name: str, live: LiveRun) -> LiveRun:
        """Ask the person at the host for what the run waits with, as long as it waits."""
        while live.run.status == "waiting" and call.ask is not None:
            wants = "\n".join(f"{w.tool} {w.arguments}" for w in show_run(live).pending)
            about = f"{live.run.id}:{live.run.steps}"
            answer = await call.ask(f"May agent {name} do this?\n{wants}", FORM, about)
            if answer is None:
                return live
            no = "" if answer.accepted else "they said no"
            decision = Decision(answer.accepted, no, live.run.steps)

            async def decide(waiting: LiveRun, decision: Decision = decision) -> LiveRun:
                try:
                    return await runs.decide(waiting.run.id, decision, call.caller.agents)
                except NotWaiting:  # decided elsewhere, or its time was up
                    return await _joined(runs, await runs.find(waiting.run.id, call.caller.agents))

            live = await self._followed(call, live, decide)
        return live

    async def _followed(
        self, call: Call, live: LiveRun, go: Callable[[LiveRun], Awaitable[LiveRun]]
    ) -> LiveRun:
        """Take a run on, and tell the host meanwhile how far it is."""
        done: list[LiveRun] = []
        failed: list[Exception] = []
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._watched, call, live)
            try:
                done.append(await go(live))
            except Exception as error:  # raised below, outside of the task group
                failed.append(error)
            tasks.cancel_scope.cancel()
        if failed:
            raise failed[0]
        return done[0]

    async def _watched(self, call: Call, live: LiveRun) -> None:
        """Tell where a run is, whenever that changes; not more often than a person can read."""
        told, last = 0, ""
        while live.run.status == "waiting" and live.is_finished and live.next is None:
            await live.change()  # the decision is on its way
        live = live.next or live
        while not live.is_finished:
            now = _told(live)
            if now == last:
                await live.change()
                continue
            told, last = told + 1, now
            await call.progress(told, None, now)
            with anyio.move_on_after(_TOLD_EVERY_S):
                await live.finished()


async def _joined(runs: "Runs", live: LiveRun) -> LiveRun:
    """A run once nobody works on it any more."""
    return live if live.is_finished else await runs.take(live)


def _told(live: LiveRun) -> str:
    """Where a run is, for the person who waits."""
    if live.place:
        return f"queued behind {live.place}"
    if live.text:
        shown = live.text[-_TOLD_CHARS:]
        return f"{WRITING}{shown if shown == live.text else f'…{shown}'}"
    step = f"step {live.run.steps + 1}"
    return f"{live.doing}; {step}" if live.doing else step


def _details(reader: Reader, live: LiveRun, a: GetRun) -> RunDetails:
    prompt = arguments = cursor = None
    room = PAGE_BYTES
    if a.prompt_of_step is not None or a.call_id is not None:
        piece = piece_of(_long_text(reader, live, a), a.cursor, PAGE_BYTES // 2)
        room -= json_bytes(piece.text)
        cursor = piece.next_cursor
        prompt, arguments = (piece.text, None) if a.call_id is None else (None, piece.text)
    shown = show_run(live, room - _STEPS_BYTES)
    newest = runs.list_steps(reader, live.run.id)[: -_STEPS_SHOWN - 1 : -1]
    steps = [show_step(step) for step in newest]
    room -= json_bytes(shown.model_dump())
    steps = steps[: fitting([json_bytes(step.model_dump()) + 1 for step in steps], room)]
    return RunDetails(
        run=shown, steps=steps[::-1], prompt=prompt, arguments=arguments, next_cursor=cursor
    )


def _long_text(reader: Reader, live: LiveRun, a: GetRun) -> str:
    """The text that was asked for and comes in pieces."""
    if a.call_id is not None and a.prompt_of_step is not None:
        raise InvalidValue("ask for prompt_of_step or for call_id, not for both at once")
    if a.call_id is not None:
        for call in waiting_calls(live.run.pending):
            if call.id == a.call_id:
                return arguments_text(call)
        raise InvalidValue(f"no call {a.call_id[:80]!a} of run {live.run.id} waits for approval")
    sent = runs.step_prompt(reader, live.run.id, a.prompt_of_step or 0)
    if sent is None:
        raise InvalidValue(
            f"the prompt of step {a.prompt_of_step} is not kept; prompts are for"
            f" {runs.PROMPTS_KEPT.days} days"
        )
    return sent


def _by_id(found: Iterable[tuple[str, Run]]) -> dict[str, tuple[str, Run]]:
    return {run.id: (agent_id, run) for agent_id, run in found}


def _moment(cursor: str | None) -> datetime | None:
    if cursor is None:
        return None
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 18):
        raise InvalidValue(f"{cursor[:40]!a} is no cursor of this list; start without one")
    return _EPOCH + timedelta(microseconds=int(cursor))


def _actor(call: Call) -> str:
    return f"host:{call.caller.host}"


def run_tools(access: MemoryAccess) -> tuple[Tool, ...]:
    """The table of these tools, in the order hosts list them."""
    do = RunTools(access)
    return (*_looking(do), *_deciding(do))


def _looking(do: RunTools) -> tuple[Tool, ...]:
    """What begins runs and shows them."""
    return (
        Tool(
            name="agent_message",
            title="Talk to an agent",
            description="Give the agent a message; it thinks with its model and answers.",
            arguments=SendMessage,
            result=RunShown,
            run=do.message,
            text=run_text,
            destructive=True,
            toolsets=DELEGATING,
        ),
        Tool(
            name="run_get",
            title="Show a run",
            description="What came of a message: status, reply, steps, what waits for approval.",
            arguments=GetRun,
            result=RunDetails,
            run=do.get,
            text=details_text,
            read_only=True,
            toolsets=DELEGATING,
        ),
        Tool(
            name="run_list",
            title="List runs",
            description="An agent's runs, newest first.",
            arguments=ListRuns,
            result=RunPage,
            run=do.list,
            text=page_text,
            read_only=True,
            toolsets=DELEGATING,
        ),
    )


def _deciding(do: RunTools) -> tuple[Tool, ...]:
    """What changes the course of a run."""
    return (
        Tool(
            name="run_cancel",
            title="Stop a run",
            description="Stop a run, also while its model is writing.",
            arguments=CancelRun,
            result=RunShown,
            run=do.cancel,
            text=run_text,
            destructive=True,
            idempotent=True,
            toolsets=DELEGATING,
        ),
        Tool(
            name="run_approve",
            title="Decide a waiting call",
            description="Tell what the person decided about calls that a run waits with.",
            arguments=ApproveRun,
            result=RunShown,
            run=do.approve,
            text=run_text,
            destructive=True,
            toolsets=DELEGATING,
        ),
    )
