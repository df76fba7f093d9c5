"""What an agent is shown of a block can be copied into an edit, whatever the block holds."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.containment import contain, release
from agent.context import render_blocks
from memory.records import Agent, Block
from memory.store import MemoryStore
from tests.agent.harness import add_block, block_value, use

MARKUP = "<b>bold</b>, </value> and <\\/value>"
REPLACING = {
    "memory_replace": ("old_string", "new_string"),
    "core_memory_replace": ("old_content", "new_content"),
}
pieces = st.sampled_from(["<", "/", "\\", ">", " ", "\n", "value", "Human", "human", "</value>"])


def shown(store: MemoryStore, beginning: str) -> str:
    """The rest of the line that begins so, in the view of the agent ada."""
    line = re.search(f"{beginning}.*", render_blocks(store.agent_state("ada").blocks))
    assert line
    return line[0]


@given(st.lists(pieces, max_size=20).map("".join) | st.text(), st.lists(st.just("human")))
def test_what_is_shown_tells_exactly_what_is_stored(text: str, labels: list[str]) -> None:
    assert release(contain(text, labels), labels) == text


@pytest.mark.parametrize("value", [MARKUP, "</Value >", "</plan>", "<i></i>", "<\\/i>"])
@pytest.mark.parametrize("tool", REPLACING)
def test_what_is_shown_can_be_replaced(
    store: MemoryStore, agent: Agent, tool: str, value: str
) -> None:
    add_block(store, agent, Block("plan", f"Use {value}."))
    old, new = REPLACING[tool]
    texts = {old: shown(store, "Use "), new: f"Never {shown(store, 'Use ')}"}
    use(store, agent, tool, label="plan", **texts)
    assert block_value(store, agent, "plan") == f"Never Use {value}."


def test_what_is_shown_can_be_part_of_a_rewritten_block(store: MemoryStore, agent: Agent) -> None:
    add_block(store, agent, Block("plan", f"Use {MARKUP}."))
    use(store, agent, "memory_rethink", label="plan", new_memory=f"Never {shown(store, 'Use ')}")
    assert block_value(store, agent, "plan") == f"Never Use {MARKUP}."


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("memory_replace", {"old_string": "Sam", "new_string": MARKUP}),
        ("core_memory_replace", {"old_content": "Sam", "new_content": MARKUP}),
        ("core_memory_append", {"content": MARKUP}),
        ("memory_insert", {"new_string": MARKUP}),
        ("memory_rethink", {"new_memory": MARKUP}),
    ],
)
def test_a_text_for_a_block_that_is_shown_as_it_is_stored_is_stored_as_given(
    store: MemoryStore, agent: Agent, tool: str, arguments: dict[str, str]
) -> None:
    use(store, agent, tool, label="human", **arguments)
    assert MARKUP in block_value(store, agent)
