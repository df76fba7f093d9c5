"""A run: from a message to the agent's answer.

think (thinking.py) → run its tool calls and store the step (step.py); again until it replies, a
tool rule ends it, a person must approve a call, or a limit is reached. Each step is one
transaction, with the rows that tell of it: a step that fails leaves nothing behind, and what
earlier steps stored stays. Which runs there are and who waits for them is runs.py's.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import assert_never

import anyio
import anyio.to_thread

from agent.approval import Decisions, Pending
from agent.calls import CallBook, StepCalls
from agent.compiling import Asked, Compiler, with_view
from agent.context import news, stamps, view_of
from agent.errors import AgentError, TurnLimitReached
from agent.live_run import LiveRun
from agent.model import ChatModel, Reply, ToolCalls
from agent.outside import ToolSource, no_tools
from agent.run_rows import INTERNAL_ERROR, RunRows, stop_reason_of
from agent.settings import AgentSettings, settings_of
from agent.step import MAX_CALLS, Step
from agent.thinking import Costs, Thinker, Thought
from agent.tool_table import ToolTable
from memory import recall
from memory.errors import MemoryStoreError
from memory.records import AgentState, Message, NewMessage, View
from memory.store import MemoryStore


class AgentLoop:
    """Takes runs of all agents on one model to their end."""

    def __init__(self, store: MemoryStore, model: ChatModel, source: ToolSource = no_tools) -> None:
        self._store, self._source = store, source
        self._thinker = Thinker(store, model)

    @property
    def compiler(self) -> Compiler:
        """What compiles the prompts."""
        return self._thinker.compiler

    async def run(self, live: LiveRun, decisions: Decisions | None = None) -> LiveRun:
        """Take a run to its end, or to where a person must approve a call.

        A run that an earlier attempt left unfinished goes on after its last stored step.

        Args:
            decisions: of the calls that wait, when the run waits.

        Raises:
            MemoryStoreError: the agent does not exist, or something cannot be stored.
            AgentError: the model failed, or the run did not end; see its message for what is kept.
        """
        rows = RunRows(self._store, live)
        try:
            await self._run(live, rows, decisions)
        except (AgentError, MemoryStoreError) as error:
            await rows.stop(stop_reason_of(error), str(error))
            raise
        except Exception:  # a bug; so that no run seems to go on for ever
            await rows.stop("error", INTERNAL_ERROR)
            raise
        except anyio.get_cancelled_exc_class():
            # In the background only a person cancels; else this process ends, and the next goes on.
            if live.scope.cancel_called or not live.run.background:
                with anyio.CancelScope(shield=True):
                    await rows.stop("cancelled", None)
            raise
        return live

    async def _run(self, live: LiveRun, rows: "RunRows", decisions: Decisions | None) -> None:
        live.begin()  # first: from now on nobody resets the messages that are read next
        at = await anyio.to_thread.run_sync(self._resume, live)
        if live.run.pending is not None:
            pending = Pending.from_json(live.run.pending)
            decided = pending.decided(decisions or {}, at.tools.versions)
            if await self._store_calls(at, rows, pending.answer, None, decided):
                return
        while live.run.steps < at.settings.max_steps:
            if await self._step(at, rows):
                return
        raise TurnLimitReached(at.settings.max_steps)

    async def _step(self, at: "_At", rows: "RunRows") -> bool:
        """One step; returns whether the run is over, for now at least."""
        permission = at.book.permission()
        asked = Asked(at.state, at.new, at.settings, at.tools.specs(), at.rules)
        costs = Costs()
        rows.begin_step(await self._thinker.name(), costs)
        thought = await self._thinker.think(asked, permission, costs, rows.on_text)
        at.state, at.new = thought.asked.state, thought.asked.new
        match thought.answer:
            case Reply(reply):
                await self._store_reply(at, rows, reply, thought)
                return True
            case ToolCalls() as calls:
                made = calls.calls[:MAX_CALLS]
                waiting = tuple(c.id for c in made if at.book.needs_approval(c.name))
                if waiting:
                    until = datetime.now(UTC) + timedelta(minutes=at.settings.approval_minutes)
                    pending = Pending(calls, waiting, until, at.tools.versions)
                    await rows.wait(at.state, pending, thought)
                    return True
                return await self._store_calls(at, rows, calls, thought, {})
            case _ as never:
                assert_never(never)

    async def _store_reply(self, at: "_At", rows: "RunRows", reply: str, thought: Thought) -> None:
        live = rows.live
        live.reply, live.tools_used = reply, at.book.names
        step = at.step(self._store, live.run.id)
        write = rows.reply(thought)
        await anyio.to_thread.run_sync(partial(step.store_reply, reply, write))
        rows.committed()

    async def _store_calls(
        self,
        at: "_At",
        rows: "RunRows",
        calls: ToolCalls,
        thought: Thought | None,
        decisions: Decisions,
    ) -> bool:
        """Run and store the calls of a step; returns whether a rule ends the run with it."""
        live = rows.live
        step = at.step(self._store, live.run.id)
        number = live.run.steps + (thought is not None)
        budget = await self._thinker.compiler.budget(at.settings)
        judge = StepCalls(at.book, number, decisions)
        write = rows.calls(calls, thought, lambda: at.book.ends(number))
        first_doc = await step.store_calls(
            calls, budget.max_result_chars, write, judge, rows.calling
        )
        live.tools_used = at.book.names
        at.first_doc, at.new = first_doc, ()
        if decisions and not any(decision.approve for decision in decisions.values()):
            live.doing = f"denied: {live.doing}"
        rows.committed()
        if live.run.status == "completed":
            live.reply = calls.text
            return True
        await anyio.to_thread.run_sync(self._renew, at, live)
        return False

    def _renew(self, at: "_At", live: LiveRun) -> None:
        """The agent and its outside tools as they are now: a step may have made one."""
        at.state = self._store.agent_state(live.agent_id)
        at.tools = at.tools.renewed(at.state, self._source)
        at.book.offer(at.tools)

    def _resume(self, live: LiveRun) -> "_At":
        """Where a run begins or goes on."""
        state = self._store.agent_state(live.agent_id)
        settings = settings_of(state.agent)
        stored: list[Message] = []
        if live.known:  # else nothing is stored of it
            with self._store.read() as reader:
                stored = recall.turn_messages(reader, state.agent, live.run.id)
        tools = ToolTable.of(state, self._source)
        at = _At(state, settings, tools, CallBook.of(settings, tools, stored))
        if stored:
            at.first_doc = stored[0].doc
        else:
            at.say(live.run.message)
        return at


@dataclass(slots=True)
class _At:
    """Where a run is: the agent as it is now, and what the next step begins with."""

    state: AgentState
    settings: AgentSettings
    tools: ToolTable
    book: CallBook
    first_doc: int | None = None
    new: tuple[NewMessage, ...] = ()

    @property
    def rules(self) -> str:
        return self.book.rules.describe()

    def say(self, message: str) -> None:
        """Begin with what the user says, after a note of what others changed since last time."""
        if self.settings.autoclear and self.state.messages:
            self.state = with_view(self.state, View(), self.state.messages[-1].doc + 1)
        blocks = self.state.blocks
        view = view_of(self.state, self.rules)
        note = news(view, blocks)
        said = NewMessage("user", message)
        self.new = (NewMessage("system", note), said) if note else (said,)
        self.state = with_view(self.state, replace(view, seen=stamps(blocks)))

    def step(self, store: MemoryStore, run_id: str) -> Step:
        """The step that is to be stored next."""
        return Step(store, self.state, self.tools, run_id, self.first_doc, self.new)
