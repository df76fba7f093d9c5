"""What an earlier process left: runs that had not ended when it did.

One in the background goes on, one that waits for a person still waits, any other was interrupted.
"""

from dataclasses import replace
from typing import Final

import anyio.to_thread

from agent.errors import RunInterrupted
from agent.live_run import LiveRun
from agent.run_rows import RunRows
from memory import runs
from memory.runs import Run
from memory.store import MemoryStore

MAX_RESUMES: Final = 3
"""How often a step is begun again by a later process. A run that ends every process that takes it
on, by the memory it needs say, would else keep mnemon from ever running."""


async def left_runs(store: MemoryStore) -> tuple[list[LiveRun], list[LiveRun]]:
    """Return the runs that wait for a person and those that go on; all others have ended."""
    waiting, going_on = list[LiveRun](), list[LiveRun]()
    for agent_id, run in await anyio.to_thread.run_sync(_open_runs, store):
        live = LiveRun(agent_id, run, known=True, left=True)
        if run.status == "waiting":
            waiting.append(live)
        elif run.background and run.resumes < MAX_RESUMES:
            live.run = replace(run, resumes=run.resumes + 1)
            going_on.append(live)
        else:
            error = RunInterrupted(run.id, run.resumes)
            await RunRows(store, live).stop("error", str(error))
    return waiting, going_on


def _open_runs(store: MemoryStore) -> list[tuple[str, Run]]:
    with store.read() as reader:
        return runs.open_runs(reader)
