"""Models of servers that agents think with: any number at once, for they take no memory here."""

from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

import anyio

from agent.models.endpoint import EndpointModel
from agent.models.spec import Endpoint

MAX_KEPT: Final = 16
"""Models that nobody uses now, with what is known of them: window, token counts, connections."""


Runner = TypeVar("Runner")


@dataclass(slots=True)
class _Kept(Generic[Runner]):
    model: EndpointModel
    runner: Runner
    users: int = 0


class EndpointModels(Generic[Runner]):
    """Keeps what is known of each endpoint from turn to turn; a local model is not its matter.

    Args:
        make_model: a model of an endpoint; asks nothing yet.
        make_runner: a loop on a model.
    """

    def __init__(
        self,
        make_model: Callable[[Endpoint], EndpointModel],
        make_runner: Callable[[EndpointModel], Runner],
    ) -> None:
        self._make_model, self._make_runner = make_model, make_runner
        self._kept: OrderedDict[Endpoint, _Kept[Runner]] = OrderedDict()

    @asynccontextmanager
    async def use(self, endpoint: Endpoint) -> AsyncIterator[Runner]:
        """A runner on this endpoint; nobody waits for it."""
        kept = self._kept.get(endpoint)
        if kept is None:
            model = self._make_model(endpoint)
            kept = self._kept[endpoint] = _Kept(model, self._make_runner(model))
        self._kept.move_to_end(endpoint)
        kept.users += 1
        try:
            yield kept.runner
        finally:
            kept.users -= 1
            with anyio.CancelScope(shield=True):
                await self._forget_oldest()

    async def aclose(self) -> None:
        """Close all connections, also in the middle of a turn."""
        kept, self._kept = list(self._kept.values()), OrderedDict()
        for one in kept:
            await one.model.aclose()

    async def _forget_oldest(self) -> None:
        unused = [endpoint for endpoint, kept in self._kept.items() if not kept.users]
        for endpoint in unused[: max(0, len(unused) - MAX_KEPT)]:
            await self._kept.pop(endpoint).model.aclose()
