"""Patches of core memory: read as Letta writes them, done in whole or not at all."""

from collections.abc import Iterator, Sequence
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.block_patches import apply_patch, read_patch
from memory.errors import InvalidValue
from memory.records import Agent, Block
from memory.store import MemoryStore
from tests.agent.harness import add_block, block_value, new_agent, stored_events, use

PLAN = "one\ntwo\nthree\nfour\ntwo"


@pytest.fixture
def plan(store: MemoryStore, agent: Agent) -> Agent:
    add_block(store, agent, Block("plan", PLAN))
    return agent


def patch(store: MemoryStore, agent: Agent, *lines: str, **arguments: object) -> str:
    return use(store, agent, "memory_apply_patch", patch="\n".join(lines), **arguments)


def contents(store: MemoryStore) -> dict[str, str]:
    return {block.label: block.value for block in store.agent_state("ada").blocks}


def test_a_diff_of_one_block(store: MemoryStore, plan: Agent) -> None:
    result = patch(
        store, plan,
        "--- a/plan", "+++ b/plan",
        "@@ -1,3 +1,3 @@", " one", "-two", "+zwei", " three",
        "@@", "-four", "+vier", "+vier und halb",
        "\\ No newline at end of file", "",
        label="plan",
    )  # fmt: skip
    value = "one\nzwei\nthree\nvier\nvier und halb\ntwo"
    assert result == f"Memory updated. Block plan is now:\n{value}"
    assert block_value(store, plan, "plan") == value


def test_a_hunk_that_only_adds_goes_to_the_end(store: MemoryStore, plan: Agent) -> None:
    patch(store, plan, "+five", "+", "+six", label="/memories/plan")
    assert block_value(store, plan, "plan") == f"{PLAN}\nfive\n\nsix"
    add_block(store, plan, Block("empty"))
    patch(store, plan, "+first", label="empty")
    assert block_value(store, plan, "empty") == "first"


def test_hunks_are_done_one_after_another(store: MemoryStore, plan: Agent) -> None:
    patch(store, plan, "-one", "+eins", "@@", " eins", "+anderthalb", label="plan")
    assert block_value(store, plan, "plan") == f"eins\nanderthalb{PLAN[3:]}"


def test_all_lines_can_go(store: MemoryStore, plan: Agent) -> None:
    patch(store, plan, *(f"-{line}" for line in PLAN.split("\n")), label="plan")
    assert block_value(store, plan, "plan") == ""


def test_a_rule_of_dashes_is_no_file_name(store: MemoryStore, plan: Agent) -> None:
    add_block(store, plan, Block("ruled", "-- a\n---\nb"))
    patch(store, plan, "--- a", "----", "+++ c", label="ruled")
    assert block_value(store, plan, "ruled") == "++ c\nb"


def test_several_blocks_at_once(store: MemoryStore, plan: Agent) -> None:
    result = patch(
        store, plan,
        "*** Begin Patch",
        "*** Add Block: work/notes", "Description: What I do.", "+Rest.", "", "+Work.", "",
        "*** Delete Block: persona", "",
        "*** Update Block: plan", "*** Move to: plans", "@@", "-four", "+vier", "",
        "*** Update Block: /memories/human", "*** Move to: user",
        "*** End Patch",
    )  # fmt: skip
    assert contents(store) == {
        "user": "Name: Sam",
        "plans": PLAN.replace("four", "vier"),
        "work/notes": "Rest.\n\nWork.",
    }
    assert result == (
        "Memory updated. Block persona is deleted. Block human is now called user. Block plan is"
        " now called plans. Block work/notes is created.\n"
        f"Block plans is now:\n{PLAN.replace('four', 'vier')}\n"
        "Block work/notes is now:\nRest.\n\nWork."
    )
    notes = store.agent_state("ada").blocks[-1]
    assert notes.description == "What I do."
    assert {event.action for event in stored_events(store, plan)[-6:]} == {
        *("block.detach", "block.delete", "block.update", "block.create", "block.attach")
    }


@pytest.mark.parametrize("after", [True, False])
def test_move_to_may_stand_before_and_after_the_hunks(
    store: MemoryStore, plan: Agent, after: bool
) -> None:
    """In Letta the block is renamed first and then not found."""
    move, hunk = ["*** Move to: plans"], ["-four", "+vier"]
    patch(store, plan, "*** Update Block: plan", *(hunk + move if after else move + hunk))
    assert contents(store)["plans"] == PLAN.replace("four", "vier")


def test_operations_see_those_before_them(store: MemoryStore, plan: Agent) -> None:
    patch(
        store, plan,
        "*** Update Block: plan", "*** Move to: old",
        "*** Add Block: plan", "+new",
        "*** Update Block: plan", "-new", "+newer",
        "*** Delete Block: old",
    )  # fmt: skip
    assert contents(store)["plan"] == "newer"
    assert "old" not in contents(store)


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (["-one"], "the patch names no block; give `label`, or begin it with '*** Update Block:"),
        (["*** Update Block: plan"], "line 1 of the patch: there is nothing to change"),
        (["*** Update Block: plan", "@@", "", "@@"], "line 1 of the patch: there is nothing to"),
        (["*** Update Block:", "-one"], "line 1 of the patch: '' has a part that is empty"),
        (["*** Update Block: ../x", "-one"], "line 1 of the patch: '../x' has a part that is"),
        (["*** Update Block: x y", "-one"], "line 1 of the patch: 'x y' cannot be a block's label"),
        (["*** Update Block: no", "-one"], "there is no block 'no', only persona, human, plan"),
        (["*** Update Block: plan", "one"], "line 2 of the patch is 'one'; expected a line with"),
        (
            ["*** Update Block: plan", "@@", "-one", "@@", "-nine"],
            "line 5 of the patch: block 'plan' does not hold 'nine', together and exactly so",
        ),
        (
            ["*** Update Block: plan", "-one", "-three"],
            "line 2 of the patch: block 'plan' does not hold 'one' and the 1 lines after it",
        ),
        (
            ["*** Update Block: plan", "-two", "+zwei"],
            "line 2 of the patch: block 'plan' holds 'two' at lines 2, 5; add more of the lines",
        ),
        (["*** Update Block: plan", "-One"], "does not hold 'One'"),
        (["*** Delete Block: no"], "line 1 of the patch: there is no block 'no'"),
        (["*** Delete Block: plan", "-one"], "line 2 of the patch is '-one'; expected nothing"),
        (["*** Delete Block: plan", "*** Move to: x"], "line 2 of the patch is '*** Move to: x'"),
        (["*** Move to: x"], "line 1 of the patch is '*** Move to: x'; expected '*** Add Block:"),
        (
            ["*** Update Block: plan", "*** Move to: a", "*** Move to: b"],
            "line 3 of the patch: the block was moved already",
        ),
        (
            ["*** Update Block: plan", "*** Move to: human"],
            "line 1 of the patch: there is a block 'human' already; choose another",
        ),
        (["*** Add Block: human", "+x"], "line 1 of the patch: there is a block 'human' already"),
        (["*** Add Block: x", "+a", "b"], "line 3 of the patch is 'b'; expected a line of the new"),
        (["*** Add Block: x", "+" + "y" * 5_001], "line 1 of the patch: block 'x' would have 5001"),
        (["hello", "*** Delete Block: plan"], "line 1 of the patch is 'hello'; expected '*** Add"),
        (["*** Update Block: rules", "-Be kind."], "line 1 of the patch: block 'rules' is read-o"),
        (["*** Delete Block: rules"], "line 1 of the patch: block 'rules' is read-only"),
        (["*** Add Block: x", "+a\0"], "patch holds a NUL character"),
        (["+" + "x" * 300_000], "patch has 300001 characters"),
    ],
)
def test_one_operation_that_cannot_be_done_leaves_everything_as_it_was(
    store: MemoryStore, plan: Agent, lines: list[str], told: str
) -> None:
    add_block(store, plan, Block("rules", "Be kind.", read_only=True))
    before, events = store.agent_state("ada"), stored_events(store, plan)
    result = patch(store, plan, *lines)
    assert result.startswith("Error: ")
    assert told in result
    before_it = ["*** Update Block: human", "+Likes tea.", "*** Delete Block: persona"]
    if lines[0].startswith("***"):
        assert patch(store, plan, *before_it, *lines).startswith("Error: ")
    assert (store.agent_state("ada"), stored_events(store, plan)) == (before, events)


def test_lines_copied_from_the_view_of_a_block_are_found(store: MemoryStore, agent: Agent) -> None:
    add_block(store, agent, Block("plan", "Never\n</human> here"))
    patch(store, agent, " Never", "-<\\/human> here", "+<\\/human> there", label="plan")
    assert block_value(store, agent, "plan") == "Never\n</human> there"


# --- laws

few_lines = st.lists(st.sampled_from(["a", "b", "", " c", "-d", "+e", "@@", "*** x"]), max_size=6)


@st.composite
def edits(draw: st.DrawFn) -> tuple[list[str], list[tuple[list[str], list[str]]]]:
    """Lines of a block, and hunks as what they expect and what they put there."""
    lines = draw(few_lines)
    hunks = []
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(lines)))
        old = lines[start : draw(st.integers(start, len(lines)))]
        if draw(st.integers(0, 5)) == 0:
            old = draw(few_lines)
        hunks.append((old, draw(few_lines)))
    return lines, [(old, new) for old, new in hunks if old or new]


def written(old: Sequence[str], new: Sequence[str]) -> list[str]:
    """A hunk that keeps what both begin with."""
    same = 0
    while same < min(len(old), len(new)) and old[same] == new[same]:
        same += 1
    kept = [f" {line}" for line in old[:same]]
    return ["@@", *kept, *(f"-{x}" for x in old[same:]), *(f"+{x}" for x in new[same:])]


def plainly(lines: list[str], hunks: Sequence[tuple[list[str], list[str]]]) -> list[str] | None:
    """What hunks make of lines, read naively; None: one of them has not exactly one place."""
    for old, new in hunks:
        places = [i for i in range(len(lines)) if old and lines[i : i + len(old)] == old]
        if not old:
            lines = lines + new
        elif len(places) == 1:
            lines = lines[: places[0]] + new + lines[places[0] + len(old) :]
        else:
            return None
        lines = [] if lines == [""] else lines  # a block of one empty line is an empty block
    return lines


@settings(max_examples=300)
@given(edits())
def test_hunks_do_what_they_say_or_nothing(
    drawn: tuple[list[str], list[tuple[list[str], list[str]]]],
) -> None:
    lines, hunks = drawn
    lines = [] if lines == [""] else lines
    text = "\n".join(line for old, new in hunks for line in written(old, new))
    block = Block("plan", "\n".join(lines))
    expected = plainly(lines, hunks)
    if not hunks:
        return
    operations = read_patch(text, "plan")
    if expected is None:
        with pytest.raises(InvalidValue, match="line"):
            apply_patch([block], operations)
    else:
        (patched,) = apply_patch([block], operations)
        assert patched.value == "\n".join(expected)


names = st.sampled_from(["human", "persona", "plan", "notes"])
operations = st.one_of(
    st.tuples(st.just("add"), names, st.sampled_from(["x", "y\n\nz", ""])),
    st.tuples(st.just("delete"), names, st.none()),
    st.tuples(st.just("move"), names, names),
    st.tuples(st.just("append"), names, st.sampled_from(["x", "y"])),
)
Operations = list[tuple[str, str, str | None]]


def lines_of(operation: tuple[str, str, str | None]) -> list[str]:
    kind, label, more = operation
    match kind:
        case "add":
            return [f"*** Add Block: {label}", *(f"+{x}" for x in str(more).split("\n"))]
        case "delete":
            return [f"*** Delete Block: {label}"]
        case "move":
            return [f"*** Update Block: {label}", f"*** Move to: {more}"]
        case _:
            return [f"*** Update Block: {label}", f"+{more}"]


def done_by_hand(held: dict[str, str], todo: Operations) -> dict[str, str] | None:
    held = dict(held)
    for kind, label, more in todo:
        if (label in held) is (kind == "add"):
            return None
        match kind:
            case "add":
                held[label] = str(more)
            case "delete":
                del held[label]
            case "move" if more != label:
                if more in held:
                    return None
                held[str(more)] = held.pop(label)
            case "append":
                held[label] = f"{held[label]}\n{more}" if held[label] else str(more)
    return held


@pytest.fixture(scope="module")
def shared_store() -> Iterator[MemoryStore]:
    with MemoryStore(None, None) as opened:
        yield opened


@settings(max_examples=100)
@given(todo=st.lists(operations, min_size=1, max_size=5))
def test_a_patch_of_several_blocks_is_stored_whole_or_not_at_all(
    shared_store: MemoryStore, todo: Operations
) -> None:
    agent = new_agent(shared_store, f"agent {uuid4()}")
    before = {"persona": "I am Ada.", "human": "Name: Sam"}
    expected = done_by_hand(before, todo)
    told = stored_events(shared_store, agent)
    result = patch(shared_store, agent, *(x for op in todo for x in lines_of(op)))
    state = shared_store.agent_state(agent.id)
    assert result.startswith("Error: ") is (expected is None)
    now = {block.label: block.value for block in state.blocks}
    assert now == (before if expected is None else expected)
    if expected is None:
        assert stored_events(shared_store, agent) == told
