"""Results of tools that are longer than a reply: kept for a while, to be read on in.

They live in the owner's memory. One that is lost, with its owner or by its age, takes another run
of the tool.
"""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from memory.errors import NotFound
from server.custom_tool_models import ToolRan
from server.memory_uris import piece_of
from server.registry import Caller
from server.reply_size import PAGE_BYTES, json_bytes

KEPT_S: Final = 600.0
MAX_KEPT: Final = 20
"""The oldest makes way; each has at most as many characters as a tool may return."""


class ResultGone(NotFound):
    """Nothing is kept for a cursor, or not for this caller."""

    def __init__(self, cursor: str) -> None:
        super().__init__(
            f"no result is kept for cursor {cursor[:80]!a}; a result is forgotten after"
            f" {KEPT_S / 60:.0f} minutes or a restart: run the tool again, without a cursor"
        )


@dataclass(frozen=True, slots=True)
class _Kept:
    principal: str
    ran: ToolRan
    until_s: float


class KeptResults:
    """Long results, by id.

    Args:
        now: a clock in seconds.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._kept: dict[str, _Kept] = {}

    def first_page(self, caller: Caller, ran: ToolRan) -> ToolRan:
        """What a reply holds of a run with its whole text; the rest is kept."""
        if json_bytes(ran.text) - 2 <= PAGE_BYTES:
            return ran
        self._forget_old()
        while len(self._kept) >= MAX_KEPT:
            del self._kept[next(iter(self._kept))]
        id_ = secrets.token_hex(8)
        self._kept[id_] = _Kept(caller.principal, ran, self._now() + KEPT_S)
        return _page(id_, ran, None)

    def page(self, caller: Caller, cursor: str) -> ToolRan:
        """What follows the page that gave this cursor.

        Raises:
            ResultGone: it is not kept any more.
            InvalidValue: the cursor is none of it.
        """
        self._forget_old()
        id_, _, within = cursor.partition("-")
        kept = self._kept.get(id_)
        if kept is None or kept.principal != caller.principal:
            raise ResultGone(cursor)
        return _page(id_, kept.ran, within)

    def _forget_old(self) -> None:
        now = self._now()
        for old in [id_ for id_, kept in self._kept.items() if kept.until_s < now]:
            del self._kept[old]


def _page(id_: str, ran: ToolRan, within: str | None) -> ToolRan:
    piece = piece_of(ran.text, within, PAGE_BYTES)
    more = None if piece.next_cursor is None else f"{id_}-{piece.next_cursor}"
    return ran.model_copy(update={"text": piece.text, "cut": more is not None, "next_cursor": more})
