"""Runs as they are stored: found again, with what they have said and called."""

import anyio.to_thread

from agent.live_run import LiveRun
from memory import agents, recall, runs
from memory.runs import Run
from memory.store import MemoryStore
from memory.transaction import Visible


async def stored_run(store: MemoryStore, run_id: str, visible: Visible) -> LiveRun:
    """Return a run as its row has it; nobody works on it.

    Raises:
        UnknownRun: there is none, or not for whoever asks.
    """

    def find() -> tuple[str, Run]:
        with store.read(visible) as reader:
            return runs.find_run(reader, run_id)

    agent_id, run = await anyio.to_thread.run_sync(find)
    return LiveRun(agent_id, run, known=True)


async def with_reply(store: MemoryStore, live: LiveRun) -> LiveRun:
    """The run, that nobody works on, with what it has said and called."""

    def read() -> None:
        with store.read() as reader:
            agent = agents.find_agent(reader, live.agent_id)
            stored = recall.turn_messages(reader, agent, live.run.id)
        live.tools_used = tuple(call.name for m in stored for call in m.tool_calls)
        live.reply = next((m.content for m in stored if m.id == live.run.reply_id), "")

    await anyio.to_thread.run_sync(read)
    live.finish()
    return live
