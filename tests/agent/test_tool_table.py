"""The order in which the calls of a step run."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from agent.calls import CallBook
from agent.settings import AgentSettings
from agent.tool_table import ToolTable
from agent.tools import MEMORY_TOOLS
from memory.records import Message, MessageRole, ToolCall
from tests.agent.harness import call
from tests.agent.outside_words import answering, tool

TABLE = ToolTable(
    MEMORY_TOOLS,
    {
        "alone": tool("alone", answering("x")),
        "side": tool("side", answering("x"), parallel=True),
    },
)
EDIT, SEARCH = "core_memory_append", "archival_memory_search"
names = st.lists(st.sampled_from([EDIT, SEARCH, "alone", "side", "unknown"]), max_size=8)


def made(*called: str) -> list[ToolCall]:
    return [call(name) for name in called]


def test_outside_calls_and_searches_before_the_first_edit_run_before_the_transaction() -> None:
    order = TABLE.order(made(SEARCH, SEARCH, "alone", EDIT, SEARCH, "side", "side", "alone"))
    assert order.groups == ((0, 1), (2,), (5, 6), (7,))
    assert order.inside == (3, 4)


def test_neighbours_are_those_that_run_after_each_other() -> None:
    assert TABLE.order(made("side", EDIT, "side")).groups == ((0, 2),)
    assert TABLE.order(made("side", EDIT, "side"), overlapping=False).groups == ((0,), (2,))
    assert TABLE.order(made("alone", "alone")).groups == ((0,), (1,))


@given(names)
def test_every_call_runs_once_and_none_of_a_kind_overtakes_another(called: list[str]) -> None:
    order = TABLE.order(made(*called))
    assert sorted(order.positions) == list(range(len(called)))
    before = [position for group in order.groups for position in group]
    assert before == sorted(before)
    assert list(order.inside) == sorted(order.inside)
    outside = {position for position, name in enumerate(called) if name in TABLE.outside}
    assert outside <= set(before)
    first_edit = next((p for p, n in enumerate(called) if n in (EDIT, "unknown")), len(called))
    assert set(before) - outside == {
        p for p, n in enumerate(called) if n == SEARCH and p < first_edit
    }
    for group in order.groups:
        assert len({called[position] for position in group}) == 1
        assert len(group) == 1 or called[group[0]] in (SEARCH, "side")


def test_a_run_that_goes_on_knows_its_calls_in_the_order_in_which_they_ran() -> None:
    given = tuple(made(EDIT, "alone"))
    stored = [
        stored_message("user", "Go."),
        stored_message("assistant", "", given),
        stored_message("tool", "edited"),
        stored_message("tool", "looked"),
    ]
    book = CallBook.of(AgentSettings(), TABLE, stored)
    assert [(m.name, m.result) for m in book.made] == [("alone", "looked"), (EDIT, "edited")]


def stored_message(
    role: MessageRole, content: str, tool_calls: tuple[ToolCall, ...] = ()
) -> Message:
    return Message(1, "m", role, content, tool_calls, None, "run", 1, datetime.now(UTC))
