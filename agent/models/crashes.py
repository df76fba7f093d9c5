"""What is known of a worker's deaths: how long to wait, and which request to refuse. Pure.

Times are seconds on any clock that does not go back. llama.py asks, and starts the workers.
"""

from dataclasses import dataclass

POISONOUS_AFTER = 3
POISONOUS_FOR_S = 600.0
_MOST_WAIT_S = 30.0


@dataclass(slots=True)
class Crashes:
    """Deaths since a request last succeeded.

    Attributes:
        first_wait_s: before the second start after a death; doubled with each one more. The first
            start is not held up: most deaths have a cause outside, and somebody waits.
    """

    first_wait_s: float = 1.0
    _count: int = 0
    _last_at: float = 0.0
    _request: str = ""
    _by_request: int = 0

    def died(self, request: str, now: float) -> None:
        """Take note that the worker died or hung over a request."""
        same = request == self._request and now - self._last_at < POISONOUS_FOR_S
        self._by_request = self._by_request + 1 if same else 1
        self._count += 1
        self._request, self._last_at = request, now

    def succeeded(self) -> None:
        """Take note that a request was answered."""
        self._count = self._by_request = 0

    def wait_s(self, now: float) -> float:
        """Say how long to wait before a worker is started."""
        if self._count < 2:
            return 0.0
        wait = min(self.first_wait_s * 2.0 ** min(self._count - 2, 10), _MOST_WAIT_S)
        return max(self._last_at + wait - now, 0.0)

    def refused_for_s(self, request: str, now: float) -> float:
        """Say for how long this request is refused; 0: it is not."""
        if request != self._request or self._by_request < POISONOUS_AFTER:
            return 0.0
        return max(self._last_at + POISONOUS_FOR_S - now, 0.0)
