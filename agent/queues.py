"""The runs of this process: one at a time for each agent, in the order they were asked for.

A run that waits for a person stays at the head of its agent's queue: what comes after it begins
once it is decided, cancelled or its time is up.
"""

from agent.approval import waiting_calls
from agent.errors import RunWaits
from agent.live_run import LiveRun


class Queues:
    """The runs of each agent that are in work or wait; agents do not wait for each other.

    Each run knows its place.
    """

    def __init__(self) -> None:
        self._queues: dict[str, list[LiveRun]] = {}
        self._by_id: dict[str, LiveRun] = {}

    def find(self, run_id: str) -> LiveRun | None:
        """The run with this id; None: it is in no queue."""
        return self._by_id.get(run_id)

    def all(self) -> list[LiveRun]:
        """Every run, in the order in which they entered."""
        return list(self._by_id.values())

    def of(self, agent_id: str) -> list[LiveRun]:
        """The agent's runs in the order of their turns."""
        return list(self._queues.get(agent_id, ()))

    def waiting(self, agent_id: str) -> LiveRun | None:
        """The agent's run that waits for a person, and that nobody works on."""
        head = next(iter(self._queues.get(agent_id, ())), None)
        return head if head is not None and head.is_finished else None

    def enter(self, live: LiveRun) -> None:
        """Put a run behind those of its agent."""
        self._by_id[live.run.id] = live
        self._queues.setdefault(live.agent_id, []).append(live)
        self._tell(live.agent_id)

    def replace(self, old: LiveRun, new: LiveRun) -> None:
        """Give a run's place to another."""
        queue = self._queues[old.agent_id]
        queue[queue.index(old)] = new
        self._by_id[new.run.id] = new
        self._tell(old.agent_id)
        old.next = new
        old.notify()

    def leave(self, live: LiveRun) -> None:
        """Take a run out, wherever it stands: the next one's turn has come, if it was the first."""
        del self._by_id[live.run.id]
        queue = self._queues[live.agent_id]
        queue.remove(live)
        if not queue:
            del self._queues[live.agent_id]
        self._tell(live.agent_id)
        live.notify()

    def pause(self, live: LiveRun) -> None:
        """The run at the head waits for a person: those behind it learn of it."""
        self._tell(live.agent_id)

    async def turn(self, live: LiveRun) -> None:
        """Wait until a run that has entered is at the head.

        Raises:
            RunWaits: the one at the head waits for a person, and this one is not in the background:
                whoever sent it is told rather than kept.
        """
        while (head := self._queues[live.agent_id][0]) is not live:
            if head.is_finished and not live.run.background:
                raise RunWaits(head.run.id, [call.name for call in waiting_calls(head.run.pending)])
            await live.change()

    def _tell(self, agent_id: str) -> None:
        for place, live in enumerate(self._queues.get(agent_id, ())):
            live.place = place
            live.notify()
