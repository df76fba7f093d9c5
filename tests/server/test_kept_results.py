"""Results longer than a reply: whose they are, and how long they are kept."""

from itertools import count

import pytest

from server.custom_tool_models import ToolRan
from server.kept_results import KEPT_S, MAX_KEPT, KeptResults, ResultGone
from server.registry import Caller

ME, OTHER = Caller(host="one"), Caller(host="one", principal="another")


def ran(text: str) -> ToolRan:
    return ToolRan(tool="t", agent_id="a", version=1, failed=False, text=text)


def test_what_fits_is_one_page_and_is_not_kept() -> None:
    assert KeptResults().first_page(ME, ran("short")) == ran("short")


def test_a_page_is_for_whom_the_tool_ran_and_may_be_read_twice() -> None:
    kept = KeptResults()
    cursor = kept.first_page(ME, ran("x" * 20_000)).next_cursor
    assert cursor is not None
    assert kept.page(ME, cursor) == kept.page(ME, cursor)
    with pytest.raises(ResultGone):
        kept.page(OTHER, cursor)


def test_a_result_is_forgotten_after_a_while_and_where_too_many_came_after_it() -> None:
    clock = count(0, KEPT_S / (MAX_KEPT + 5))
    kept = KeptResults(lambda: next(clock))
    cursors = [kept.first_page(ME, ran("x" * 20_000)).next_cursor for _ in range(MAX_KEPT + 1)]
    assert None not in cursors
    with pytest.raises(ResultGone, match="run the tool again"):
        kept.page(ME, str(cursors[0]))
    assert kept.page(ME, str(cursors[-1])).text
    for _ in range(MAX_KEPT + 5):
        kept.first_page(ME, ran("short"))
        next(clock)
    with pytest.raises(ResultGone):
        kept.page(ME, str(cursors[-1]))
