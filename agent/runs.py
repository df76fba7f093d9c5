"""All runs of one process: begun, queued, watched, approved, cancelled, and gone on with.

A run is taken to its end by loop.py. Here is who waits for whom: one run of an agent at a time, the
next ones in its queue (queues.py). What an earlier process left is taken up first (left_runs.py).
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from datetime import UTC, datetime
from uuid import uuid4

import anyio
import anyio.abc
import anyio.to_thread

from agent.approval import SILENCE, Decision, Decisions, Pending, all_of
from agent.errors import AgentError, NotWaiting, RunCancelled, TurnLimitReached
from agent.left_runs import left_runs
from agent.live_run import LiveRun, Said
from agent.loop import AgentLoop
from agent.queues import Queues
from agent.run_rows import INTERNAL_ERROR, RunRows, stop_reason_of
from agent.stored_runs import stored_run, with_reply
from memory.errors import KeyReused, MemoryStoreError, UnknownRun
from memory.limits import check_filled
from memory.records import Agent
from memory.runs import ENDED, Run
from memory.store import MemoryStore
from memory.transaction import Change, Visible

logger = logging.getLogger(__name__)

UseLoop = Callable[[Agent], AbstractAsyncContextManager[AgentLoop]]
"""A loop on the agent's model, which stays loaded until the block ends."""


class Runs:
    """The runs of all agents in one process; those of an agent that is deleted end with it."""

    def __init__(self, store: MemoryStore, use_loop: UseLoop) -> None:
        self._store, self._use_loop = store, use_loop
        self._queues = Queues()
        self._taking_up = anyio.Lock()
        self._taken_up = False
        self._left: list[LiveRun] = []
        self._tasks: anyio.abc.TaskGroup | None = None
        self._event_loop: asyncio.AbstractEventLoop | None = None
        store.watch(self._follow)

    async def begin(self, tasks: anyio.abc.TaskGroup) -> None:
        """Go on with what an earlier process left. Does nothing a second time.

        Args:
            tasks: for background runs and for the ends of waits; they end with it.
        """
        if self._tasks is not None:
            return
        await self._take_up()
        if self._tasks is None:
            self._tasks = tasks
            for live in self._waiting():
                tasks.start_soon(self._expire, live)
            for live in self._left:
                self._enter(live)
                tasks.start_soon(self._in_background, live)

    async def message(self, said: Said) -> LiveRun:
        """Give an agent a message and take the run to its end, or to where a person must approve.

        A run that has ended returns its reply when its message comes again, one that was broken off
        goes on after its last stored step.

        Raises:
            MemoryStoreError: the agent does not exist, or the text cannot be stored.
            AgentError: the model failed, the run did not end or was cancelled, or another one waits
                for approval.
        """
        return await self.take(await self.prepare(said))

    async def start(self, said: Said) -> LiveRun:
        """Give an agent a message and return at once; the run goes on in the background.

        The run survives this process: the next one goes on with it.
        """
        live = await self.prepare(said, background=True)
        if self._queues.find(live.run.id) is not None:
            return live
        if live.run.status == "completed":
            return await with_reply(self._store, live)
        self._enter(live)
        try:  # also one that failed before: from now on it survives this process
            with anyio.CancelScope(shield=True):
                await RunRows(self._store, live).save()
        except Exception as error:  # whoever waits for the same run is told the same
            live.failure = error
            self._queues.leave(live)
            live.finish()
            raise
        self._group.start_soon(self._in_background, live)
        return live

    async def prepare(self, said: Said, background: bool = False) -> LiveRun:
        """The run of a message, which `take` takes on; nothing is stored or begun yet."""
        check_filled(said.text, "message")
        await self._take_up()
        state = await anyio.to_thread.run_sync(self._store.agent_state, said.agent, said.visible)
        agent_id = state.agent.id
        if said.run_id is None:
            return LiveRun.new(agent_id, f"run-{uuid4()}", said.text, said.actor, background)
        live = self._queues.find(said.run_id)
        if live is None:
            with suppress(UnknownRun):
                stored = await stored_run(self._store, said.run_id, said.visible)
                goes_on = background and stored.run.status != "completed"
                live = LiveRun.again(stored.agent_id, stored.run, goes_on)
        if live is None:
            return LiveRun.new(agent_id, said.run_id, said.text, said.actor, background)
        if (live.agent_id, live.run.message) != (agent_id, said.text):
            raise KeyReused("agent_message", "agent_message")
        return live

    async def take(self, live: LiveRun) -> LiveRun:
        """Take a run to its end, or to where a person must approve; it waits for its turn first.

        One that is in work already is waited for, one that waits for a person goes on waiting.
        """
        if (known := self._queues.find(live.run.id)) is not None:
            return await self._join(known)
        if live.run.status == "completed":
            await with_reply(self._store, live)
            if live.run.stop_reason == "max_steps":
                raise TurnLimitReached(live.run.steps)
            return live
        self._enter(live)
        return await self._work(live)

    async def decide(
        self,
        run_id: str,
        decision: Decision,
        visible: Visible = None,
        call_id: str | None = None,
        detached: bool = False,
    ) -> LiveRun:
        """Approve or deny calls that a run waits with, and take the run on.

        Args:
            call_id: of the call that is decided; the others that wait are denied. None: all.
            detached: the run goes on when whoever decides is gone, also in the next process.

        Raises:
            UnknownRun, NotWaiting: there is nothing to decide.
        """
        await self._take_up()
        live = self._queues.find(run_id)
        if live is None or not live.is_finished or not _is_visible(live, visible):
            stored = await stored_run(self._store, run_id, visible)
            raise NotWaiting(run_id, (live or stored).run.status)
        pending = Pending.from_json(live.run.pending or {})
        if decision.step not in (None, live.run.steps):  # a yes is for what was shown
            raise NotWaiting(f"{run_id} with step {decision.step}", live.run.status)
        if call_id is not None and call_id not in pending.waiting:
            raise NotWaiting(f"{run_id} with call {call_id[:80]}", live.run.status)
        decided = pending.answered(decision, call_id, datetime.now(UTC))
        again = self._go_on(live, live.run.background or detached)
        if self._tasks is None or not again.run.background:
            return await self._work(again, decided)
        self._tasks.start_soon(self._in_background, again, decided)
        return await self._join(again)

    async def cancel(self, run_id: str, visible: Visible = None) -> Run:
        """Stop a run: what it is doing now, its place in the queue, or its wait for approval.

        Returns:
            The run as it is then; one that has ended stays as it ended.
        """
        await self._take_up()
        live = self._queues.find(run_id)
        if live is None or not _is_visible(live, visible):
            live = await stored_run(self._store, run_id, visible)
            if live.run.status not in ENDED:
                await RunRows(self._store, live).stop("cancelled", None)
        elif live.is_finished:  # it waits for a person
            self._queues.leave(live)
            with anyio.CancelScope(shield=True):  # else it would wait where nobody can decide it
                await RunRows(self._store, live).stop("cancelled", None)
        else:
            live.scope.cancel()
            await live.finished()
        return live.run

    async def find(self, run_id: str, visible: Visible = None) -> LiveRun:
        """Return a run as it is now, whether it is in work or not.

        Raises:
            UnknownRun: there is none, or not for whoever asks.
        """
        await self._take_up()
        live = self._queues.find(run_id)
        if live is None or live.is_finished or not _is_visible(live, visible):
            # Asked also for one that waits: its agent may be deleted.
            stored = await stored_run(self._store, run_id, visible)
            live = self._queues.find(run_id) or await with_reply(self._store, stored)
        return live

    async def waiting_for_answer(self, said: Said) -> LiveRun | None:
        """The run of the very same message that waits for approval, if there is one."""
        await self._take_up()
        state = await anyio.to_thread.run_sync(self._store.agent_state, said.agent, said.visible)
        live = self._queues.waiting(state.agent.id)
        if live is None or (live.run.message, live.run.actor) != (said.text, said.actor):
            return None
        return live

    def of_agent(self, agent_id: str) -> list[LiveRun]:
        """The agent's runs that are in work, queued or waiting, in the order of their turns."""
        return self._queues.of(agent_id)

    def all(self) -> list[LiveRun]:
        """Every run that is in work, queued or waiting."""
        return self._queues.all()

    async def _work(self, live: LiveRun, decisions: Decisions | None = None) -> LiveRun:
        """Take on a run that has its place in the queue."""
        try:
            with live.scope:
                await self._queues.turn(live)
                await self._think(live, decisions)
            # Also where the stop met the commit of a wait, which is not broken off.
            if live.scope.cancel_called and live.run.status not in ENDED:
                await RunRows(self._store, live).stop("cancelled", None)
            if live.run.status == "cancelled":
                raise RunCancelled(live.run.id, live.orphaned)
            return live
        except anyio.get_cancelled_exc_class():
            if live.run.status == "queued" and not live.run.background:
                with anyio.CancelScope(shield=True):
                    await RunRows(self._store, live).stop("cancelled", None)
            raise
        except Exception as error:  # whoever waits for the same run is told the same
            live.failure = error
            raise
        finally:
            if live.run.status == "waiting" and live.failure is None:
                live.finish()
                self._queues.pause(live)
                if self._tasks is not None:
                    self._tasks.start_soon(self._expire, live)
            else:
                self._queues.leave(live)
                live.finish()

    async def _think(self, live: LiveRun, decisions: Decisions | None) -> None:
        rows = RunRows(self._store, live)
        try:
            state = await anyio.to_thread.run_sync(self._store.agent_state, live.agent_id)
            if live.left:
                await rows.save()
            async with self._use_loop(state.agent) as loop:
                await loop.run(live, decisions)
        except (AgentError, MemoryStoreError) as error:
            if live.run.status not in ENDED:  # there is no model for it
                await rows.stop(stop_reason_of(error), str(error))
            raise
        except Exception:
            if live.run.status not in ENDED:
                await rows.stop("error", INTERNAL_ERROR)
            raise

    async def _join(self, live: LiveRun) -> LiveRun:
        """Wait for a run that somebody else works on."""
        await live.finished()
        if live.failure is not None:
            raise live.failure
        if live.run.status not in ("completed", "waiting"):
            raise RunCancelled(live.run.id)
        return live

    async def _in_background(self, live: LiveRun, decisions: Decisions | None = None) -> None:
        with suppress(AgentError, MemoryStoreError):  # its row says what went wrong
            try:
                await self._work(live, decisions)
            except (AgentError, MemoryStoreError):
                raise
            except Exception:  # a bug in one run ends no other
                logger.exception("bug in %s", live.run.id)

    async def _expire(self, live: LiveRun) -> None:
        """When a run's time for approval is up, go on as if it had been denied."""
        pending = Pending.from_json(live.run.pending or {})
        while self._queues.find(live.run.id) is live:
            left = (pending.until - datetime.now(UTC)).total_seconds()
            with anyio.move_on_after(max(0.0, left)) as waiting:
                await live.change()
            if waiting.cancelled_caught and self._queues.find(live.run.id) is live:
                decided = all_of(pending.waiting, SILENCE)
                await self._in_background(self._go_on(live, background=True), decided)

    def _go_on(self, live: LiveRun, background: bool) -> LiveRun:
        """What takes the place of a run that waited for a person, once that is decided."""
        again = LiveRun.again(live.agent_id, live.run, background)
        self._queues.replace(live, again)
        return again

    def _waiting(self) -> list[LiveRun]:
        return [live for live in self._queues.all() if live.is_finished]

    async def _take_up(self) -> None:
        """Learn once what an earlier process left."""
        if self._taken_up:
            return
        self._event_loop = asyncio.get_running_loop()
        # Shielded: broken off half way, the next call would take the same runs up again.
        with anyio.CancelScope(shield=True):
            async with self._taking_up:
                if not self._taken_up:
                    waiting, self._left = await left_runs(self._store)
                    for live in waiting:
                        self._enter(live)
                        live.finish()
                    self._taken_up = True

    def _follow(self, changes: Sequence[Change]) -> None:
        """End the runs of agents that were deleted; on the thread that deleted them."""
        gone = [change.agent_id for change in changes if change.action == "agent.delete"]
        if gone and self._event_loop is not None and not self._event_loop.is_closed():
            self._event_loop.call_soon_threadsafe(self._end_runs_of, gone)

    def _end_runs_of(self, gone: Sequence[str | None]) -> None:
        for live in [live for live in self._queues.all() if live.agent_id in gone]:
            live.orphaned = True
            if live.is_finished:  # it waits for a person
                live.run = live.end(live.run, "cancelled")
                self._queues.leave(live)
            else:
                live.scope.cancel()

    def _enter(self, live: LiveRun) -> None:
        """Into the queue of its agent."""
        if live.run.status != "waiting":
            live.queue()
        self._queues.enter(live)

    @property
    def _group(self) -> anyio.abc.TaskGroup:
        if self._tasks is None:
            raise RuntimeError("begin comes before background runs")
        return self._tasks


def _is_visible(live: LiveRun, visible: Visible) -> bool:
    return visible is None or live.agent_id in visible
