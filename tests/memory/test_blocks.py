"""Edits of a block: pure, within the limit or refused, never cut."""

import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from memory import blocks
from memory.errors import BlockOverflow, BlockReadOnly, EditMismatch, InvalidValue
from memory.records import Block
from tests.memory.given import texts


def test_an_append_beyond_the_limit_says_by_how_much() -> None:
    block = Block("human", "Ada", limit_chars=5)
    with pytest.raises(BlockOverflow) as caught:
        blocks.append(block, "Lovelace")
    assert caught.value.excess_chars == len("Ada\nLovelace") - 5
    assert "7 over its limit of 5" in str(caught.value)


def test_an_append_begins_a_line_of_its_own_unless_the_block_is_empty() -> None:
    assert blocks.append(Block("human"), "Ada").value == "Ada"
    assert blocks.append(Block("human", "Ada"), "London").value == "Ada\nLondon"


def test_replace_changes_every_occurrence_and_an_empty_text_deletes() -> None:
    block = Block("human", "tea, tea and coffee")
    assert blocks.replace(block, "tea", "milk").value == "milk, milk and coffee"
    assert blocks.replace(block, "tea, ", "").value == "tea and coffee"


def test_a_replacement_beyond_the_limit_is_refused_before_it_is_made() -> None:
    block = Block("human", "a" * 1_000, limit_chars=2_000)
    tracemalloc.start()
    with pytest.raises(BlockOverflow) as caught:
        blocks.replace(block, "a", "b" * 50_000)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert caught.value.excess_chars == 1_000 * 50_000 - 2_000
    assert peak_bytes < 1_000_000


def test_replace_once_refuses_a_text_that_occurs_twice_and_says_where() -> None:
    block = Block("human", "tea\ncoffee\ntea")
    with pytest.raises(EditMismatch, match=r"2 times \(lines 1, 3\)"):
        blocks.replace_once(block, "tea", "milk")
    assert blocks.replace_once(block, "coffee", "milk").value == "tea\nmilk\ntea"


@pytest.mark.parametrize("edit", [blocks.replace, blocks.replace_once])
def test_a_text_that_is_not_there_cannot_be_replaced(
    edit: Callable[[Block, str, str], Block],
) -> None:
    with pytest.raises(EditMismatch, match="does not hold 'wine'"):
        edit(Block("human", "tea"), "wine", "milk")
    with pytest.raises(EditMismatch, match="is empty"):
        edit(Block("human", "tea"), "", "milk")


@pytest.mark.parametrize(
    ("line", "value"), [(0, "new\none\ntwo"), (1, "one\nnew\ntwo"), (-1, "one\ntwo\nnew")]
)
def test_a_line_is_inserted_after_the_line_that_is_named(line: int, value: str) -> None:
    assert blocks.insert(Block("human", "one\ntwo"), "new", line).value == value


@pytest.mark.parametrize("line", [3, -2])
def test_a_line_that_is_not_there_is_refused_with_how_many_there_are(line: int) -> None:
    with pytest.raises(EditMismatch, match="which has 2 lines"):
        blocks.insert(Block("human", "one\ntwo"), "new", line)


def test_a_limit_below_what_the_block_holds_is_refused() -> None:
    with pytest.raises(BlockOverflow):
        blocks.configure(Block("human", "Ada Lovelace"), {"limit_chars": 3})


def test_a_read_only_block_cannot_be_edited() -> None:
    with pytest.raises(BlockReadOnly, match="'rules' is read-only"):
        blocks.editable(Block("rules", read_only=True))


@pytest.mark.parametrize("value", ["a\0b", "a\ud800b"])
def test_what_is_no_text_is_not_taken(value: str) -> None:
    with pytest.raises(InvalidValue, match="position 1"):
        blocks.rewrite(Block("human"), value)


@given(texts(0), texts(0), st.integers(1, 60))
def test_an_edit_stays_within_the_limit_or_is_refused_with_the_exact_excess(
    value: str, added: str, limit: int
) -> None:
    assume(len(value) <= limit)
    block = Block("human", value, limit_chars=limit)
    whole = f"{value}\n{added}" if value else added
    try:
        assert blocks.append(block, added).value == whole
        assert len(whole) <= limit
    except BlockOverflow as error:
        assert error.excess_chars == len(whole) - limit > 0


@given(*(st.text("ab\n", min_size=size, max_size=20 if size < 1 else 2) for size in (0, 1, 0)))
def test_replace_is_pythons_replace_and_replace_once_agrees_where_it_accepts(
    value: str, old: str, new: str
) -> None:
    value += old
    block = Block("human", value)
    expected = value.replace(old, new)
    assert blocks.replace(block, old, new).value == expected
    occurrences = sum(value.startswith(old, at) for at in range(len(value)))
    if occurrences == 1:
        assert blocks.replace_once(block, old, new).value == expected
    else:
        with pytest.raises(EditMismatch):
            blocks.replace_once(block, old, new)


@given(st.lists(texts(1, 5).filter(lambda t: "\n" not in t), min_size=1), texts(1), st.data())
def test_an_inserted_text_stands_after_its_line_and_the_rest_is_as_it_was(
    lines: list[str], text: str, data: st.DataObject
) -> None:
    line = data.draw(st.integers(0, len(lines)))
    after = blocks.insert(Block("human", "\n".join(lines)), text, line).value
    assert after == "\n".join([*lines[:line], text, *lines[line:]])
