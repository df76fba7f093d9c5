"""One run at a time for each agent, in the order they were asked for; each knows its place."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from agent.live_run import LiveRun


class Queues:
    """The runs of each agent that are in work or wait for it; agents do not wait for each other."""

    def __init__(self) -> None:
        self._queues: dict[str, list[LiveRun]] = {}

    @asynccontextmanager
    async def turn(self, live: LiveRun) -> AsyncIterator[None]:
        """Wait until it is the run's turn; the next one's comes when the block ends."""
        queue = self._queues.setdefault(live.agent_id, [])
        queue.append(live)
        live.place = len(queue) - 1
        try:
            while queue[0] is not live:
                await live.change()
            yield
        finally:
            queue.remove(live)
            for place, waiting in enumerate(queue):
                waiting.place = place
                waiting.notify()
            if not queue:
                del self._queues[live.agent_id]
