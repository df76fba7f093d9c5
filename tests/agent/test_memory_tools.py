"""The tools that edit memory: Letta's names and semantics, without its defects."""

from collections.abc import Iterator
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.memory_tools import Scope
from agent.tools import ALL_TOOLS, MEMORY_TOOLS, run_call
from memory.records import Agent, Block
from memory.store import MemoryStore
from tests.agent.harness import (
    PERSON,
    add_block,
    block_value,
    call,
    new_agent,
    stored_events,
    use,
)


def test_append_adds_a_line_and_gives_the_new_value_back(store: MemoryStore, agent: Agent) -> None:
    result = use(store, agent, "core_memory_append", label="human", content="Likes tea.")
    assert result == "Memory updated. Block human is now:\nName: Sam\nLikes tea."
    assert block_value(store, agent) == "Name: Sam\nLikes tea."


def test_append_to_an_empty_block_begins_it(store: MemoryStore, agent: Agent) -> None:
    add_block(store, agent, Block("plan"))
    use(store, agent, "core_memory_append", label="plan", content="Rest.")
    assert block_value(store, agent, "plan") == "Rest."


def test_replace_changes_every_occurrence_and_an_empty_text_deletes(
    store: MemoryStore, agent: Agent
) -> None:
    add_block(store, agent, Block("plan", "tea, tea and tea"))
    use(store, agent, "core_memory_replace", label="plan", old_content="tea", new_content="mate")
    assert block_value(store, agent, "plan") == "mate, mate and mate"
    use(store, agent, "core_memory_replace", label="plan", old_content=", mate", new_content="")
    assert block_value(store, agent, "plan") == "mate and mate"


@pytest.mark.parametrize(
    ("line", "value"),
    [(0, "new\none\ntwo"), (1, "one\nnew\ntwo"), (2, "one\ntwo\nnew"), (-1, "one\ntwo\nnew")],
)
def test_insert_puts_text_after_a_line(
    store: MemoryStore, agent: Agent, line: int, value: str
) -> None:
    add_block(store, agent, Block("plan", "one\ntwo"))
    use(store, agent, "memory_insert", label="plan", new_string="new", insert_line=line)
    assert block_value(store, agent, "plan") == value


def test_insert_without_a_line_appends(store: MemoryStore, agent: Agent) -> None:
    use(store, agent, "memory_insert", label="human", new_string="Likes tea.")
    assert block_value(store, agent) == "Name: Sam\nLikes tea."


@pytest.mark.parametrize("line", [-2, 3, 10**9])
def test_insert_outside_the_block_says_where_it_ends(
    store: MemoryStore, agent: Agent, line: int
) -> None:
    add_block(store, agent, Block("plan", "one\ntwo"))
    result = use(store, agent, "memory_insert", label="plan", new_string="x", insert_line=line)
    assert result == (
        f"Error: line {line} is outside block 'plan', which has 2 lines; use 0 for the top or -1"
        " for the end"
    )


def test_memory_replace_corrects_what_occurs_once(store: MemoryStore, agent: Agent) -> None:
    use(store, agent, "memory_replace", label="human", old_string="Sam", new_string="Samira")
    assert block_value(store, agent) == "Name: Samira"


def test_memory_replace_refuses_what_occurs_twice_and_names_the_lines(
    store: MemoryStore, agent: Agent
) -> None:
    add_block(store, agent, Block("plan", "tea\nmate\ntea"))
    result = use(store, agent, "memory_replace", label="plan", old_string="tea", new_string="x")
    assert "holds 'tea' 2 times (lines 1, 3)" in result
    assert block_value(store, agent, "plan") == "tea\nmate\ntea"


def test_rethink_rewrites_a_block(store: MemoryStore, agent: Agent) -> None:
    use(store, agent, "memory_rethink", label="human", new_memory="Samira, likes tea.")
    assert block_value(store, agent) == "Samira, likes tea."


def test_rethink_creates_a_block_that_does_not_exist(store: MemoryStore, agent: Agent) -> None:
    use(store, agent, "memory_rethink", label="plan", new_memory="Rest.")
    assert [block.label for block in store.agent_state("ada").blocks] == [
        "persona",
        "human",
        "plan",
    ]
    assert block_value(store, agent, "plan") == "Rest."


def test_rethink_refuses_a_label_that_cannot_be(store: MemoryStore, agent: Agent) -> None:
    result = use(store, agent, "memory_rethink", label="</human>", new_memory="Rest.")
    assert result.startswith("Error: '</human>' cannot be a block's label; use 1 to 63 letters")
    assert len(store.agent_state("ada").blocks) == 2


def test_what_is_archived_gets_an_id_and_is_found_at_once(store: MemoryStore, agent: Agent) -> None:
    content = "The spare key is with Mrs Lee."
    result = use(store, agent, "archival_memory_insert", content=content, tags=["home"])
    assert result.startswith("Saved to the archive as passage-")
    assert content in use(store, agent, "archival_memory_search", query="key", tags=["home"])


EDITS = {
    "core_memory_append": {"content": "more"},
    "core_memory_replace": {"old_content": "kind", "new_content": "rude"},
    "memory_insert": {"new_string": "more"},
    "memory_replace": {"old_string": "kind", "new_string": "rude"},
    "memory_rethink": {"new_memory": "Be rude."},
}


@pytest.mark.parametrize("tool", EDITS)
def test_no_edit_touches_a_read_only_block(store: MemoryStore, agent: Agent, tool: str) -> None:
    add_block(store, agent, Block("rules", "Be kind.", read_only=True))
    events = stored_events(store, agent)
    result = use(store, agent, tool, label="rules", **EDITS[tool])
    assert result.startswith("Error: block 'rules' is read-only")
    assert block_value(store, agent, "rules") == "Be kind."
    assert stored_events(store, agent) == events


@pytest.mark.parametrize("tool", [name for name in EDITS if name != "memory_rethink"])
def test_an_edit_of_an_absent_block_names_those_that_exist(
    store: MemoryStore, agent: Agent, tool: str
) -> None:
    result = use(store, agent, tool, label="humans", **EDITS[tool])
    assert result == "Error: agent 'ada' has no block 'humans'; it has persona, human"


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("core_memory_append", {"content": "x" * 995}),
        ("core_memory_replace", {"old_content": "12345", "new_content": "x" * 1_001}),
        ("memory_insert", {"new_string": "x" * 995}),
        ("memory_replace", {"old_string": "12345", "new_string": "x" * 1_001}),
        ("memory_rethink", {"new_memory": "x" * 1_001}),
    ],
)
def test_an_edit_beyond_the_limit_changes_nothing_and_says_by_how_much(
    store: MemoryStore, agent: Agent, tool: str, arguments: dict[str, str]
) -> None:
    add_block(store, agent, Block("note", "12345", limit_chars=1_000))
    result = use(store, agent, tool, label="note", **arguments)
    assert "block 'note' would have 1001 characters, 1 over its limit of 1000" in result
    assert block_value(store, agent, "note") == "12345"


@pytest.mark.parametrize(
    ("text", "told"),
    [("a\0b", "holds a NUL character at position"), ("a\ud800", "holds a lone surrogate (U+D800)")],
)
@pytest.mark.parametrize("tool", [*EDITS, "archival_memory_insert"])
def test_text_that_cannot_be_stored_changes_nothing(
    store: MemoryStore, agent: Agent, tool: str, text: str, told: str
) -> None:
    arguments = {
        "core_memory_append": {"label": "human", "content": text},
        "core_memory_replace": {"label": "human", "old_content": "Sam", "new_content": text},
        "memory_insert": {"label": "human", "new_string": text},
        "memory_replace": {"label": "human", "old_string": "Sam", "new_string": text},
        "memory_rethink": {"label": "human", "new_memory": text},
        "archival_memory_insert": {"content": text},
    }[tool]
    result = use(store, agent, tool, **arguments)
    assert result.startswith("Error: ")
    assert told in result
    assert block_value(store, agent) == "Name: Sam"


@pytest.mark.parametrize("tool", [*EDITS, "archival_memory_insert"])
def test_a_megabyte_is_refused_with_the_number_of_characters_too_many(
    store: MemoryStore, agent: Agent, tool: str
) -> None:
    text = "x" * 1_000_000
    arguments = {
        "core_memory_append": {"label": "human", "content": text},
        "core_memory_replace": {"label": "human", "old_content": "Sam", "new_content": text},
        "memory_insert": {"label": "human", "new_string": text},
        "memory_replace": {"label": "human", "old_string": "Sam", "new_string": text},
        "memory_rethink": {"label": "human", "new_memory": text},
        "archival_memory_insert": {"content": text},
    }[tool]
    result = use(store, agent, tool, **arguments)
    assert result.startswith("Error: ")
    assert " over " in result
    assert len(result) < 300
    assert block_value(store, agent) == "Name: Sam"


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("core_memory_append", {"label": "human", "content": " \n"}),
        ("core_memory_replace", {"label": "human", "old_content": "", "new_content": "x"}),
        ("memory_replace", {"label": "human", "old_string": "", "new_string": "x"}),
        ("archival_memory_insert", {"content": ""}),
        ("archival_memory_insert", {"content": "x", "tags": [" "]}),
    ],
)
def test_an_empty_text_where_one_is_needed_is_refused(
    store: MemoryStore, agent: Agent, tool: str, arguments: dict[str, object]
) -> None:
    assert " is empty; give " in use(store, agent, tool, **arguments)
    assert block_value(store, agent) == "Name: Sam"


def test_a_tool_that_writes_needs_a_transaction(store: MemoryStore, agent: Agent) -> None:
    with store.read() as reader, pytest.raises(TypeError, match="needs a transaction"):
        run_call(
            Scope(store, reader, agent),
            ALL_TOOLS,
            call("core_memory_append", label="human", content="x"),
        )


def test_tools_that_can_lose_text_are_marked_destructive() -> None:
    assert {name for name, tool in MEMORY_TOOLS.items() if tool.destructive} == {
        "core_memory_replace",
        "memory_replace",
        "memory_rethink",
    }


@pytest.fixture(scope="module")
def shared_store() -> Iterator[MemoryStore]:
    with MemoryStore(None, None) as opened:
        yield opened


words = st.text(st.sampled_from("ab\n é"), min_size=1, max_size=6)


@settings(max_examples=50)
@given(edits=st.lists(st.tuples(st.sampled_from(sorted(EDITS)), words, words, st.integers(-3, 5))))
def test_whatever_is_edited_the_block_is_what_the_rules_say_and_never_too_long(
    shared_store: MemoryStore,
    edits: list[tuple[str, str, str, int]],
) -> None:
    agent = new_agent(shared_store, f"agent {uuid4()}", [Block("note", limit_chars=20)])
    expected = ""
    with shared_store.write(PERSON) as transaction:
        scope = Scope(shared_store, transaction, agent)
        for tool, one, other, line in edits:
            arguments, value = edited(expected, tool, one, other, line)
            result = run_call(scope, ALL_TOOLS, call(tool, label="note", **arguments))
            if value is not None and len(value) <= 20:
                expected = value
                assert result == f"Memory updated. Block note is now:\n{value}"
            else:
                assert result.startswith("Error: ")
    assert block_value(shared_store, agent, "note") == expected


def edited(
    value: str, tool: str, one: str, other: str, line: int
) -> tuple[dict[str, object], str | None]:
    """What a plain reading of Letta's rules makes of a value; None: it must be refused."""
    lines = value.split("\n") if value else []
    match tool:
        case "core_memory_append":
            appended = f"{value}\n{one}" if value else one
            return {"content": one}, appended if one.strip() else None
        case "core_memory_replace":
            replaced = value.replace(one, other) if one in value else None
            return {"old_content": one, "new_content": other}, replaced
        case "memory_replace":
            found = [i for i in range(len(value)) if value.startswith(one, i)]
            once = value.replace(one, other) if len(found) == 1 else None
            return {"old_string": one, "new_string": other}, once
        case "memory_insert":
            at = len(lines) if line == -1 else line
            inside = 0 <= at <= len(lines)
            inserted = "\n".join([*lines[:at], one, *lines[at:]]) if inside else None
            return {"new_string": one, "insert_line": line}, inserted
        case _:
            return {"new_memory": one}, one
