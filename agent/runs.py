"""All runs of one process: begun, queued, watched, approved, cancelled, and gone on with.

A run is taken to its end by loop.py. Here is who waits for whom: one run of an agent at a time, the
next ones in a queue; a run that waits for a person's approval holds no place in it, but no other
begins until it is decided, cancelled or its time is up.
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from datetime import UTC, datetime
from uuid import uuid4

import anyio
import anyio.abc
import anyio.to_thread

from agent.approval import Decision, Decisions, Pending, all_of
from agent.errors import AgentError, NotWaiting, RunCancelled, RunInterrupted, RunWaits
from agent.live_run import LiveRun, Said
from agent.loop import AgentLoop
from agent.queues import Queues
from agent.run_rows import RunRows, stop_reason_of
from memory import runs
from memory.errors import KeyReused, MemoryStoreError, UnknownRun
from memory.limits import check_filled
from memory.records import Agent, Origin
from memory.runs import ENDED, Run
from memory.store import MemoryStore
from memory.transaction import Visible

UseLoop = Callable[[Agent], AbstractAsyncContextManager[AgentLoop]]
"""A loop on the agent's model, which stays loaded until the block ends."""


_SILENCE = Decision(False, "nobody answered in time")


class Runs:
    """The runs of all agents in one process."""

    def __init__(self, store: MemoryStore, use_loop: UseLoop) -> None:
        self._store, self._use_loop = store, use_loop
        self._queues = Queues()
        self._live: dict[str, LiveRun] = {}
        self._waiting: dict[str, Run] | None = None
        self._finished = anyio.Event()
        self._tasks: anyio.abc.TaskGroup | None = None

    async def begin(self, tasks: anyio.abc.TaskGroup) -> None:
        """Take up what an earlier process left, in the background. Does nothing a second time.

        Args:
            tasks: for background runs; they end with it.
        """
        if self._tasks is not None:
            return
        self._tasks = tasks
        for agent_id, run in await anyio.to_thread.run_sync(self._open_runs):
            live = LiveRun(agent_id, run, known=True)
            if run.status == "waiting":
                tasks.start_soon(self._expire, live.run.id)
            elif run.background:
                tasks.start_soon(self._in_background, live)
            else:
                await RunRows(self._store, live).stop("error", str(RunInterrupted(run.id)))

    async def message(self, said: Said) -> LiveRun:
        """Give an agent a message and take the run to its end, or to where a person must approve.

        A run that has ended returns its reply when its message comes again, one that was broken off
        goes on after its last stored step.

        Raises:
            MemoryStoreError: the agent does not exist, or the text cannot be stored.
            AgentError: the model failed, the run did not end or was cancelled, or another one waits
                for approval.
        """
        return await self.take(await self.prepare(said, background=False))

    async def start(self, said: Said) -> LiveRun:
        """Give an agent a message and return at once; the run goes on in the background.

        The run survives this process: the next one goes on with it.
        """
        live = await self.prepare(said, background=True)
        if live.run.id in self._live or live.run.status in ENDED:
            return live
        if not live.known:
            await anyio.to_thread.run_sync(self._store_new, live)
        self._group.start_soon(self._in_background, live)
        return live

    async def take(self, live: LiveRun, decisions: Decisions | None = None) -> LiveRun:
        """Take a run to its end, or to where a person must approve; it waits for its turn first."""
        if live.run.id in self._live:
            return await self._join(self._live[live.run.id])
        self._live[live.run.id] = live
        try:
            with live.scope:
                while True:
                    finished = self._finished
                    async with self._queues.turn(live):
                        waiting = await self._waiting_for(live)
                        if waiting is None:
                            return await self._take(live, decisions)
                        if not live.run.background:
                            raise RunWaits(waiting.id, _tools_of(waiting))
                    await finished.wait()
            await self._cancelled_before_it_began(live)
            raise RunCancelled(live.run.id)
        except (AgentError, MemoryStoreError) as error:
            live.failure = error
            raise
        finally:
            del self._live[live.run.id]
            self._follow(live)
            live.finish()

    async def decide(
        self, run_id: str, decision: Decision, visible: Visible = None, call_id: str | None = None
    ) -> LiveRun:
        """Approve or deny calls that a run waits with, and take the run on.

        Args:
            call_id: of the call that is decided; the others that wait are denied. None: all.

        Raises:
            UnknownRun, NotWaiting: there is nothing to decide.
        """
        agent_id, run = await self._stored_run(run_id, visible)
        if run.status != "waiting" or run.pending is None or run_id in self._live:
            raise NotWaiting(run_id, run.status)
        pending = Pending.from_json(run.pending)
        decided = all_of(pending.waiting, decision)
        if call_id is not None:
            if call_id not in pending.waiting:
                raise NotWaiting(f"{run_id} with call {call_id[:80]}", run.status)
            decided = {call_id: decision}
        if datetime.now(UTC) >= pending.until:
            decided = all_of(pending.waiting, _SILENCE)
        return await self.take(LiveRun(agent_id, run, known=True), decided)

    async def cancel(self, run_id: str, visible: Visible = None) -> Run:
        """Stop a run: what it is doing now, its place in the queue, or its wait for approval.

        Returns:
            The run as it is then; one that has ended stays as it ended.
        """
        live = self._live.get(run_id)
        if live is not None and (visible is None or live.agent_id in visible):
            live.scope.cancel()
            await live.finished()
            return live.run
        agent_id, run = await self._stored_run(run_id, visible)
        if run.status not in ENDED:
            waiting = LiveRun(agent_id, run, known=True)
            await RunRows(self._store, waiting).stop("cancelled", None)
            self._follow(waiting)
            return waiting.run
        return run

    async def find(self, run_id: str, visible: Visible = None) -> LiveRun:
        """Return a run as it is now, whether it is in work or not.

        Raises:
            UnknownRun: there is none, or not for whoever asks.
        """
        live = self._live.get(run_id)
        if live is not None and (visible is None or live.agent_id in visible):
            return live
        agent_id, run = await self._stored_run(run_id, visible)
        found = LiveRun(agent_id, run, known=True)
        found.finish()
        return found

    async def waiting_for_answer(self, said: Said) -> LiveRun | None:
        """The run of the very same message that waits for approval, if there is one."""
        state = await anyio.to_thread.run_sync(self._store.agent_state, said.agent, said.visible)
        waiting = (await self._waiting_runs()).get(state.agent.id)
        if waiting is None or (waiting.message, waiting.actor) != (said.text, said.actor):
            return None
        return LiveRun(state.agent.id, waiting, known=True)

    async def waiting_of(self, agent_id: str) -> Run | None:
        """The agent's run that waits for a person."""
        return (await self._waiting_runs()).get(agent_id)

    def of_agent(self, agent_id: str) -> list[LiveRun]:
        """Return the agent's runs that are in work or queued, in the order of their turns."""
        found = [live for live in self._live.values() if live.agent_id == agent_id]
        return sorted(found, key=lambda live: live.place)

    async def prepare(self, said: Said, background: bool = False) -> LiveRun:
        """The run of a message, which `take` takes on; nothing is stored or begun yet."""
        check_filled(said.text, "message")
        state = await anyio.to_thread.run_sync(self._store.agent_state, said.agent, said.visible)
        run_id = said.run_id or f"run-{uuid4()}"
        if said.run_id is not None:
            if run_id in self._live:
                return self._live[run_id]
            with suppress(UnknownRun):
                agent_id, run = await self._stored_run(run_id, said.visible)
                if run.message != said.text:
                    raise KeyReused("agent_message", "agent_message")
                return LiveRun(agent_id, run, known=True)
        return LiveRun.new(state.agent.id, run_id, said.text, said.actor, background)

    async def _take(self, live: LiveRun, decisions: Decisions | None) -> LiveRun:
        agent = (await anyio.to_thread.run_sync(self._store.agent_state, live.agent_id)).agent
        try:
            async with self._use_loop(agent) as loop:
                return await loop.run(live, decisions)
        except AgentError as error:
            if live.known and live.run.status not in ENDED:  # there is no model for it
                await RunRows(self._store, live).stop(stop_reason_of(error), str(error))
            raise

    async def _join(self, live: LiveRun) -> LiveRun:
        """Wait for a run that is in work already: the same message came again."""
        await live.finished()
        if live.failure is not None:
            raise live.failure
        return live

    async def _in_background(self, live: LiveRun) -> None:
        with suppress(AgentError, MemoryStoreError):  # its row says what went wrong
            await self.take(live)

    async def _expire(self, run_id: str) -> None:
        """Wait until a run's time for approval is up; then go on as if it had been denied."""
        with suppress(AgentError, MemoryStoreError):
            _, run = await self._stored_run(run_id, None)
            if run.status != "waiting" or run.pending is None:
                return
            left = Pending.from_json(run.pending).until - datetime.now(UTC)
            await anyio.sleep(max(0.0, left.total_seconds()))
            await self.decide(run_id, _SILENCE)

    async def _waiting_runs(self) -> dict[str, Run]:
        """The runs that wait for a person, by the id of their agent."""
        if self._waiting is None:
            open_ = await anyio.to_thread.run_sync(self._open_runs)
            found = {agent: run for agent, run in open_ if run.status == "waiting"}
            self._waiting = found if self._waiting is None else self._waiting
        return self._waiting

    async def _waiting_for(self, live: LiveRun) -> Run | None:
        """The run of the same agent that waits for a person, unless it is this one."""
        waiting = (await self._waiting_runs()).get(live.agent_id)
        return None if waiting is None or waiting.id == live.run.id else waiting

    def _follow(self, live: LiveRun) -> None:
        """Note that a run has ended, or waits for a person, and tell those who wait for that."""
        waiting = self._waiting if self._waiting is not None else {}
        if live.run.status == "waiting":
            waiting[live.agent_id] = live.run
            if self._tasks is not None:
                self._tasks.start_soon(self._expire, live.run.id)
        elif live.agent_id in waiting and waiting[live.agent_id].id == live.run.id:
            del waiting[live.agent_id]
        finished, self._finished = self._finished, anyio.Event()
        finished.set()

    async def _cancelled_before_it_began(self, live: LiveRun) -> None:
        if live.known and live.run.status not in ENDED:
            await RunRows(self._store, live).stop("cancelled", None)

    @property
    def _group(self) -> anyio.abc.TaskGroup:
        if self._tasks is None:
            raise RuntimeError("begin comes before background runs")
        return self._tasks

    async def _stored_run(self, run_id: str, visible: Visible) -> tuple[str, Run]:
        def find() -> tuple[str, Run]:
            with self._store.read(visible) as reader:
                return runs.find_run(reader, run_id)

        return await anyio.to_thread.run_sync(find)

    def _open_runs(self) -> list[tuple[str, Run]]:
        with self._store.read() as reader:
            return runs.open_runs(reader)

    def _store_new(self, live: LiveRun) -> None:
        agent = self._store.agent_state(live.agent_id).agent
        with self._store.write(Origin(live.run.actor, "agent_message", live.run.id)) as transaction:
            runs.save_run(transaction, agent, live.run, known=False)
        live.known = True


def _tools_of(waiting: Run) -> list[str]:
    """The tools that a waiting run wants to call."""
    return [call.name for call in Pending.from_json(waiting.pending or {}).calls]
