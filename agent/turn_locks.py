"""One turn at a time for each agent, in the order they were asked for."""

from weakref import WeakValueDictionary

import anyio


class TurnLocks:
    """A lock for each agent that has a turn; agents do not wait for each other.

    Turns of one agent on different models need the same TurnLocks.
    """

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, anyio.Lock] = WeakValueDictionary()

    def of(self, agent_id: str) -> anyio.Lock:
        """The agent's lock; kept for as long as somebody holds or awaits it."""
        return self._locks.setdefault(agent_id, anyio.Lock())
